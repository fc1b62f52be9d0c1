"""Commands about judges: `vlmix judge check`, and `vlmix scores import`."""

from pathlib import Path

from cyclopts import App

from flows.console import JsonOption, StoreOption, messages, say, where

judge_app = App(name="judge", help="The judge held against labels.")
scores_app = App(name="scores", help="Scores that others published.")


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
