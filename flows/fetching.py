"""Files of sources that come over the network: whether they can be had, from where, and to which folder."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from flows.settings import private_hosts
from shards.files import fingerprint
from shards.store import Store
from sources.spec import Source

Progress = Callable[[int, int], None]
"""(bytes done, bytes in all); called from worker threads, one at a time."""

_TRIED: Final = frozenset({"ready", "unverified", "gated"})
"""States in which asking makes sense: of a gated source an account may have access."""


def is_remote(source: Source) -> bool:
    """Whether the declaration says which files to ask for: of a hub repository, or by address."""
    return source.status in _TRIED and bool(source.downloads or (source.host == "hf" and source.repo and source.files))


def refusal(source: Source) -> str:
    """Why the files of a source that is not remote cannot be had, and what to do."""
    if source.status not in _TRIED:
        return f"cannot be fetched: {source.status}, {source.status_reason}"
    place = source.url or source.repo or "the publisher"
    if source.status == "gated":
        first = f"is gated, {source.status_reason}; register at {place}, get the files"
    else:
        first = f"has no addresses of files; get them from {place}"
    return f"{first} and register the folder: `{_register(source)}`"


def _register(source: Source) -> str:
    """The command that registers a folder with the files of a source as they are published."""
    options = {"--name": f"{source.name}-local", "--layout": source.layout, "--root": source.root}
    words = [f"{option} {value}" for option, value in options.items() if value not in {None, "."}]
    words += [f"--files '{glob}'" for glob in source.files]
    words += [f"--archive '{source.archive}'"] if source.archive else []
    return " ".join(["vlmix sources register DIR", *words])


def fetch_files(
    source: Source, store: Store, *, update: bool = False, progress: Progress | None = None
) -> tuple[Source, Path]:
    """The files of a remote source on this machine: the source as it was found, and its base folder.

    Raises:
        SourceError: the files are not given; the message says what to do.
        StoreError: the disk is full or cannot be written, or the lock file is damaged.
    """
    tell = progress or (lambda done, total: None)
    return (_from_addresses if source.downloads else _from_hub)(source, store, update, tell)


def _from_hub(source: Source, store: Store, update: bool, tell: Progress) -> tuple[Source, Path]:
    from sources.hub import download

    assert source.repo is not None
    found = download(
        source.name,
        repo=source.repo,
        patterns=(*source.files, *((source.archive,) if source.archive else ())),
        # subsets of one repository share its folder
        folder=store.root / "raw" / source.repo.lower().replace("/", "--"),
        lock=store.root / "sources.lock",
        revision=source.revision or "main",
        update=update,
        progress=tell,
    )
    return source.model_copy(update={"revision": found.revision}), found.root


def _from_addresses(source: Source, store: Store, update: bool, tell: Progress) -> tuple[Source, Path]:
    from sources.direct import download

    files = source.downloads
    folder = (
        store.root / "downloads" / source.name / fingerprint("direct", [[file.url, file.path] for file in files])[:20]
    )
    download(
        source.name,
        files=files,
        folder=folder,
        lock=store.root / "sources.lock",
        page=source.url or "",
        update=update,
        private=private_hosts(),
        progress=tell,
    )
    return source, folder
