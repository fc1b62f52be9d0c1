"""Commands about judges: `vlmix judge check`, `vlmix judge probe`, and `vlmix scores import`."""

from pathlib import Path

from cyclopts import App

from flows.cli_leakage import leakage_app
from flows.console import JsonOption, StoreOption, messages, say, where

judge_app = App(name="judge", help="The judge held against labels.")
scores_app = App(name="scores", help="Scores that others published, and benchmarks that rows are held against.")
scores_app.command(leakage_app)


@judge_app.command
def check(
    labels: str,
    *,
    mix: str | None = None,
    recipe: str | None = None,
    criterion: str = "quality",
    threshold: float = 7,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare a judge with labels: agreement, rank correlation, yield of every threshold.

    Args:
        labels: .jsonl, .json, .csv or .parquet with `label` (keep, drop or 0 to 10) and `answer` (and `question`), or
            `key` with --mix; or a mixture with human verdicts.
        mix: take the scores of this mixture instead of asking.
        recipe: whose judge is asked; default is the embedded one.
        criterion: quality or repetition.
        threshold: number from which on a label is good.
        store: folder of the store.
        as_json: print one JSON document.
    """
    with messages():
        from flows.calibrating import calibrate, calibration_lines
        from shards.store import Store

        place = Store(where(store))
        found = calibrate(labels, place, recipe=recipe, mix=mix, criterion=criterion, threshold=threshold)
        say(found.model_dump(mode="json"), "\n".join(calibration_lines(found)), as_json=as_json)


@judge_app.command
def distil(
    mix: str,
    *,
    out: Path,
    criterion: str = "quality",
    threshold: float | None = None,
    seed: int = 0,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train a small model on the grades of a mixture's judge, and say how well it copies.

    Args:
        mix: a finished mixture, or the recipe of one, by name or path.
        out: file to write, such as student.npz; a recipe names it in `judge.students`.
        criterion: quality or repetition.
        threshold: grade below which rules drop; default is the one of the rule set `default`, 7 and 3.
        seed: of the hash that says which rows are held out.
        store: folder of the store.
        as_json: print one JSON document.
    """
    with messages():
        from flows.copying import copying_lines
        from flows.distilling import distil as distilled
        from shards.store import Store

        found = distilled(mix, Store(where(store)), out, criterion=criterion, threshold=threshold, seed=seed)
        say(found.model_dump(mode="json"), "\n".join(copying_lines(found)), as_json=as_json)


@judge_app.command
def probe(
    source: str,
    *,
    recipe: str,
    rows: int = 256,
    criterion: str = "quality",
    out: Path | None = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask the judge of a recipe about some real rows and say how fast it is and what it computes; keeps no answer.

    Args:
        source: a source that was built in the store, or a table with `answer` (and `question`).
        recipe: whose judge is asked.
        rows: asked at most, evenly spread over the source.
        criterion: quality or repetition.
        out: file to write the rates to, for `vlmix plan --rates`.
        store: folder of the store.
        as_json: print one JSON document.
    """
    with messages():
        from flows.probing import probe as probed
        from flows.speed import probe_lines, write_rates
        from shards.store import Store

        found = probed(recipe, Store(where(store)), source=source, rows=rows, criterion=criterion)
        if out is not None:
            write_rates(found, out)
        say(found.model_dump(mode="json"), "\n".join(probe_lines(found)), as_json=as_json)


@scores_app.command(name="import")
def import_ratings(
    file: Path,
    *,
    source: str,
    name: str,
    rating: str = "rating",
    identifier: str = "key",
    native: str | None = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Join published ratings to a source; rules may then name the score imported_NAME.

    Args:
        file: .jsonl, .json, .csv or .parquet.
        source: whose samples are rated; a recipe with it must have been built.
        name: of the score, without `imported_`.
        rating: column with numbers; of a list the smallest counts.
        identifier: column with keys of samples, or with native ids.
        native: field of `meta` with native ids, such as `id`; default is that the column holds keys.
        store: folder of the store.
        as_json: print one JSON document.
    """
    with messages():
        from flows.importing import import_scores
        from shards.store import Store

        place = Store(where(store))
        with place.lock():
            found = import_scores(
                file, place, source=source, name=name, rating=rating, identifier=identifier, native=native
            )
        text = (
            f"{found.score} covers {found.covered:,} of {found.samples:,} samples of `{source}`: {found.coverage:.1%}\n"
            f"{found.unused:,} of {found.ratings:,} ratings fit no sample; {found.ambiguous:,} samples share their id"
        )
        say(found.model_dump(mode="json"), text, as_json=as_json)
