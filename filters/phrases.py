"""Phrases and tokens that should not stand in an answer: all are found in one walk over the text."""

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, ClassVar, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from filters.base import Columns
from filters.phrase_table import FENCE, PHRASES, URL
from filters.texts import ASSISTANT, DOCUMENT, Texts

if TYPE_CHECKING:
    from filters.automaton import Automaton

_EVERYWHERE: Final = ("template_tokens", "picture_tokens")
"""Phrases that are as bad in a question as in an answer."""
_OUTSIDE_CODE: Final = ("html_tags", "template_tokens", "role_labels", "fill_ins", "picture_tokens")
"""Phrases that a code fence, or back ticks, may hold for a reason."""


@dataclass(frozen=True, slots=True)
class Phrases:
    """Counts of phrases in all answers of a sample, and `url_share`; filters/phrase_table.py has the phrases.

    `ai_phrases`: the answer speaks of itself as an AI ("as an AI"); `refusal_phrases`: it says that it cannot ("I
    cannot assist"), anywhere, where `refusal` looks at the start alone; both in English, German, French, Spanish,
    Chinese and Japanese. `boilerplate_phrases`: web pages' own words ("click here", cookie banners, "all rights
    reserved"). `fill_ins`: places left to be filled in ("[insert name]", "TODO:", lorem ipsum). `html_tags`: HTML tags
    and entities. `role_labels`: lines that start with "Human:", "ASSISTANT:" and the like. `template_tokens`: leftovers
    of chat templates ("<|im_end|>", "### Response:", "[INST]"); `picture_tokens`: leaked picture placeholders of other
    trainers; these two are counted in all messages. What stands in code fences or back ticks does not count, but for
    the first three.

    `url_share`: share (0..1) of the answers' characters that web addresses take.

    Source: ours.
    """

    writes: ClassVar[Columns] = {
        **{name: pl.Int32 for name in PHRASES if name not in (URL, FENCE)},
        "url_share": pl.Float64,
    }
    version: ClassVar[int] = 1

    def __call__(self, texts: Texts) -> pl.DataFrame:
        """Scores of each sample; null where no text filter applies."""
        from filters.automaton import find, url_chars

        hits = find(texts.codes, texts.starts, automaton())
        groups = _groups()[hits.phrase]
        answers = np.isin(texts.role, (ASSISTANT, DOCUMENT))
        scores = {}
        for number, name in enumerate(PHRASES):
            chosen = groups == number
            if name in self.writes:
                counted = chosen & ~(hits.in_code & (name in _OUTSIDE_CODE))
                if name not in _EVERYWHERE:
                    counted &= answers[hits.message]
                counts = np.bincount(texts.sample[hits.message[counted]], minlength=texts.num_samples)
                scores[name] = texts.masked(counts, pl.Int32)
        urls = (groups == list(PHRASES).index(URL)) & answers[hits.message]
        sizes = url_chars(texts.codes, texts.starts, hits.message[urls], hits.start[urls])
        scores["url_share"] = _share(texts, hits.message[urls], sizes)
        return pl.DataFrame({name: scores[name] for name in self.writes})


def _share(texts: Texts, messages: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64]) -> pl.Series:
    part = np.bincount(texts.sample[messages], weights=sizes, minlength=texts.num_samples)
    lengths = np.diff(texts.starts)[texts.answers]
    whole = texts.reduced(lengths, texts.answers, "sum").astype(np.float64)
    return texts.masked(np.divide(part, whole, out=whole.copy(), where=whole > 0), pl.Float64)


@cache
def automaton() -> "Automaton":
    """What finds all phrases."""
    from filters.automaton import ON_LINE_START, OPEN_END, TOGGLES, build

    phrases = [phrase for group in PHRASES.values() for phrase in group]
    fences = set(PHRASES[FENCE])
    flags = [
        (ON_LINE_START if phrase.startswith("^") else 0)
        | (OPEN_END if phrase.endswith("*") else 0)
        | (TOGGLES if phrase in fences else 0)
        for phrase in phrases
    ]
    return build([phrase.removeprefix("^").removesuffix("*") for phrase in phrases], flags)


@cache
def _groups() -> npt.NDArray[np.int64]:
    return np.repeat(np.arange(len(PHRASES)), [len(group) for group in PHRASES.values()])
