"""Sizes of texts: characters, words, lines and sentences; and answers that stop in the middle."""

from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
import polars as pl

from filters.base import Columns
from filters.expressions import rows_with
from filters.texts import Texts, named

ENDINGS: Final = ("complete", "fence", "bracket", "comma", "sentence", "word")
"""Values of `ending`, the worst last."""

_WORD: Final = len(ENDINGS) - 1
_HANGING: Final = (
    r"(?:^|\s)(?:the|an|and|or|of|to|with|that|which|because|is|are|was|were|for|from|by|as|if|when|while|their|its|your|"
    r"our|his|my|der|die|das|und|oder|mit|von|le|les|des|et|ou|avec|el|los|las|y|con|para|que)$"
)
"""Regular expression (Rust) of a last word after which a sentence goes on: English, German, French, Spanish."""
_TAIL: Final = 12  # characters; the longest of these words and a space


@dataclass(frozen=True, slots=True)
class Sizes:
    """Scores of lines, words and sentences, beside those of `Lengths`, and of how answers end.

    `answer_lines`: lines with text of all answers. `longest_word` and `mean_word_chars`: characters of their words,
    cut at white space and CJK marks, where each Han or kana character is one word.

    `answer_sentences`, `longest_sentence`, `mean_sentence_words`: sentences and their words. Only lines of prose have
    sentences: no list items, table rows, headings, markup, formulas, code or indented lines; words without a letter
    and words with signs of code do not count. A sentence ends with a mark of its script or with its line, unless the
    next line goes on with a small letter. 0 where there is no prose.

    `ending`: how the answer ends that ends worst. `fence`: a code fence is open; `bracket`: a bracket of the last line
    is; `comma`: a comma or an opening bracket stands last; `sentence`: the last of four sentences or more lacks the
    mark that all others have, and has six words; `word`: such a sentence ends with a word like "the" or "und".
    `complete` is everything else, so all answers of a few words, but an open fence.

    Source: ours.
    """

    writes: ClassVar[Columns] = {
        "answer_lines": pl.Int32,
        "longest_word": pl.Int32,
        "mean_word_chars": pl.Float64,
        "answer_sentences": pl.Int32,
        "longest_sentence": pl.Int32,
        "mean_sentence_words": pl.Float64,
        "ending": pl.String,
    }
    version: ClassVar[int] = 1

    def __call__(self, texts: Texts) -> pl.DataFrame:
        """Scores of each sample; null where no text filter applies."""
        from filters import prose
        from filters.characters import share

        found = texts.prose
        rows = {
            "answer_lines": (prose.LINES, "sum"),
            "longest_word": (prose.LONGEST_WORD, "max"),
            "answer_sentences": (prose.SENTENCES, "sum"),
            "longest_sentence": (prose.LONGEST_SENTENCE, "max"),
        }
        scores = {
            name: texts.per_sample(found[row], texts.answers, "sum" if how == "sum" else "max", pl.Int32)
            for name, (row, how) in rows.items()
        }
        scores["mean_word_chars"] = share(texts, found[prose.WORD_CHARS], found[prose.WORDS])
        scores["mean_sentence_words"] = share(texts, found[prose.SENTENCE_WORDS], found[prose.SENTENCES])
        scores["ending"] = _endings(texts, found[prose.ENDING].astype(np.int64))
        return pl.DataFrame({name: scores[name] for name in self.writes})


def _endings(texts: Texts, endings: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> pl.Series:
    from filters import prose

    open_ones = np.flatnonzero(endings == prose.OPEN_SENTENCE)
    tails = texts.strings.gather(texts.answers[open_ones]).str.strip_chars_end().str.tail(_TAIL)
    hanging = rows_with(tails.str.to_lowercase(), np.arange(len(open_ones)), _HANGING)
    worst = endings.copy()
    worst[open_ones[hanging]] = _WORD
    codes = texts.per_sample(worst, texts.answers, "max", pl.Int32)
    return named(codes, ENDINGS)
