"""Which text the text filters measure: the answers of a sample, as Polars expressions and as code points.

An answer is an assistant turn or a whole document, without picture and video markers. A sample that holds no text and
no assistant turn (pictures only) has no answers: null, `not_applicable`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from filters.base import Columns
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


@dataclass(frozen=True, slots=True)
class CodePoints:
    """All answers of a batch as one array of Unicode code points, as the compiled kernels read them.

    Attributes:
        codes: (sum of characters,) uint32.
        starts: (m + 1,) int64; answer i is `codes[starts[i]:starts[i + 1]]`.
        owner: (m,) int64; row of the sample that answer i belongs to.
        applies: (n,) bool; false where a sample has no answers.
    """

    codes: npt.NDArray[np.uint32]
    starts: npt.NDArray[np.int64]
    owner: npt.NDArray[np.int64]
    applies: npt.NDArray[np.bool_]

    def worst_frame(self, columns: Columns, values: npt.NDArray[np.generic]) -> pl.DataFrame:
        """(n, c) frame of the largest of each sample's values, from (c, m) values; null where it has no answers."""
        applies = pl.Series(self.applies)
        frame = []
        for (name, dtype), row in zip(columns.items(), values, strict=True):
            largest = np.zeros(len(self.applies), dtype=row.dtype)
            np.maximum.at(largest, self.owner, row)
            frame.append(pl.when(applies).then(pl.Series(largest, dtype=dtype)).alias(name))
        return pl.select(frame)


def code_points(batch: pl.DataFrame) -> CodePoints:
    """Answers of the samples in `batch` (column `messages`) as code points."""
    texts = batch.select(answers().alias("answers")).to_series()
    per_row = texts.list.len().fill_null(0).to_numpy()
    flat = list(chain.from_iterable(texts.drop_nulls().to_list()))
    starts = np.zeros(len(flat) + 1, dtype=np.int64)
    np.cumsum([len(text) for text in flat], out=starts[1:])
    # UTF-32 of a valid string is its code points; Arrow strings cannot hold lone surrogates, so this cannot fail
    codes = np.frombuffer("".join(flat).encode("utf-32-le"), dtype="<u4")
    return CodePoints(codes, starts, np.repeat(np.arange(len(texts)), per_row), texts.is_not_null().to_numpy())
