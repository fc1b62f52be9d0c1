"""Which rubric of quality fits a sample: by signs in its text, without a model."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from filters.base import Columns
from filters.texts import ASSISTANT, DOCUMENT, SYSTEM, USER, Texts, named

if TYPE_CHECKING:
    from filters.spotting import Spotter

DOMAINS: Final = ("disciplinary", "programming", "mathematics", "general")
"""The domains that InternVL 2.5 grades by prompts of their own. Source: arXiv 2412.05271, section 4.4."""

_HEAD: Final = 4000
"""Characters of questions, and of answers, that are looked at."""
_MOST: Final = 3
"""Times that one sign counts."""
_LEAST: Final = 2
"""Points below which a sample is `general`."""
_ORDER: Final = ("programming", "mathematics", "disciplinary")
"""Which of the domains wins where they tie."""


class Words(NamedTuple):
    """A sign: any of these words, a point each time. `_` stands for a space, `*` for the rest of a word."""

    words: str

    def phrases(self) -> list[str]:
        """The words as `filters.spotting` reads them."""
        return [f"|{word.replace('_', ' ')}|" for word in self.words.split()]


class Shape(NamedTuple):
    """A sign: a regular expression (Rust) with its points, looked for where one of each group of phrases is."""

    expression: str
    points: int
    needs: tuple[tuple[str, ...], ...]


Signs = tuple[Words | Shape, ...]


_OPTIONS: Final = tuple(f"|{letter}{mark}|" for letter in "abcd" for mark in ".):")
_STATEMENTS: Final = ("|def|", "|class|", "|import|", "#include", "|return|")
_CALLS: Final = ("|select|", "|create table|", "|insert into|", "console.log", "system.out", "print(", "printf(", "</")
_LATEX: Final = (("\\",),)
_SUBJECTS: Final[Signs] = (
    Words("physics chemistry biology chemical* molecul* atom atoms electron* protein* enzyme* photosynthesis"),
    Words("dna gene genes cells evolution ecosystem* species planet planets gravity thermodynamic* quantum"),
    Words("patient patients diagnos* symptom* disease* clinical medicine therapy anatomy vaccine*"),
    Words("history historical century empire treaty revolution world_war ancient dynasty president"),
    Words("econom* inflation supply_and_demand constitution legal supreme_court philosoph* psycholog*"),
)
_IN_QUESTIONS: Final[Mapping[str, Signs]] = {
    "programming": (
        Words("python java javascript typescript golang rust php sql html css bash regex json xml api compiler"),
        Words("source_code stack_trace time_complexity data_structure linked_list binary_tree pseudocode"),
        Shape(
            r"(?i)\b(?:write|create|implement|fix|debug|refactor)\b[^.?!\n]{0,40}"
            r"\b(?:code|function|program|script|query|class|algorithm)\b",
            2,
            (
                ("|write|", "|create|", "|implement|", "|fix|", "|debug|", "|refactor|"),
                ("|code|", "|function|", "|program|", "|script|", "|query|", "|class|", "|algorithm|"),
            ),
        ),
    ),
    "mathematics": (
        Words("solve_for solve_the equation equations integral derivative polynomial triangle perimeter theorem"),
        Words("probability factorise factorize square_root arithmetic algebra matrix prime_number latex formula"),
        Words("how_many how_much how_old how_far the_total the_sum the_average the_mean the_median the_range"),
        Words("twice half times_as in_total altogether per_hour per_day per_week each percent remain* left"),
        Words("prove_that calculate compute"),
    ),
    "disciplinary": (
        *_SUBJECTS,
        Shape(r"(?m)^\s*\(?[A-D][.):]\s", 1, (_OPTIONS,)),
    ),
}
_IN_ANSWERS: Final[Mapping[str, Signs]] = {
    "programming": (
        Shape(r"(?m)^\s*```[a-z+#]*\s*$", 2, (("```",),)),
        Shape(
            r"(?m)^\s*(?:def \w+\(|class \w+[(:{]|import \w|from [\w.]+ import |#include\s*<|return\b.*;)",
            2,
            (_STATEMENTS,),
        ),
        Shape(
            r"(?m)^\s*(?:public \w|function \w+\(|(?:var|let|const) \w+ ?=)",
            2,
            (("|public|", "|function|", "|var|", "|let|", "|const|"),),
        ),
        Shape(
            r"(?i)\b(?:select\s.{1,80}\sfrom|create table|insert into)\b|console\.log|system\.out|printf?\(|</\w+>",
            2,
            (_CALLS,),
        ),
    ),
    "mathematics": (
        Shape(
            r"\\(?:frac|sum|int|sqrt|boxed|cdot|times|left|right|begin|partial|infty|mathrm|mathbf|over|prime)\b",
            2,
            _LATEX,
        ),
        Shape(r"\\(?:alpha|beta|gamma|delta|theta|lambda|mu|pi|sigma|phi|psi|omega)\b", 1, _LATEX),
        Shape(
            r"\\(?:Phi|Psi|Omega|hat|tilde|bar|vec|dot|ddot|nabla|quad|label|langle|rangle|cal|rm|bf|pm|sim|equiv)\b",
            1,
            _LATEX,
        ),
        Shape(
            r"\\(?:mathcal|epsilon|varepsilon|varphi|approx|leq|geq|le|ge|in|to|rightarrow|Delta|Gamma|Lambda)\b",
            1,
            _LATEX,
        ),
        Shape(r"<<[^<>]*=[^<>]*>>|(?m)^#### ", 2, (("<<", "#### "),)),
        Shape(r"\d\s*[-+*/\u00d7\u00f7]\s*\$?\d[\d.,]*\s*=\s*\$?\d", 2, (("=",),)),
        Shape(r"\$[^$\n]*[\\^_=][^$\n]*\$", 2, (("$",), ("\\", "^", "_", "="))),
        Shape(r"[\^_]\s?\{", 1, (("{",),)),
    ),
    "disciplinary": _SUBJECTS,
}


@dataclass(frozen=True, slots=True)
class JudgeDomain:
    """Score `judge_domain`: `disciplinary`, `programming`, `mathematics` or `general`.

    Signs in the first 4,000 characters of all questions and of all answers (or the document) give points: code fences
    and statements, LaTeX and sums, words of school subjects. The domain with the most points wins, programming before
    mathematics before disciplinary where they tie; under 2 points a sample is `general`. The judge grades quality by
    the prompt of that domain; an entry's `judge_domain` stands over it.

    Source: domains of InternVL 2.5 (arXiv 2412.05271, section 4.4), which assigns them by data set; the signs are ours.
    """

    writes: ClassVar[Columns] = {"judge_domain": pl.String}
    version: ClassVar[int] = 1

    def __call__(self, texts: Texts) -> pl.DataFrame:
        """Domain of each sample; null where it has no text."""
        asked = _counted(texts, (SYSTEM, USER), _IN_QUESTIONS)
        told = _counted(texts, (ASSISTANT, DOCUMENT), _IN_ANSWERS)
        points = np.stack([asked[domain] + told[domain] for domain in _ORDER])
        chosen = np.where(points.max(axis=0) < _LEAST, len(_ORDER), points.argmax(axis=0))
        return pl.DataFrame({"judge_domain": named(texts.masked(chosen, pl.Int64), [*_ORDER, "general"])})


Points = npt.NDArray[np.int64]


class _Heads:
    """The beginnings of some messages of each sample as one text, and what stands in them."""

    def __init__(self, texts: Texts, roles: Collection[int]) -> None:
        from filters.spotting import count

        self.texts = texts
        self.members = np.flatnonzero(np.isin(texts.role, list(roles)))
        self.owner = texts.sample[self.members]
        ends = np.searchsorted(self.owner, np.arange(texts.num_samples + 1))
        self.counts = count(texts.codes, texts.starts, self.members, ends, spotter(), most=_HEAD)

    def where(self, needs: tuple[tuple[str, ...], ...]) -> Points:
        """Rows that hold one of each group of phrases, ascending."""
        columns = [_labels()[group] for group in needs]
        return np.flatnonzero((self.counts[:, columns] > 0).all(axis=1))

    def strings(self, rows: Points) -> pl.Series:
        """The texts of rows that have any message."""
        mine = np.isin(self.owner, rows)
        parts = {"row": self.owner[mine], "text": self.texts.strings.gather(self.members[mine])}
        joined = pl.DataFrame(parts).group_by("row", maintain_order=True).agg(pl.col("text").str.join("\n"))
        return joined["text"].str.head(_HEAD)


def _counted(texts: Texts, roles: Collection[int], signs: Mapping[str, Signs]) -> dict[str, Points]:
    """Points of each domain for each sample, from the messages with these roles."""
    heads = _Heads(texts, roles)
    shapes = [sign for own in signs.values() for sign in own if isinstance(sign, Shape)]
    rows = {shape: heads.where(shape.needs) for shape in shapes}
    looked_at = np.unique(np.concatenate(list(rows.values())))
    strings = heads.strings(looked_at)
    found = {domain: np.zeros(texts.num_samples, dtype=np.int64) for domain in _ORDER}
    for domain, own in signs.items():
        for sign in own:
            if isinstance(sign, Words):
                found[domain] += np.minimum(heads.counts[:, _labels()[tuple(sign.phrases())]], _MOST)
            else:
                if not len(rows[sign]):
                    continue
                chosen = strings.gather(np.searchsorted(looked_at, rows[sign]))
                times = chosen.str.count_matches(sign.expression).to_numpy()
                found[domain][rows[sign]] += np.minimum(times, _MOST).astype(np.int64) * sign.points
    return found


@cache
def _labels() -> dict[tuple[str, ...], int]:
    """Groups of phrases, and the label of each."""
    signs = [sign for table in (_IN_QUESTIONS, _IN_ANSWERS) for own in table.values() for sign in own]
    groups = [each for sign in signs for each in ((tuple(sign.phrases()),) if isinstance(sign, Words) else sign.needs)]
    return {group: label for label, group in enumerate(dict.fromkeys(groups))}


@cache
def spotter() -> "Spotter":
    """What finds the signs of all domains."""
    from filters.spotting import build

    return build(list(_labels()))
