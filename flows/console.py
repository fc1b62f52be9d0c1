"""What every command shares: options, messages and exit codes, output for people or as one JSON document."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from flows.settings import cache_folder, default_store
from flows.stopping import Stopped, stopping
from shards.disk import REFUSALS, refused
from shards.errors import VlmixError

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.console import Console

    from flows.executor import Steps

StoreOption = Annotated[
    str | None,
    Parameter(
        name="--store",
        help="Folder of the store, or a URL such as s3://bucket/mixes [default: $VLMIX_STORE or .vlmix].",
    ),
]
LogOption = Annotated[Literal["text", "json"] | None, Parameter(name="--log-format")]
JsonOption = Annotated[bool, Parameter(name="--json", negative=(), help="Print one JSON document and nothing else.")]


@contextmanager
def messages() -> Iterator[None]:
    """Turn our errors, a disk that says no, and Ctrl-C into one line on standard error and the right exit code."""
    try:
        with stopping():
            yield
    except VlmixError as error:
        print(f"vlmix: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:
        if error.errno not in REFUSALS:
            raise
        refusal = refused(Path(error.filename or "."), error)
        print(f"vlmix: {refusal}", file=sys.stderr)
        sys.exit(refusal.exit_code)
    except KeyboardInterrupt as stopped:
        print("vlmix: stopped; run the same command again to go on from here", file=sys.stderr)
        sys.exit(stopped.exit_code if isinstance(stopped, Stopped) else 130)


@contextmanager
def logged(shown: Literal["text", "json"] | None) -> Iterator[None]:
    """Show what a command says while it works; as JSON its error is a record, too."""
    import logging

    from flows.logs import event, logs
    from flows.settings import log_format

    with logs(shown):
        try:
            yield
        except VlmixError as error:
            if (shown or log_format()) != "json":
                raise
            event("error", str(error), level=logging.ERROR)
            sys.exit(error.exit_code)


def where(store: str | Path | None) -> Path:
    """The store that a command works on: its folder, or the working folder of a store at a URL.

    Raises:
        UsageError: the working folder belongs to another store, or the client for this kind of URL is missing.
        StoreError: the store at the URL does not answer.
    """
    named = str(store or default_store())
    if named.startswith("file://"):
        return Path(named.removeprefix("file://")).absolute()
    return _opened(named) if "://" in named else Path(named).absolute()


def _opened(url: str) -> Path:
    """The working folder of a store at a URL, with the files that are in no box as they are there."""
    from hashlib import sha256

    from shards.remote import attach, remote_of

    folder = cache_folder() / sha256(url.rstrip("/").encode()).hexdigest()[:20]
    attach(folder, url)
    remote = remote_of(folder)
    assert remote, "the folder was attached"
    remote.bring_state()
    return folder


def print_model(model: "BaseModel") -> None:
    """Print one JSON document."""
    print(model.model_dump_json(indent=1))


def teller(*, quiet: bool) -> "Callable[[str, Steps], None]":
    """Give a function that prints one line per step, or none where quiet."""

    def tell(step: str, done: "Steps") -> None:
        if not quiet:
            print(f"{step:<10} {done.executed:>7} executed {done.cached:>7} cached", flush=True)

    return tell


def say(document: dict[str, object], text: str, *, as_json: bool) -> None:
    """Print a document for programs or its text for people."""
    print(json.dumps(document, indent=1) if as_json else text)


def terminal() -> "Console":
    """Give the console that tables are printed to.

    A file or pipe has no width; rich would assume 80 columns and cut names.
    """
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else 140)


@contextmanager
def download_bar(*, quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    """A bar with bytes, speed and time left on a terminal; nothing elsewhere."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("download", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
