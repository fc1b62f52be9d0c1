"""Structure of the conversation, and answers that refuse."""

from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from filters.base import Columns
from filters.expressions import rows_with
from filters.texts import ASSISTANT, DOCUMENT, SYSTEM, USER, Texts

_VERBS: Final = (
    r"(?:access|analy[sz]e|answer|assist|browse|complete|comply|create|determine|display|draw|edit|engage|execute|"
    r"find|fulfil|generate|give|help|identify|interpret|open|perform|play|process|produce|provide|read|respond|see|"
    r"send|share|show|support|tell|translate|view|watch|write)"
)
_UNABLE: Final = (
    r"(?:i\s+(?:can(?:no|\W)t|can\s+not|am\s+(?:unable|not\s+able)\s+to|do\s+not\s+have\s+(?:the\s+ability|access)|"
    r"don\Wt\s+have\s+(?:the\s+ability|access))|i\Wm\s+(?:unable|not\s+able)\s+to)"
)
REFUSAL: Final = (
    r"(?i)^\W*(?:as\s+an?\s+(?:ai|artificial\s+intelligence|(?:large\s+)?language\s+model)\b"
    r"|(?:(?:i\s+am|i\Wm)\s+)?(?:very\s+|really\s+)?sorry,?\s+(?:but\s+)?(?:as\s+an\s+ai\b|" + _UNABLE + r"\b)"
    r"|(?:i\s+apologi[sz]e|my\s+apologies|unfortunately),?\s+(?:but\s+)?(?:as\s+an\s+ai\b|" + _UNABLE + r"\b)"
    r"|" + _UNABLE + r"\s+(?:directly\s+|actually\s+|physically\s+)?(?:to\s+)?" + _VERBS + r"\b"
    "|(?:\u5f88?\u62b1\u6b49|\u5bf9\u4e0d\u8d77)[^a-z]{0,8}\u6211(?:\u65e0\u6cd5|\u4e0d\u80fd)"
    "|\u4f5c\u4e3a(?:\u4e00\u4e2a|\u4e00\u540d)?(?:ai|\u4eba\u5de5\u667a\u80fd))"
)
"""Regular expression (Rust, and Python alike) that finds a refusal at the start of an answer. Source: ours.

English: "As an AI ...", "I'm sorry, but I cannot ...", "I am unable to provide ..."; "I cannot wait" and "I'm sorry
for your loss" are none. Chinese: "sorry, I am unable to", "as an AI".
"""


_OPENINGS: Final = np.frombuffer("".join(("as", "i ", "so", "ve", "re", "un", "my")).encode(), dtype=np.uint8).reshape(
    -1, 2
)
"""The first two characters of what `REFUSAL` finds, in small letters; a space stands for all but letters and digits."""


@dataclass(frozen=True, slots=True)
class Turns:
    """Scores `turn_defects` and `refusal` of a conversation.

    `turn_defects` counts, after an optional first system message: 1 if the first message is not the user's; 1 for each
    later message that is neither a user turn after an assistant turn nor the reverse; 1 if the last message is not the
    assistant's (also when there is none); 1 for each assistant turn without text and for each user turn that is
    empty even of markers. A document has 0.

    `refusal` is true where an answer starts with a phrase of refusal, see `REFUSAL`.

    Source: ours.
    """

    writes: ClassVar[Columns] = {"turn_defects": pl.Int32, "refusal": pl.Boolean}
    version: ClassVar[int] = 1

    def __call__(self, texts: Texts) -> pl.DataFrame:
        """Scores of each sample; null where no text filter applies."""
        from filters.openings import may_open

        suspects = texts.answers[may_open(texts.codes, texts.starts, texts.answers, _OPENINGS)]
        refuses = np.isin(texts.answers, rows_with(texts.strings, suspects, REFUSAL))
        return pl.DataFrame(
            {
                "turn_defects": texts.masked(_defects(texts), pl.Int32),
                "refusal": texts.per_sample(refuses, texts.answers, "max", pl.Boolean),
            }
        )


_NO_TURNS: Final = 2
"""Defects of a sample without any message after the system's: no user first, no assistant last."""


def _defects(texts: Texts) -> npt.NDArray[np.int64]:
    """(n,) defects of the turns of each sample."""
    opens = np.diff(texts.sample, prepend=-1) != 0
    kept = np.flatnonzero(~(opens & (texts.role == SYSTEM)))
    role, sample = texts.role[kept], texts.sample[kept]
    before = np.concatenate((role[:1], role[:-1]))
    follows = ((role == USER) & (before == ASSISTANT)) | ((role == ASSISTANT) & (before == USER))
    after_system = np.diff(sample, prepend=-1) != 0
    closes = np.diff(sample, append=-1) != 0
    wrong = np.where(after_system, role != USER, ~follows).astype(np.int64) + (closes & (role != ASSISTANT))
    wrong += _empty(texts)[kept]
    defects = np.bincount(sample, wrong, texts.num_samples).astype(np.int64)
    defects[~np.isin(np.arange(texts.num_samples), sample)] = _NO_TURNS
    defects[sample[role == DOCUMENT]] = 0
    return defects


def _empty(texts: Texts) -> npt.NDArray[np.bool_]:
    """(m,) whether a message is an assistant's without text, or a user's that is empty even of markers."""
    from filters.decoding import any_text

    empty = ~any_text(texts.codes, texts.starts)
    asked = np.flatnonzero(empty & (texts.role == USER))
    empty[asked] = (texts.raw.gather(asked).str.strip_chars() == "").to_numpy()
    empty[(texts.role != USER) & (texts.role != ASSISTANT)] = False
    return empty
