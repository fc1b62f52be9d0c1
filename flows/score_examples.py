"""Rows of a mixture around a threshold of one score, as people read them."""

import math
from typing import Final

import polars as pl
from pydantic import BaseModel

from flows.mixes import Mix
from flows.report.pick import scattered
from shards.schema import IMAGE_MARKER, VIDEO_MARKER

_BEFORE: Final = 60
_LONGEST: Final = 240  # characters of an excerpt
_ANSWERS: Final = ("assistant", "document")

Span = tuple[str, str, str]
"""Scores that say where a finding lies, see `flows.filter_page.FilterPage.span`."""


class Example(BaseModel):
    """One row: `before`, `marked` and `after` are pieces of its text, `marked` what the filter points at."""

    entry: str
    key: str
    value: float | bool | str
    side: str
    """`below` or `from` (the threshold on), or the value of a Boolean or word."""
    verdict: str
    before: str
    marked: str
    after: str
    pictures: list[str]
    """Width x height and format of each."""


def nearest(rows: pl.DataFrame, score: str, place: float | None, examples: int) -> pl.DataFrame:
    """Rows next to the threshold, half of them on each side; for Booleans and words, equal numbers of each value.

    Rows of equal value are taken from all over the mixture, a sample once.
    """
    known = rows.filter(pl.col(score).is_not_null()).with_columns(scattered().alias("spread"))
    if place is None:
        values = known[score].cast(pl.String).unique().sort()
        each = math.ceil(examples / max(1, len(values)))
        sides = [(str(value), known.filter(pl.col(score).cast(pl.String) == value)) for value in values]
        ordered = [(side, part.sort("spread", "source")) for side, part in sides]
    else:
        known = known.filter(pl.col(score).cast(pl.Float64).is_finite())
        each = examples // 2
        below, above = known.filter(pl.col(score) < place), known.filter(pl.col(score) >= place)
        ordered = [
            ("below", below.sort(score, "spread", "source", descending=[True, False, False])),
            ("from", above.sort(score, "spread", "source")),
        ]
    once = [(side, part.unique(["source", "position"], keep="first", maintain_order=True)) for side, part in ordered]
    chosen = [part.head(each).with_columns(pl.lit(side).alias("side")) for side, part in once]
    return pl.concat(chosen) if chosen else known.clear().with_columns(pl.lit("").alias("side"))


def examples_of(mix: Mix, chosen: pl.DataFrame, score: str, span: Span | None) -> list[Example]:
    """The chosen rows with their texts; only shards that hold one are read."""
    if chosen.is_empty():
        return []
    plain = chosen.with_columns(pl.col("entry", "source", "domain").cast(pl.String))
    decisions = pl.scan_parquet(mix.box.path / "decisions.parquet").select("entry", "position", "key")
    places = decisions.join(plain.lazy().select("entry", "position"), on=["entry", "position"], how="semi")
    rows = plain.join(places.collect(engine="streaming"), on=["entry", "position"], how="left", maintain_order="left")
    samples = mix.samples(rows.select("entry", "key", "position"))
    texts = samples.select("entry", "key", "messages", "images")
    rows = rows.join(texts, on=["entry", "key"], how="left", maintain_order="left")
    found = _spans(mix, rows["key"], span)
    return [_example(row, score, found.get(str(row["key"]))) for row in rows.iter_rows(named=True)]


def _spans(mix: Mix, keys: pl.Series, span: Span | None) -> dict[str, tuple[int, int, int]]:
    """Message, first character and characters of the finding in each sample, where the mixture's scores say so."""
    if span is None or not set(span) <= set(mix.score_names):
        return {}
    found = (
        mix.some_scores(["key", *span])
        .filter(pl.col("key").is_in(keys.implode()))
        .select("key", *span)
        .collect(engine="streaming")
    )
    return {key: (turn, start, chars) for key, turn, start, chars in found.drop_nulls().iter_rows()}


def _example(row: dict[str, object], score: str, span: tuple[int, int, int] | None) -> Example:
    messages, images = row["messages"], row["images"]
    assert isinstance(messages, list) and isinstance(images, list)
    before, marked, after = _pieces(messages, span)
    value = row[score]
    assert isinstance(value, float | int | bool | str)
    return Example(
        entry=str(row["entry"]),
        key=str(row["key"]),
        value=value,
        side=str(row["side"]),
        verdict=str(row["verdict"]),
        before=before,
        marked=marked,
        after=after,
        pictures=[f"{image['width']}x{image['height']} {image['format']}" for image in images],
    )


def _pieces(messages: list[dict[str, str]], span: tuple[int, int, int] | None) -> tuple[str, str, str]:
    """Text before, in and after the finding; without one the first answer, else the last message, cut."""
    if span and 0 <= span[0] < len(messages) and span[2] > 0:
        turn, start, chars = span
        text = messages[turn]["text"].replace(IMAGE_MARKER, "").replace(VIDEO_MARKER, "")
        return _cut_left(text[:start]), _cut(text[start : start + chars]), _cut(text[start + chars :])
    answers = [message["text"] for message in messages if message["role"] in _ANSWERS]
    text = answers[0] if answers else next((message["text"] for message in reversed(messages)), "")
    return _cut(text), "", ""


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _cut_left(text: str) -> str:
    return text if len(text) <= _BEFORE else f"...{text[-_BEFORE:]}"
