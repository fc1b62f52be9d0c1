"""Multiple-choice questions and what became of their options."""

from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
import polars as pl

from filters.base import Columns
from filters.expressions import rows_with
from filters.pairs import Pairs, pairs
from filters.texts import Texts, named

CHOICES: Final = ("none", "answered", "missing", "unanswered")
"""Values of `choice`, the worst last."""

_SIGNS: Final = ("B)", "B.")
_FIRST_TWO: Final = tuple(rf"(?m)(?:^\s*{letter}\.\s|(?:^|[\s(]){letter}\))\s*\S" for letter in "AB")
"""Two options: "A." at the start of a line, or "A)" anywhere; "Person A: ..." is none."""
_LETTER: Final = (
    r"(?:^|[^A-Za-z'\u2019])(?:[B-HJ]|A(?:$|[^A-Za-z\s'\u2019]|\s+(?:$|[^a-z\s]|is\b|and\b|or\b)))"
    r"(?:$|[^A-Za-z'\u2019])|A\s*$"
)
"""An option by its letter; "A" before a small letter is an article, "I" a person."""
_ASKS: Final = (
    r"(?i)\b(?:choose|select|pick)\b[^.:\n]{0,60}\b(?:options|choices|alternatives|(?:the|these) following|below)"
    r"(?: (?:options|choices|answers|words|ones|list))?\W{0,3}$"
)
"""A request to choose that ends the question."""
_ASK_SIGNS: Final = ("choose", "select", "pick")


@dataclass(frozen=True, slots=True)
class Choices:
    """Score `choice` of multiple-choice questions: `none`, `answered`, `missing` or `unanswered`.

    A question with options "A" and "B" is `answered` if the next answer names an option by its letter, holds the text
    of one, or is a part of one; otherwise `unanswered`. `missing`: a question ends with a request to choose from the
    following, and nothing follows; the options may stand in a picture. Of several questions the worst counts.

    Source: ours.
    """

    writes: ClassVar[Columns] = {"choice": pl.String}
    version: ClassVar[int] = 1

    def __call__(self, texts: Texts) -> pl.DataFrame:
        """Score of each sample; null where no text filter applies."""
        found = pairs(texts)
        asked = texts.strings.gather(found.questions)
        kinds = np.zeros(len(found.questions), dtype=np.int64)
        optional = _all_found(asked, asked.str.contains_any(list(_SIGNS)), _FIRST_TWO)
        if len(optional):
            kinds[optional] = np.where(_answered(texts, found, optional), 1, 3)
        requests = asked.str.contains_any(list(_ASK_SIGNS), ascii_case_insensitive=True)
        suspects = np.flatnonzero(requests.to_numpy())
        ends = asked.gather(suspects).str.strip_chars_end()
        missing = suspects[rows_with(ends, np.arange(len(suspects)), _ASKS)]
        kinds[np.setdiff1d(missing, optional)] = 2
        worst = texts.per_sample(kinds, found.answers, "max", pl.Int32)
        return pl.DataFrame({"choice": named(worst, CHOICES)})


def _all_found(
    asked: pl.Series, suspects: pl.Series, expressions: tuple[str, ...]
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Places of the suspects in which every expression finds something."""
    places = np.flatnonzero(suspects.to_numpy())
    for expression in expressions:
        places = rows_with(asked, places, expression)
    return places


def _answered(
    texts: Texts, found: Pairs, optional: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Whether the answers to these questions name an option."""
    frame = pl.DataFrame(
        {
            "question": texts.strings.gather(found.questions[optional]),
            "answer": texts.strings.gather(found.answers[optional]).str.strip_chars(),
        }
    ).with_row_index("row")
    plain = pl.col("answer").str.strip_chars(" .\"'").str.to_lowercase()
    part = pl.col("question").str.to_lowercase().str.contains(plain, literal=True)
    option = pl.col("option").str.slice(2).str.strip_chars_start().str.strip_chars(" .,;\n\t").str.to_lowercase()
    named = (
        frame.with_columns(pl.col("question").str.replace_all(r"[\s(]([A-J][.)]\s*\S)", "\n$1").alias("lines"))
        .with_columns(pl.col("lines").str.extract_all(r"(?m)^[A-J][.)][^\n]+").alias("option"))
        .explode("option", empty_as_null=True)
        .group_by("row", maintain_order=True)
        .agg((plain.str.contains(option, literal=True) & (option != "")).any().fill_null(False).alias("named"))
    )
    letter = pl.col("answer").str.contains(_LETTER)
    return frame.select(letter | ((plain != "") & part) | named["named"]).to_series().to_numpy()
