"""Which text the text filters measure: the answers of a sample, as Polars expressions.

`filters.texts` reads them as code points.

An answer is an assistant turn or a whole document, without picture and video markers. A sample that holds no text and
no assistant turn (pictures only) has no answers: null, `not_applicable`.
"""

from collections.abc import Sequence
from typing import Final

import polars as pl

from shards.schema import IMAGE_MARKER, VIDEO_MARKER

ANSWER_ROLES: Final = ("assistant", "document")

MESSAGES: Final = pl.List(pl.Struct({"role": pl.String, "text": pl.String}))
"""Polars dtype of the column `messages`."""


_MARKERS: Final = f"{IMAGE_MARKER}|{VIDEO_MARKER}"


def roles(names: Sequence[str]) -> pl.Expr:
    """List of the texts of all messages with one of these roles, without markers."""
    turn = pl.element()
    chosen = turn.filter(turn.struct.field("role").is_in(list(names))).struct.field("text")
    return pl.col("messages").list.eval(chosen.str.replace_all(_MARKERS, ""))


def has_text() -> pl.Expr:
    """Whether the text filters apply: an assistant turn (empty ones too) or any message with text; from `messages`."""
    turn = pl.element()
    counts = (turn.struct.field("role") == "assistant") | (bare(turn.struct.field("text")) != "")
    return pl.col("messages").list.eval(counts).list.any()


def answers() -> pl.Expr:
    """Answers of each sample from `messages`: a list of at least one text, null where no text filter applies.

    A sample with a question and no assistant turn has the one answer "".
    """
    found = roles(ANSWER_ROLES)
    return pl.when(has_text()).then(pl.when(found.list.len() > 0).then(found).otherwise(pl.lit([""])))


def bare(text: pl.Expr) -> pl.Expr:
    """Text without picture and video markers and without white space around it."""
    return text.str.replace_all(_MARKERS, "").str.strip_chars()
