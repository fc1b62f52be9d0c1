"""The command line: thin, every command one screen; imports heavy things inside commands so that --help is quick."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, CycloptsError, Parameter

from flows.settings import default_store
from shards.errors import UsageError, VlmixError

if TYPE_CHECKING:
    from pydantic import BaseModel

    from flows.executor import Steps

StoreOption = Annotated[
    Path | None, Parameter(name="--store", help="Folder of the store [default: $VLMIX_STORE or .vlmix].")
]
JsonOption = Annotated[bool, Parameter(name="--json", negative=(), help="Print one JSON document and nothing else.")]

app = App(name="vlmix", help="Curate and filter training mixes for vision-language models.", version="0.1.0")
run_app = App(name="run", help="Run a flow.")
sources_app = App(name="sources", help="Sources: list, show, register a mirror.")
review_app = App(name="review", help="The manual review queue.")
filters_app = App(name="filters", help="Filters and the scores they write.")
for _sub in (run_app, sources_app, review_app, filters_app):
    app.command(_sub)


@contextmanager
def _messages() -> Iterator[None]:
    """Turn our errors into one line on standard error and the right exit code."""
    try:
        yield
    except VlmixError as error:
        print(f"vlmix: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("vlmix: stopped; run the same command again to go on from here", file=sys.stderr)
        sys.exit(130)


def _store(store: Path | None) -> Path:
    return (store or default_store()).absolute()


def _print_model(model: "BaseModel") -> None:
    print(model.model_dump_json(indent=1))


def _teller(*, quiet: bool) -> "Callable[[str, Steps], None]":
    def tell(step: str, done: "Steps") -> None:
        if not quiet:
            print(f"{step:<10} {done.executed:>7} executed {done.cached:>7} cached", flush=True)

    return tell


@run_app.command(name="build-sft-mix")
def build_sft_mix(
    *,
    recipe: str = "demo",
    store: StoreOption = None,
    stage: str | None = None,
    executor: Literal["local"] = "local",
    workers: int | None = None,
    as_json: JsonOption = False,
) -> None:
    """Build the mixture of a recipe: sources, scores, judge, rules, dedup, manifest, report.

    Args:
        recipe: built-in name, or path of a .yaml file.
        store: folder of the store.
        stage: mix this stage only.
        executor: where work runs.
        workers: worker processes; default is one per core.
        as_json: print the summary as JSON.
    """
    with _messages():
        from flows.run import run

        finished = run(recipe, _store(store), stage=stage, workers=workers, tell=_teller(quiet=as_json))
        if as_json:
            _print_model(finished.summary)
        else:
            from flows.summary import print_summary

            print_summary(finished.summary)


@app.command
def plan(recipe: str, *, store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Resolve, check and count a recipe; downloads nothing."""
    with _messages():
        from flows.run import checked
        from flows.summary import plan_document, print_plan
        from shards.store import Store

        document = plan_document(checked(recipe, Store(_store(store))))
        if as_json:
            _print_model(document)
        else:
            print_plan(document)


