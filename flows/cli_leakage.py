"""The commands `vlmix scores leakage ...`: evaluation sets that a mixture is held against."""

from pathlib import Path

from cyclopts import App

from flows.console import JsonOption, StoreOption, download_bar, messages, say, where

leakage_app = App(name="leakage", help="Benchmarks that training rows are held against: list, index.")


@leakage_app.command(name="list")
def leakage_list(*, store: StoreOption = None, as_json: JsonOption = False) -> None:
    """List the evaluation sets that are declared, and those that are indexed in this store.

    Args:
        store: folder of the store.
        as_json: print one JSON document.
    """
    with messages():
        from flows.leak_listing import listed, listing_lines
        from shards.store import Store

        found = listed(Store(where(store)))
        say({"benchmarks": [each.model_dump(mode="json") for each in found]}, listing_lines(found), as_json=as_json)


@leakage_app.command(name="index")
def leakage_index(
    name: str,
    *,
    folder: Path | None = None,
    workers: int | None = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read an evaluation set once and keep hashes of its pictures and texts; recipes then name it under `leakage`.

    Args:
        name: of an evaluation set, or of any source of the catalogue or registered in the store.
        folder: with its files as they are published; default is a registered mirror or a download.
        workers: worker processes; default is one per core.
        store: folder of the store.
        as_json: print one JSON document.
    """
    with messages():
        from flows.executor import LocalRunner, local_pool
        from flows.leak_index import index_benchmark
        from flows.leak_listing import index_line
        from shards.store import Store

        place = Store(where(store))
        base = folder.absolute() if folder else None
        with place.lock(), local_pool(workers) as pool, download_bar(quiet=as_json) as progress:
            box, found = index_benchmark(name, place, LocalRunner(pool), folder=base, progress=progress)
        say({"path": str(box.path), **found.model_dump(mode="json")}, index_line(found), as_json=as_json)
