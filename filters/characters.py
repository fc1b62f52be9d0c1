"""Kinds of characters: what damaged, garbled and hidden text looks like."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from filters.base import Columns
from filters.texts import Texts


@dataclass(frozen=True, slots=True)
class Characters:
    """Scores of the characters of all answers of a sample together; shares are 0..1, and 0 of nothing.

    Of all characters but white space: `special_share` neither letters nor digits nor marks over letters;
    `digit_share` digits. `upper_share`: capitals among Latin, Greek and Cyrillic letters.

    Counts: `control_chars` control codes without a use in text, noncharacters and NUL; `replacement_chars` U+FFFD;
    `mojibake` UTF-8 read as Latin-1 or Windows-1252, in sequences; `private_chars` of private use; `invisible_chars`
    without a glyph (zero-width space, soft hyphen, byte order mark), without the joiners of Persian, Indic scripts and
    emoji; `bidi_marks` marks and overrides of writing direction; `mark_run` the longest run of combining marks over
    one letter (Vietnamese has 2 when decomposed, Hebrew and Thai 3).

    `mixed_script_words`: words of three letters and more in which Latin letters stand beside Cyrillic or Greek ones,
    as in look-alike spelling. `odd_word_share`: of the Latin words of three letters and more, those that no language
    has: no vowel and not all capitals, nine consonants in a row, three changes of small to capital or between letters
    and digits, over 40 letters. Code and chemical formulas have them, and so has text read badly from a picture.

    Source: ours; special characters and digits as in OBELICS and OmniCorpus, repeated here as measures.
    """

    writes: ClassVar[Columns] = {
        "special_share": pl.Float64,
        "digit_share": pl.Float64,
        "upper_share": pl.Float64,
        "control_chars": pl.Int32,
        "replacement_chars": pl.Int32,
        "mojibake": pl.Int32,
        "private_chars": pl.Int32,
        "invisible_chars": pl.Int32,
        "bidi_marks": pl.Int32,
        "mark_run": pl.Int32,
        "mixed_script_words": pl.Int32,
        "odd_word_share": pl.Float64,
    }
    version: ClassVar[int] = 1

    def __call__(self, texts: Texts) -> pl.DataFrame:
        """Scores of each sample; null where no text filter applies."""
        from filters import census as rows
        from filters import kinds

        counts = rows.census(texts.codes, texts.starts, texts.answers)
        shown = counts[: kinds.NUM_KINDS].sum(axis=0) - counts[kinds.SPACE]
        plain = counts[kinds.DIGIT : kinds.COMBINING + 1].sum(axis=0)
        cased = counts[kinds.LATIN_LOWER : kinds.LETTER]
        shares = {
            "special_share": (shown - plain, shown),
            "digit_share": (counts[kinds.DIGIT], shown),
            "upper_share": (cased[1::2].sum(axis=0), cased.sum(axis=0)),
            "odd_word_share": (counts[rows.ODD], counts[rows.PLAIN]),
        }
        sums = {
            "control_chars": kinds.CONTROL,
            "replacement_chars": kinds.REPLACEMENT,
            "mojibake": rows.MOJIBAKE,
            "private_chars": kinds.PRIVATE,
            "invisible_chars": kinds.INVISIBLE,
            "bidi_marks": kinds.BIDI,
            "mixed_script_words": rows.MIXED,
        }
        found = {name: share(texts, part, whole) for name, (part, whole) in shares.items()}
        found |= {name: _reduced(texts, counts[row], "sum") for name, row in sums.items()}
        found["mark_run"] = _reduced(texts, counts[rows.MARK_RUN], "max")
        return pl.DataFrame({name: found[name] for name in self.writes})


def _reduced(texts: Texts, values: npt.NDArray[np.int32], how: Literal["sum", "max"]) -> pl.Series:
    return texts.per_sample(values, texts.answers, how, pl.Int32)


def share(texts: Texts, part: npt.NDArray[np.generic], whole: npt.NDArray[np.generic]) -> pl.Series:
    """(n,) Float64 of (k,) counts of the answers: part of the whole, both summed over a sample; 0 of nothing."""
    parts, wholes = (texts.reduced(values, texts.answers, "sum").astype(np.float64) for values in (part, whole))
    return texts.masked(np.divide(parts, wholes, out=wholes.copy(), where=wholes > 0), pl.Float64)