@app.command
def explain(key: str, *, mix: str | None = None, store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Tell the whole story of one sample: scores, rules, verdict, duplicates, pictures.

    Args:
        key: source/split/row of the sample.
        mix: folder of a mixture, recipe, or recipe.stage; default is the last run of every recipe.
        store: folder of the store.
        as_json: print one JSON document.
    """
    with _messages():
        from flows.explain import explain as tell_story
        from flows.mixes import find, recipes
        from flows.summary import print_story
        from shards.store import Store

        where = Store(_store(store))
        names = [mix] if mix else recipes(where)
        story = tell_story(key, [found for name in names for found in find(where, name).values()])
        if as_json:
            _print_model(story)
        else:
            print_story(story)


@app.command
def table(mix: str, *, out: Path, store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Write a mixture as one flat table, one row per (stage, entry, key); quarantine beside it.

    Args:
        mix: folder of a mixture, recipe (all stages), or recipe.stage.
        out: name that ends in .parquet or .csv.
        store: folder of the store.
        as_json: print one JSON document.
    """
    with _messages():
        from flows.mixes import find
        from flows.table import write
        from shards.store import Store

        rows, quarantined = write(find(Store(_store(store)), mix), out)
        _say(
            {"table": str(out), "rows": rows, "quarantine": f"{out}.quarantine", "quarantined": quarantined},
            f"{rows} rows in {out}, {quarantined} quarantined rows in {out}.quarantine",
            as_json=as_json,
        )


def _say(document: dict[str, object], text: str, *, as_json: bool) -> None:
    print(json.dumps(document, indent=1) if as_json else text)


@app.command
def report(mix: str, *, store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Say where the report of the last run of a recipe is."""
    with _messages():
        from flows.mixes import latest_run
        from shards.store import Store

        found = latest_run(Store(_store(store)), mix)
        if found is None:
            raise UsageError(f"no finished run of recipe `{mix}`; run `vlmix run build-sft-mix --recipe {mix}`")
        path = str(found[0].path / "report.html")
        _say({"report": path, "digest": found[1].digest()}, path, as_json=as_json)


@app.command
def decide(
    recipe: str,
    *,
    change: Annotated[tuple[str, ...], Parameter(name="--set")] = (),
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Count a recipe with other thresholds, from the scores in the store; no model call, nothing is written.

    Args:
        recipe: built-in name, or path of a .yaml file; it must have been built in this store.
        change: such as "rules.low_quality.when=quality < 6"; may stand several times.
        store: folder of the store.
        as_json: print one JSON document.
    """
    with _messages():
        from flows.deciding import decide as redecide
        from flows.summary import print_decided
        from shards.store import Store

        document = redecide(recipe, Store(_store(store)), change)
        if as_json:
            _print_model(document)
        else:
            print_decided(document)


@sources_app.command(name="list")
def sources_list(*, store: StoreOption = None, as_json: JsonOption = False) -> None:
    """List the sources of the catalogue and the mirrors registered in this store."""
    with _messages():
        from flows.resolve import catalogue
        from shards.store import Store

        found = catalogue(Store(_store(store)))
        lines = [
            f"{name:<28} {item.layout:<16} {item.licence:<14} {item.repo or 'mirror'}" for name, item in found.items()
        ]
        _say({"sources": [item.model_dump(mode="json") for item in found.values()]}, "\n".join(lines), as_json=as_json)


@sources_app.command(name="show")
def sources_show(name: str, *, store: StoreOption = None) -> None:
    """Print the declaration of a source as JSON."""
    with _messages():
        from flows.resolve import locate_named
        from shards.store import Store

        _print_model(locate_named(name, Store(_store(store))).source)


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
    with _messages():
        from flows.register import register
        from shards.store import Store

        body = {"layout": layout, "files": list(files), "root": root, "archive": archive, "licence": licence}
        done = register(Store(_store(store)), folder, name, body)
        if as_json:
            _print_model(done)
        else:
            print(
                f"source `{name}`: {done.samples} samples, {done.quarantined} quarantined, {done.pictures} pictures; "
                f"{done.added_bytes:,} bytes added to {done.mirror_bytes:,} on disk"
            )


@review_app.command(name="export")
def review_export(
    mix: str,
    *,
    to: Literal["csv", "jsonl", "label-studio"],
    out: Path,
    prefix: str = "",
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the review queue of a mixture: one item per row that a person must see, pictures beside it.

    Args:
        mix: folder of a mixture, recipe (all stages), or recipe.stage.
        to: format.
        out: folder to write to.
        prefix: for Label Studio, path of `out` below its local files document root.
        store: folder of the store.
        as_json: print one JSON document.
    """
    with _messages():
        from flows.reviewing import export_queue
        from shards.store import Store

        counts = export_queue(Store(_store(store)), mix, to=to, out=out, prefix=prefix)
        document = {"out": str(out), "items": counts.items, "pictures": counts.pictures}
        _say(document, f"{counts.items} items with {counts.pictures} pictures in {out}", as_json=as_json)


@filters_app.command(name="list")
def filters_list(*, as_json: JsonOption = False) -> None:
    """List every filter with the scores it writes."""
    with _messages():
        from flows.scoring import CRITERIA, describe_filters

        found = describe_filters()
        lines = [f"{name:<18} {', '.join(scores)}" for name, scores in found.items()]
        _say({"filters": found, "judged": list(CRITERIA)}, "\n".join(lines), as_json=as_json)


def main() -> None:
    """Run the `vlmix` command."""
    try:
        app(sys.argv[1:], exit_on_error=False, result_action="return_value")
    except CycloptsError:
        # cyclopts has printed its message; wrong usage is exit code 2 here as everywhere
        sys.exit(UsageError.exit_code)


if __name__ == "__main__":
    main()
