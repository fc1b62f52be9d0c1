"""The commands `vlmix review import` and `vlmix review stats`: answers in, and what they say."""

from pathlib import Path

from flows.console import JsonOption, StoreOption, messages, print_model, say, where
from shards.errors import DataError


def review_import(
    file: Path,
    *,
    mix: str | None = None,
    reviewer: str | None = None,
    settle: bool = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take verdicts from a file that people have filled in; all of them or, where one is refused, none.

    Args:
        file: exported queue.csv, queue.jsonl or queue.parquet, answers.json of the page, JSON export of Label Studio,
            or any table with columns `key` and `verdict` (keep, drop or skip), perhaps `entry`, `reviewer`, `note`.
        mix: mixture that the samples belong to; default is the last run of every recipe.
        reviewer: who gave the verdicts of rows that name nobody.
        settle: these verdicts end conflicts between reviewers.
        store: folder of the store.
        as_json: print one JSON document.
    """
    with messages():
        from flows.review_import import import_answers
        from shards.store import Store

        found = import_answers(Store(where(store)), file, mix=mix, reviewer=reviewer, settles=settle)
        lines = [f"{found.new} new answers from {found.rows} rows of {found.file} ({found.format})"]
        lines += [f"  {each.row}: {each.message}" for each in found.refused]
        rest = {"already there": found.known, "overtaken by a later answer": found.older, "without verdict": found.open}
        lines += [f"  {count} {what}" for what, count in rest.items() if count]
        say(found.model_dump(mode="json"), "\n".join(lines), as_json=as_json)
        if found.refused:
            raise DataError(
                f"`{file}`: {len(found.refused)} rows refused, nothing was imported; correct them and import again"
            )


def review_stats(mix: str, *, store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Say how far the review is, how reviewers agree, and how often each rule and threshold is right.

    Args:
        mix: folder of a mixture, recipe of one stage, or recipe.stage.
        store: folder of the store.
        as_json: print one JSON document.
    """
    with messages():
        from flows.review_stats import stats, stats_lines
        from shards.store import Store

        found = stats(Store(where(store)), mix)
        if as_json:
            print_model(found)
        else:
            say({}, "\n".join(stats_lines(found)), as_json=False)
