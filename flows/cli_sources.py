"""The commands `vlmix sources ...`: what is known, what is on this machine, what is wrong with it."""

import sys
from pathlib import Path

from cyclopts import App

from flows.console import JsonOption, StoreOption, download_bar, messages, print_model, where
from shards.errors import GateError

sources_app = App(name="sources", help="Sources: list, show, fetch, check, register a mirror.")


@sources_app.command(name="list")
def sources_list(
    *,
    system: str | None = None,
    stage: str | None = None,
    domain: str | None = None,
    licence: str | None = None,
    status: str | None = None,
    media: str | None = None,
    text: str | None = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the sources of the catalogue and the mirrors registered in this store.

    Args:
        system: published system that uses them, such as instella-vl.
        stage: stage of that system, such as sft.
        domain: domain row in that system's tables.
        licence: part of the licence.
        status: ready, unverified, gated, gone, unpublished or unresolved.
        media: text, image, multi-image, video or interleaved.
        text: part of a name, repository, configuration or note.
        store: folder of the store.
        as_json: print one JSON document.
    """
    with messages():
        from flows.listing import list_sources
        from flows.listing_text import print_listing
        from flows.resolve import catalogue
        from shards.store import Store

        document = list_sources(
            catalogue(Store(where(store))),
            system=system,
            stage=stage,
            domain=domain,
            licence=licence,
            status=status,
            media=media,
            text=text,
        )
        if as_json:
            print_model(document)
        else:
            print_listing(document)


@sources_app.command(name="show")
def sources_show(name: str, *, store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Tell everything about a source: where it lies, how it is read, who uses it, why it is not ready.

    Args:
        name: name, alias, hub id, or a name that a published table or configuration uses (`nvila:scienceqa`).
        store: folder of the store.
        as_json: print one JSON document.
    """
    with messages():
        from flows.listing import show, words
        from flows.listing_text import print_shown
        from flows.resolve import catalogue
        from shards.store import Store

        document = show(words(catalogue(Store(where(store)))), name)
        if as_json:
            print_model(document)
        else:
            print_shown(document)


@sources_app.command(name="fetch")
def sources_fetch(name: str, *, update: bool = False, store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Download the files of a source; a download that was cut goes on where it stopped.

    Args:
        name: name or alias of the source.
        update: look for a newer commit instead of the one in sources.lock.
        store: folder of the store.
        as_json: print one JSON document.
    """
    with messages():
        from flows.checking import fetch
        from shards.store import Store

        with download_bar(quiet=as_json) as progress:
            done = fetch(name, Store(where(store)), update=update, progress=progress)
        if as_json:
            print_model(done)
        else:
            print(f"source `{done.source}` is in {done.folder}")


@sources_app.command(name="check")
def sources_check(name: str, *, store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Read a whole source before it enters a recipe: counts, defects by class with examples, gates.

    Args:
        name: name or alias of the source.
        store: folder of the store.
        as_json: print one JSON document.
    """
    with messages():
        from flows.checking import check, print_checked
        from shards.store import Store

        with download_bar(quiet=as_json) as progress:
            found = check(name, Store(where(store)), progress)
        if as_json:
            print_model(found)
        else:
            print_checked(found)
        if found.gate:
            sys.exit(GateError.exit_code)


@sources_app.command(name="register")
def sources_register(
    folder: Path,
    *,
    name: str,
    layout: str = "picture_folder",
    files: tuple[str, ...] = (),
    root: str = ".",
    archive: str | None = None,
    licence: str = "unknown",
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Register a mirror on this machine as a source; its picture bytes stay where they are.

    Args:
        folder: base folder of the mirror.
        name: name of the new source.
        layout: on-disk shape of its records.
        files: globs of the record files, relative to the folder.
        root: folder of the pictures, relative to the folder.
        archive: glob of tar files that hold the pictures.
        licence: as the publisher states it.
        store: folder of the store.
        as_json: print one JSON document.
    """
    with messages():
        from flows.register import register
        from shards.store import Store

        body = {"layout": layout, "files": list(files), "root": root, "archive": archive, "licence": licence}
        done = register(Store(where(store)), folder, name, body)
        if as_json:
            print_model(done)
        else:
            print(
                f"source `{name}`: {done.samples} samples, {done.quarantined} quarantined, {done.pictures} pictures; "
                f"{done.added_bytes:,} bytes added to {done.mirror_bytes:,} on disk"
            )
