"""The texts of samples that a benchmark may have in common with them: questions, answers, documents."""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from filters.texts import ASSISTANT, DOCUMENT, USER, Texts

Hashes = npt.NDArray[np.uint64]
Indices = npt.NDArray[np.int64]

VERSION: Final = 1
"""Raised whenever the same texts may give other hashes."""

SHORT: Final = 8
"""Words below which a text says too little to be known again. Source: GPT-3, arXiv 2005.14165, appendix C (8 to 13)."""

ANSWER_WORDS: Final = 8
"""Words of an answer, from its first on, that another must have in a row to agree with it."""

PAIR_ANSWER_WORDS: Final = 3
"""Words from which on an answer makes a short question known again."""


class Words(NamedTuple):
    """Content words of m texts: `hashes[starts[i]:starts[i + 1]]`, see `filters.leak_words.content_words`."""

    hashes: Hashes
    starts: Indices

    def counts(self) -> Indices:
        """(m,) int64 words of each text."""
        return np.diff(self.starts)

    def of(self, text: int) -> Hashes:
        """The words of one text."""
        return self.hashes[self.starts[text] : self.starts[text + 1]]


@dataclass(frozen=True, eq=False)
class Turns:
    """Messages of n samples as words, and which of them ask and answer.

    Attributes:
        words: of the m messages.
        sample: (m,) int64 row in the batch.
        role: (m,) uint8, index in `shards.schema.ROLES`.
        answer: (m,) int64 message that answers this question; -1 where none does.
    """

    words: Words
    sample: Indices
    role: npt.NDArray[np.uint8]
    answer: Indices

    @property
    def asked(self) -> Indices:
        """Messages that questions of a benchmark are looked for in: user turns and documents."""
        return np.flatnonzero((self.role == USER) | (self.role == DOCUMENT))

    @property
    def told(self) -> Indices:
        """Messages that answers of a benchmark are looked for in: assistant turns and documents."""
        return np.flatnonzero((self.role == ASSISTANT) | (self.role == DOCUMENT))


def read_turns(texts: Texts) -> Turns:
    """The messages of a batch as words."""
    from filters.folding import lower_table
    from filters.leak_words import content_words

    words = Words(*content_words(texts.codes, texts.starts, lower_table()))
    answer = np.full(len(texts.role), -1, dtype=np.int64)
    follows = np.flatnonzero(
        (texts.role[:-1] == USER) & (texts.role[1:] == ASSISTANT) & (texts.sample[:-1] == texts.sample[1:])
    )
    answer[follows] = follows + 1
    return Turns(words, texts.sample, texts.role, answer)


def words_of_strings(strings: pl.Series) -> Words:
    """The words of texts without picture markers, (m,) String."""
    from filters.decoding import code_points
    from filters.folding import lower_table
    from filters.leak_words import content_words

    column = strings.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(pa.large_string())
    if not len(column):
        return Words(np.empty(0, np.uint64), np.zeros(1, np.int64))
    _, offsets, data = column.buffers()
    places = np.frombuffer(offsets, np.int64)[column.offset : column.offset + len(column) + 1]
    codes, starts = code_points(np.frombuffer(data or b"", np.uint8), places)[:2]
    return Words(*content_words(codes, starts, lower_table()))


def first_lines(texts: Texts) -> pl.Series:
    """(m,) String: the first line of each message that has more, else the empty text.

    Layouts write the options of a question on lines of their own; training rows may leave them out, or have others.
    """
    lines = texts.strings.str.strip_chars().str.split_exact("\n", 1).struct
    return pl.select(
        pl.when(lines.field("field_1").is_not_null()).then(lines.field("field_0")).otherwise(pl.lit(""))
    ).to_series()


def pair_hashes(turns: Turns) -> tuple[Indices, Hashes]:
    """Questions that are known again by their answer alone, and one hash for both.

    Those are short ones whose answer makes up for it: `SHORT` words together, `PAIR_ANSWER_WORDS` of them the answer's.

    Returns:
        (k,) int64 messages and (k,) uint64 hashes.
    """
    from filters.leak_words import run_hashes

    counts, runs = turns.words.counts(), run_hashes(turns.words.hashes, turns.words.starts)
    questions = np.flatnonzero((turns.role == USER) & (turns.answer >= 0) & (counts < SHORT) & (counts > 0))
    answers = turns.answer[questions]
    enough = (counts[answers] >= PAIR_ANSWER_WORDS) & (counts[questions] + counts[answers] >= SHORT)
    questions, answers = questions[enough], answers[enough]
    return questions, runs[questions] * np.uint64(0x9E3779B97F4A7C15) ^ runs[answers]
