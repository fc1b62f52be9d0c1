"""Which rubric of quality fits a sample: by signs in its text, without a model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

import polars as pl

from filters.answer import ANSWER_ROLES, has_text, roles
from filters.base import Columns

DOMAINS: Final = ("disciplinary", "programming", "mathematics", "general")
"""The domains that InternVL 2.5 grades by prompts of their own. Source: arXiv 2412.05271, section 4.4."""

_HEAD: Final = 4000
"""Characters of questions, and of answers, that are looked at."""
_MOST: Final = 3
"""Times that one sign counts."""
_LEAST: Final = 2
"""Points below which a sample is `general`."""

_PLAIN: Final = "(?i-u)"
"""How expressions over `plain` text start."""

Signs = tuple[tuple[str, int], ...]
"""(regular expression, points each time it is found)."""


def _words(words: str) -> str:
    """Regular expression of any of these words in `plain` text; `_` stands for a space, `*` for the rest of a word."""
    return rf"{_PLAIN}\b(?:{words.replace('*', chr(92) + 'w*').replace(' ', '|').replace('_', ' ')})\b"


def plain(text: pl.Expr) -> pl.Expr:
    """Text in ASCII in which words of ASCII letters are found where Unicode's rules find them in the text.

    Unicode's case folding makes these expressions ten times as slow. Only the Kelvin sign and the long s are folded to
    ASCII letters; for every other character it matters no more than whether words go on with it.
    """
    return (
        text.str.replace_all("\u212a", "k", literal=True)
        .str.replace_all("\u017f", "s", literal=True)
        .str.replace_all(r"[\w--\x00-\x7f]", "_")
        .str.replace_all(r"[^\x00-\x7f]", "~")
    )


_SUBJECTS: Final[Signs] = (
    (
        _words("physics chemistry biology chemical* molecul* atom atoms electron* protein* enzyme* photosynthesis"),
        1,
    ),
    (_words("dna gene genes cells evolution ecosystem* species planet planets gravity thermodynamic* quantum"), 1),
    (_words("patient patients diagnos* symptom* disease* clinical medicine therapy anatomy vaccine*"), 1),
    (_words("history historical century empire treaty revolution world_war ancient dynasty president"), 1),
    (_words("econom* inflation supply_and_demand constitution legal supreme_court philosoph* psycholog*"), 1),
)
_IN_QUESTIONS: Final[Mapping[str, Signs]] = {
    "programming": (
        (_words("python java javascript typescript golang rust php sql html css bash regex json xml api compiler"), 1),
        (_words("source_code stack_trace time_complexity data_structure linked_list binary_tree pseudocode"), 1),
        (
            r"(?i)\b(?:write|create|implement|fix|debug|refactor)\b[^.?!\n]{0,40}"
            r"\b(?:code|function|program|script|query|class|algorithm)\b",
            2,
        ),
    ),
    "mathematics": (
        (_words("solve_for solve_the equation equations integral derivative polynomial triangle perimeter theorem"), 1),
        (_words("probability factorise factorize square_root arithmetic algebra matrix prime_number latex formula"), 1),
        (_words("how_many how_much how_old how_far the_total the_sum the_average the_mean the_median the_range"), 1),
        (_words("twice half times_as in_total altogether per_hour per_day per_week each percent remain* left"), 1),
        (_words("prove_that calculate compute"), 1),
    ),
    "disciplinary": (
        *_SUBJECTS,
        (r"(?m)^\s*\(?[A-D][.):]\s", 1),
    ),
}
_IN_ANSWERS: Final[Mapping[str, Signs]] = {
    "programming": (
        (r"(?m)^\s*```[a-z+#]*\s*$", 2),
        (r"(?m)^\s*(?:def \w+\(|class \w+[(:{]|import \w|from [\w.]+ import |#include\s*<|return\b.*;)", 2),
        (r"(?m)^\s*(?:public \w|function \w+\(|(?:var|let|const) \w+ ?=)", 2),
        (r"(?i)\b(?:select\s.{1,80}\sfrom|create table|insert into)\b|console\.log|system\.out|printf?\(|</\w+>", 2),
    ),
    "mathematics": (
        (r"\\(?:frac|sum|int|sqrt|boxed|cdot|times|left|right|begin|partial|infty|mathrm|mathbf|over|prime)\b", 2),
        (r"\\(?:alpha|beta|gamma|delta|theta|lambda|mu|pi|sigma|phi|psi|omega)\b", 1),
        (r"\\(?:Phi|Psi|Omega|hat|tilde|bar|vec|dot|ddot|nabla|quad|label|langle|rangle|cal|rm|bf|pm|sim|equiv)\b", 1),
        (r"\\(?:mathcal|epsilon|varepsilon|varphi|approx|leq|geq|le|ge|in|to|rightarrow|Delta|Gamma|Lambda)\b", 1),
        (r"<<[^<>]*=[^<>]*>>|(?m)^#### ", 2),
        (r"\d\s*[-+*/\u00d7\u00f7]\s*\$?\d[\d.,]*\s*=\s*\$?\d", 2),
        (r"\$[^$\n]*[\\^_=][^$\n]*\$", 2),
        (r"[\^_]\s?\{", 1),
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

    reads: ClassVar[tuple[str, ...]] = ("messages",)
    writes: ClassVar[Columns] = {"judge_domain": pl.String}
    version: ClassVar[int] = 1

    def __call__(self, batch: pl.DataFrame) -> pl.DataFrame:
        """Domain of each sample; null where it has no text."""
        questions = roles(("system", "user")).list.join("\n").str.head(_HEAD).alias("questions")
        answers = roles(ANSWER_ROLES).list.join("\n").str.head(_HEAD).alias("answers")
        texts = batch.select(questions, answers, has_text().alias("applies")).with_columns(
            plain(pl.col("questions")).alias("questions_plain"), plain(pl.col("answers")).alias("answers_plain")
        )
        counted = texts.select(
            "applies",
            *[
                (_points("questions", _IN_QUESTIONS[domain]) + _points("answers", _IN_ANSWERS[domain])).alias(domain)
                for domain in DOMAINS[:-1]
            ],
        )
        # programming before mathematics before disciplinary where they tie
        order = ("programming", "mathematics", "disciplinary")
        best = pl.max_horizontal(order)
        winners = [pl.when(pl.col(domain) == best).then(pl.lit(domain)) for domain in order]
        chosen = pl.when(best < _LEAST).then(pl.lit("general")).otherwise(pl.coalesce(winners))
        return counted.select(pl.when("applies").then(chosen).alias("judge_domain"))


def _points(column: str, signs: Signs) -> pl.Expr:
    counted = [
        pl.col(f"{column}_plain" if sign.startswith(_PLAIN) else column)
        .str.count_matches(sign)
        .clip(upper_bound=_MOST)
        .cast(pl.Int32)
        * points
        for sign, points in signs
    ]
    return pl.sum_horizontal(pl.lit(0), *counted)
