"""Something that stands where content should be: in answers, and in questions that speak of what nobody gave."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from filters.base import Columns
from filters.expressions import rows_with
from filters.texts import USER, Texts, named

_LONGEST: Final = 60  # characters of an answer that is nothing but a placeholder
PLACEHOLDERS: Final = {
    "marks": r"^[\s\W_]*$",
    "not_available": (
        r"(?i)^\W*(?:n/?a|nil|null|nan|none|undefined|unknown|not (?:applicable|available)|tb[ad]|"
        r"\u65e0|\u6ca1\u6709)\W*$"
    ),
    "output": (
        r"(?i)^\W*(?:(?:no|empty|blank)[ _-]?(?:out ?put|input|answer|response|content|text|result|solution)s?"
        r"(?: (?:is )?(?:needed|required|necessary|provided|given|available|generated|possible|found))?|"
        r"(?:your|the|insert|write|enter|add|put|type)(?: \w+){0,2} (?:answer|response|output|text|content)"
        r"(?: (?:goes )?here)|to ?do|placeholder|(?:answer|response|output) (?:goes )?here|lorem ipsum\b.*|"
        r"\[(?:image|picture|photo|drawing|video|audio|output|answer|response)\b[^\]]*\]?|"
        "\u65e0\u8f93\u51fa|\u6682\u65e0|\u6b64\u5904\u586b\u5199.{0,6})" + r"\W*$"
    ),
}
"""What a whole answer that is a placeholder looks like, the worst last: Rust regular expressions."""
_NO: Final = "no"

_MOST: Final = 2000  # characters of a question beyond which it brings its content along
_FEW: Final = 250  # characters beside web addresses
_SEEN: Final = (
    r"image|picture|photo(?:graph)?|painting|drawing|illustration|screenshot|diagram|chart|graph|figure|map|logo|"
    r"video|audio|cartoon|comic|artwork|poster|plot"
)
MISSING: Final = {
    "placeholder": (
        r"(?im)^\W*(?:no[ _-]?inputs?(?: (?:is )?(?:needed|required|necessary|provided|given|available|text))?|n/a|"
        r"none|not applicable|no (?:additional|further|specific) (?:input|context|information)(?: \w+)?|"
        r"input not (?:needed|required|provided))\W*$"
    ),
    "text": (
        r"(?i)\b(?:following|given|below|provided)\b[^\n:.?!]{0,60}:\s*$|"
        r"^\W*(?:[\[<](?:insert|paste|enter|your|link|text|article|passage|document|code|data)\b[^\]>\n]{0,80}[\]>]\W*)$|"
        r"[\[<](?:insert|paste|enter|link to|text of|(?:article|passage|document|text)\W*$)[^\]>\n]{0,80}[\]>]\W*$"
    ),
    "link": r"(?im)^[^\n]{0,90}(?:https?://|www\.)\S+[^\n\w]{0,3}(?:\"[^\"\n]*\"\)?)?\s*$",
    "picture": (
        r"(?i)\[(?:(?:attached|insert|an?|the|sample)[ _])?(?:" + _SEEN + r")\b[^\[\]\n]{0,160}\](?:\s*$|\s*\n)|"
        r"<(?:" + _SEEN + r")(?: (?:of|showing|provided|attached|here)\b[^<>\n]{0,160})?>|<\\\\*(?:image|video)>|"
        r"!\[[^\]\n]*\]\s?[\[(]|"
        r"\b(?:image|picture|photo(?:graph)?|screenshot|figure|diagram) (?:below|attached|provided|shown)\b|"
        r"\b(?:attached|following|accompanying) (?:image|picture|photo(?:graph)?|screenshot)\b|"
        r"\b(?:shown |seen |depicted )?in (?:this|the) (?:image|picture|photo(?:graph)?|screenshot)\b"
    ),
}
"""What a question that speaks of content nobody gave looks like, the surest last: Rust regular expressions."""
_SIGNS: Final = {
    "placeholder": ("input", "n/a", "none", "not applicable", "context", "information"),
    "link": ("http", "www."),
    "picture": (
        *("[", "<\\", "<i", "<p", "<d", "<s", "<c", "<g", "<f", "<m", "<l", "<v", "<a"),
        *("image", "picture", "photo", "screenshot", "figure", "diagram"),
    ),
}
"""What a question of each kind holds, in small letters; looked for first, as it is cheap."""
_ENDS: Final = r"[:>\]]\W{0,3}$"
"""How a question ends that announces a text."""


@dataclass(frozen=True, slots=True)
class Placeholders:
    """Scores `placeholder` of answers and `missing_content` of questions, and `empty_answers`.

    `placeholder`: what an answer is that is nothing but a placeholder; `no` where none is. `output`: words for no
    output ("<nooutput>", "[image]", "your answer here"); `not_available`: "N/A", "none", "unknown", which may be the
    right answer to a question about a table; `marks`: dashes, dots or question marks alone. Of several answers the
    worst counts. `empty_answers`: answers without any text.

    `missing_content`: what a question speaks of and does not bring along; `no` where there is nothing of the kind.
    `picture`: a picture, in words or as a link in Markdown or brackets; a rule should ask whether the sample has one;
    `link`: a web address as the thing to work on; `text`: "the following text:" with nothing after; `placeholder`: a
    line such as "noinput". Questions above 2,000 characters bring their content. Of several questions the surest sign
    counts; `no` without a question.

    Source: ours; kinds of defects as in rows of Alpaca.
    """

    writes: ClassVar[Columns] = {"placeholder": pl.String, "missing_content": pl.String, "empty_answers": pl.Int32}
    version: ClassVar[int] = 1

    def __call__(self, texts: Texts) -> pl.DataFrame:
        """Scores of each sample; null where no text filter applies."""
        from filters.decoding import trimmed_sizes

        sizes = trimmed_sizes(texts.codes, texts.starts, texts.answers)
        empty = texts.per_sample((sizes == 0).astype(np.int64), texts.answers, "sum", pl.Int32, empty=1)
        return pl.DataFrame(
            {
                "placeholder": _kinds(texts, texts.answers[(sizes > 0) & (sizes <= _LONGEST)], PLACEHOLDERS),
                "missing_content": _missing(texts),
                "empty_answers": empty,
            }
        )


def _missing(texts: Texts) -> pl.Series:
    users = np.flatnonzero(texts.role == USER)
    users = users[np.diff(texts.starts)[users] <= _MOST]
    asked = texts.strings.gather(users)
    suspects = asked.str.contains_any(sorted(set().union(*_SIGNS.values())), ascii_case_insensitive=True).to_numpy()
    suspects[rows_with(asked.str.tail(4), np.flatnonzero(~suspects), _ENDS)] = True
    return _kinds(texts, users[suspects], MISSING)


def _kinds(texts: Texts, messages: npt.NDArray[np.int64], kinds: Mapping[str, str]) -> pl.Series:
    """The last of the kinds whose expression finds something in any of a sample's messages; `no` without one."""
    found = texts.strings.gather(messages).str.strip_chars()
    numbers = np.zeros(len(messages), dtype=np.int64)
    for index, (kind, expression) in enumerate(kinds.items(), 1):
        rows = np.arange(len(messages))
        if kind == "text":
            rows = rows_with(found.str.tail(4), rows, _ENDS)
        elif kind in _SIGNS:
            rows = rows[found.str.contains_any(list(_SIGNS[kind]), ascii_case_insensitive=True).to_numpy()]
        rows = rows_with(found, rows, expression)
        if kind == "link" and len(rows):
            beside = found.gather(rows).str.replace_all(r"(?:https?://|www\.)\S*", "").str.len_chars()
            rows = rows[(beside <= _FEW).to_numpy()]
        numbers[rows] = index
    worst = texts.per_sample(numbers, messages, "max", pl.Int32)
    return named(worst, [_NO, *kinds])
