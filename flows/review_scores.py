"""The score table `human`: what reviewers say, looked up for the samples of a source."""

from collections.abc import Iterator, Mapping
from typing import Final

import polars as pl

from manifests.rules import HUMAN, HUMAN_SCORES
from review.answer import Answer, Journal
from review.item import shown_sample
from review.opinion import Opinion, opinions, standing
from shards.files import fingerprint
from shards.sample import ShardsIndex, read_samples, sample_path
from shards.schema import STATE_SUFFIX
from shards.store import Box, Store

REVIEW_FOLDER: Final = "review"

Answers = Mapping[str, tuple[Answer, ...]]
"""Source name -> the standing answers about its samples, in the order in which they came."""


def journal(store: Store) -> Journal:
    """The journal of a store."""
    return Journal(store.root / REVIEW_FOLDER)


def answers_by_source(store: Store) -> Answers:
    """Every standing answer in the journal of a store at this moment, by source.

    Raises:
        StoreError: a line of the journal is no answer.
    """
    found: dict[str, list[Answer]] = {}
    for answer in standing(journal(store).read()).values():
        found.setdefault(answer.key.partition("/")[0], []).append(answer)
    return {source: tuple(answers) for source, answers in found.items()}


def answers_digest(answers: tuple[Answer, ...]) -> str:
    """64 hex digits that name what was said, whatever the order, the time and the notes."""
    said = sorted([answer.key, answer.reviewer, answer.choice, answer.seen] for answer in answers)
    # of two who settle a conflict the later one counts
    settling = [[answer.key, answer.reviewer] for answer in answers if answer.settles]
    return fingerprint("answers", said, sorted(settling, key=lambda pair: pair[0]))


def human_columns(shards: Box, keys: pl.Series, answers: tuple[Answer, ...]) -> pl.DataFrame:
    """The scores that people give.

    Args:
        shards: samples of one source; an answer about a sample that reads otherwise today does not count.
        keys: (n,) keys of samples.
        answers: standing answers about samples of the source.

    Returns:
        (n, 6) frame in the order of `keys`: `human` (keep | drop; null with state `not_asked` where nobody said either,
        `no_answer` in a conflict), `human_reviewers` (people who said either), `human_conflict` (they disagree and
        nobody has settled it); the last two are null with state `not_asked` where nobody said either.
    """
    wanted = {answer.key for answer in answers}
    said = opinions(answers, dict(shown_of(shards, wanted))) if wanted else {}
    table = pl.DataFrame(
        [_row(key, opinion) for key, opinion in said.items()], {"key": pl.String, **HUMAN_SCORES}, orient="row"
    )
    found = pl.DataFrame({"key": keys}).join(table, on="key", how="left", maintain_order="left").drop("key")
    told = pl.col("human_reviewers").is_not_null()
    states = [pl.when(~told).then(pl.lit("not_asked")).alias(name + STATE_SUFFIX) for name in HUMAN_SCORES]
    undecided = pl.when(pl.col(HUMAN).is_null() & told).then(pl.lit("no_answer"))
    return found.with_columns(states).with_columns(
        pl.coalesce(HUMAN + STATE_SUFFIX, undecided).alias(HUMAN + STATE_SUFFIX)
    )


def _row(key: str, opinion: Opinion) -> tuple[str, str | None, int, bool]:
    return key, opinion.verdict, len(opinion.by), opinion.conflict


def shown_of(shards: Box, keys: set[str]) -> Iterator[tuple[str, str]]:
    """(key, `review.item.shown`) of samples of one source; only shards that hold one of them are read."""
    wanted = pl.Series("key", sorted(keys), pl.String)
    for number in range(len(shards.index(ShardsIndex).shards)):
        path = sample_path(shards.path, number)
        if read_samples(path, ["key"])["key"].is_in(wanted.implode()).any():
            frame = read_samples(path, ["key", "messages", "images", "videos"])
            # a loop over rows: each is hashed as JSON
            for key, messages, images, videos in frame.filter(pl.col("key").is_in(wanted.implode())).iter_rows():
                yield key, shown_sample(messages, images, videos)
