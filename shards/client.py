"""The client of a store at a URL: requests that are tried again, and one message for those that fail."""

import os
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from shards.errors import StoreError, UsageError, VlmixError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_EXTRAS: Final = {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}
"""Package that a kind of URL needs; `hf://` comes with huggingface_hub."""

_TRIES: Final = 3
"""Of each request, on top of what the client itself repeats. Ours."""

Answer = TypeVar("Answer")


class Entry(NamedTuple):
    """A file at the URL: path relative to the store, bytes, and seconds since 1970 of its last change if told."""

    path: str
    size: int
    changed: float | None


def file_system(url: str) -> "AbstractFileSystem":
    """The client of the kind of a URL.

    Raises:
        UsageError: the package for it is missing, or nobody knows this kind.
    """
    return _client(url.partition("://")[0], os.getpid())


def ask(url: str, act: str, call: Callable[[], Answer]) -> Answer:
    """The answer to a request; what may pass is tried again, what may not gets one message.

    Args:
        url: of the store.
        act: what the request does: list, read, write, remove.
        call: makes it.

    Raises:
        FileNotFoundError: there is no such file.
        FileExistsError: there is one, where none may be.
        StoreError: anything else that a client raises.
    """
    for tried in range(1, _TRIES + 1):
        try:
            return call()
        except (FileExistsError, VlmixError):
            raise
        except Exception as error:  # each client raises errors of its own, and this is the edge to all of them
            if isinstance(error, FileNotFoundError) and "bucket" not in str(error).lower():
                raise
            if tried == _TRIES or not _passing(error):
                said = f"{type(error).__name__}: {error}".rstrip(".")
                raise StoreError(f"cannot {act} store `{url}`: {said}; {_remedy(error)}") from error
    raise AssertionError


def place_at(url: str, path: str) -> str:
    """A path relative to a store, as the client of the store's URL wants it."""
    return f"{url.partition('://')[2]}/{path}".rstrip("/")


def listed(url: str, prefix: str) -> Iterator[Entry]:
    """Files of a store below a prefix; none where there is no such folder.

    Raises:
        StoreError: the store cannot be listed.
    """
    try:
        found = ask(url, "list", lambda: file_system(url).find(place_at(url, prefix), detail=True))
    except FileNotFoundError:
        return
    start = len(place_at(url, "").strip("/"))
    for name, about in found.items():
        changed = about.get("LastModified") or about.get("mtime") or about.get("last_modified")
        stamp = changed.timestamp() if hasattr(changed, "timestamp") else changed
        yield Entry(name.lstrip("/")[start:].lstrip("/"), int(about["size"]), stamp)


def read_small(url: str, path: str) -> bytes | None:
    """A small file of a store; None if it is not there.

    Raises:
        StoreError: it cannot be read.
    """
    try:
        data: bytes = ask(url, "read", lambda: file_system(url).cat_file(place_at(url, path)))
    except FileNotFoundError:
        return None
    return data


def _passing(error: Exception) -> bool:
    """Whether a failure may be gone the next time: anything but a refusal of who asks or what is asked for."""
    refused = isinstance(error, FileNotFoundError | PermissionError | TypeError | ValueError)
    return not refused and not any(word in _told(error) for word in (*_WHO, *_MAY))


_WHO: Final = ("credential", "access key", "invalidaccesskey", "signature", "token has expired")
_MAY: Final = ("accessdenied", "access denied", "forbidden", "permission")


def _told(error: Exception) -> str:
    return f"{type(error).__name__} {error}".lower()


def _remedy(error: Exception) -> str:
    if any(word in _told(error) for word in _WHO):
        return "give credentials where the client looks for them (s3: AWS_ACCESS_KEY_ID, a profile or a role)"
    if isinstance(error, PermissionError) or any(word in _told(error) for word in _MAY):
        return "ask for the right to list, read and write below this prefix"
    if isinstance(error, FileNotFoundError):
        return "make the bucket, or name another with --store"
    return "what is finished is kept; run again when the store answers"


@lru_cache
def _client(protocol: str, process: int) -> "AbstractFileSystem":
    """The client of a kind of URL; each process its own, since connections do not survive a fork.

    Raises:
        UsageError: the package for it is missing, or nobody knows this kind.
    """
    import fsspec

    try:
        return fsspec.filesystem(protocol, use_listings_cache=False, skip_instance_cache=True)
    except ImportError as error:
        package = _EXTRAS.get(protocol, "its fsspec package")
        raise UsageError(f"a store at `{protocol}://` needs `{package}`; pip install {package}") from error
    except ValueError as error:
        raise UsageError(f"no kind of store `{protocol}://` is known; use s3, gs, az, hf or a folder") from error
