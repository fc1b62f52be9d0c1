"""The command line: thin, every command one screen; imports heavy things inside commands so that --help is quick."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import App, CycloptsError, Parameter

from flows.allocators import settle_allocators
from flows.cli_check import check
from flows.cli_export import export
from flows.cli_judge import judge_app, scores_app
from flows.cli_mix import diff, verify
from flows.cli_pack import pack
from flows.cli_recipes import recipes_app
from flows.cli_review import review_app
from flows.cli_sources import sources_app
from flows.cli_store import store_app
from flows.console import JsonOption, LogOption, StoreOption, logged, messages, print_model, say, teller, where
from shards.errors import UsageError

app = App(name="vlmix", help="Curate and filter training mixes for vision-language models.", version="0.1.0")
run_app = App(name="run", help="Run a flow.")
filters_app = App(name="filters", help="Filters and the scores they write.")
for _sub in (run_app, recipes_app, sources_app, review_app, filters_app, judge_app, scores_app, store_app):
    app.command(_sub)
for _command in (export, pack, verify, diff, check):
    app.command(_command)


@run_app.command(name="build-sft-mix")
def build_sft_mix(
    *,
    recipe: str = "demo",
    store: StoreOption = None,
    stage: str | None = None,
    executor: str = "local",
    workers: int | None = None,
    scale: float | None = None,
    update: bool = False,
    give_up: bool = False,
    log_format: LogOption = None,
    as_json: JsonOption = False,
) -> None:
    """Build the mixture of a recipe: sources, scores, judge, rules, dedup, manifest, report.

    Args:
        recipe: built-in name, or path of a .yaml file.
        store: folder of the store.
        stage: mix this stage only.
        executor: where work runs: local, ray, slurm, or a .yaml file with settings of one of them.
        workers: worker processes; default is one per core.
        scale: multiplies absolute takes, caps and targets, for a miniature run; above 0 and at most 1.
        update: look for newer commits of sources on the hub instead of the ones in sources.lock.
        give_up: quarantine rows whose picture URL gave no lasting answer after all retries, instead of stopping.
        log_format: what is said on standard error: text, or json with one object a line [default: $VLMIX_LOG or text].
        as_json: print the summary as JSON.
    """
    with messages(), logged(log_format):
        from flows.executor import make_ready

        make_ready(executor, workers)
        from flows.run import run

        finished = run(
            recipe,
            where(store),
            stage=stage,
            executor=executor,
            workers=workers,
            scale=scale,
            update=update,
            give_up=give_up,
            tell=teller(quiet=as_json),
        )
        if as_json:
            print_model(finished.summary)
        else:
            from flows.summary import print_summary

            print_summary(finished.summary)


@app.command
def plan(
    recipe: str,
    *,
    scale: float | None = None,
    rates: Path | None = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Resolve, check and count a recipe, and price its judge; downloads nothing and asks nobody.

    Args:
        recipe: built-in name, or path of a .yaml file.
        scale: as of a miniature run.
        rates: what the judge is charged at, as `vlmix judge probe --out` writes it; goes before the recipe's `rates`.
        store: folder of the store.
        as_json: print one JSON document.
    """
    with messages():
        from flows.pricing import price
        from flows.rates import read_rates
        from flows.run import checked
        from flows.summary import plan_document, print_plan
        from shards.store import Store

        place = Store(where(store))
        charged = read_rates(rates) if rates else None
        prepared = checked(recipe, place, count=True, scale=scale)
        document = plan_document(prepared, price(prepared, place, charged))
        if as_json:
            print_model(document)
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
    with messages():
        from flows.explain import explain as tell_story
        from flows.mixes import find, recipes
        from flows.summary import print_story
        from shards.store import Store

        place = Store(where(store))
        names = [mix] if mix else recipes(place)
        story = tell_story(key, [found for name in names for found in find(place, name).values()])
        if as_json:
            print_model(story)
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
    with messages():
        from flows.mixes import find
        from flows.table import write
        from shards.store import Store

        rows, quarantined = write(find(Store(where(store)), mix), out)
        say(
            {"table": str(out), "rows": rows, "quarantine": f"{out}.quarantine", "quarantined": quarantined},
            f"{rows} rows in {out}, {quarantined} quarantined rows in {out}.quarantine",
            as_json=as_json,
        )


@app.command
def report(mix: str, *, store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Say where the report of the last run of a recipe is."""
    with messages():
        from flows.mixes import latest_run
        from shards.remote import have
        from shards.store import Store

        found = latest_run(Store(where(store)), mix)
        if found is None:
            raise UsageError(f"no finished run of recipe `{mix}`; run `vlmix run build-sft-mix --recipe {mix}`")
        path = found[0].path / "report.html"
        have([path])
        say({"report": str(path), "digest": found[1].digest()}, str(path), as_json=as_json)


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
    with messages():
        from flows.deciding import decide as redecide
        from flows.summary import print_decided
        from shards.store import Store

        document = redecide(recipe, Store(where(store)), change)
        if as_json:
            print_model(document)
        else:
            print_decided(document)


@filters_app.command(name="list")
def filters_list(*, as_json: JsonOption = False) -> None:
    """List every filter with the scores it writes."""
    with messages():
        from flows.scoring import CRITERIA, describe_filters

        found = describe_filters()
        lines = [f"{name:<18} {', '.join(scores)}" for name, scores in found.items()]
        say({"filters": found, "judged": list(CRITERIA)}, "\n".join(lines), as_json=as_json)


@filters_app.command(name="show")
def filters_show(
    name: str,
    *,
    mix: str | None = None,
    source: str | None = None,
    at: float | None = None,
    examples: int = 20,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a filter or score measures, and with a mixture how it spreads, with rows around a threshold.

    Args:
        name: of a filter or score, or module:Class.
        mix: folder of a mixture, recipe of one stage, or recipe.stage.
        source: only rows of this source.
        at: threshold that the rows lie around; default is that of the first rule, else the 95 % quantile.
        examples: rows to show for each score, half of them below the threshold.
        store: folder of the store.
        as_json: print one JSON document.
    """
    with messages():
        from flows.filter_text import print_shown
        from flows.mixes import find_one
        from flows.score_spread import show
        from shards.store import Store

        found = find_one(Store(where(store)), mix) if mix else None
        shown = show(name, found, source=source, at=at, examples=examples)
        if as_json:
            print_model(shown)
        else:
            print_shown(shown)


def main() -> None:
    """Run the `vlmix` command."""
    settle_allocators()
    try:
        app(sys.argv[1:], exit_on_error=False, result_action="return_value")
    except CycloptsError:
        # cyclopts has printed its message; wrong usage is exit code 2 here as everywhere
        sys.exit(UsageError.exit_code)


if __name__ == "__main__":
    main()
