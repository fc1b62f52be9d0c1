"""Structure of the conversation, and answers that refuse."""

from dataclasses import dataclass
from typing import ClassVar, Final

import polars as pl

from filters.answer import answers, bare, has_text
from filters.base import Columns

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

    reads: ClassVar[tuple[str, ...]] = ("messages",)
    writes: ClassVar[Columns] = {"turn_defects": pl.Int32, "refusal": pl.Boolean}
    version: ClassVar[int] = 1

    def __call__(self, batch: pl.DataFrame) -> pl.DataFrame:
        """Scores of each sample; null where it has no text."""
        frame = batch.select(
            pl.int_range(pl.len()).alias("row"),
            has_text().alias("applies"),
            answers().list.eval(pl.element().str.contains(REFUSAL)).list.any().alias("refusal"),
        )
        defects = pl.when("applies").then(pl.col("turn_defects").fill_null(_NO_TURNS))
        return (
            frame.join(_defects(batch), on="row", how="left", maintain_order="left")
            .with_columns(defects.alias("turn_defects"))
            .select("turn_defects", "refusal")
            .cast(pl.Schema(self.writes))
        )


_NO_TURNS: Final = 2
"""Defects of a sample without any message after the system's: no user first, no assistant last."""


def _defects(batch: pl.DataFrame) -> pl.DataFrame:
    """Columns `row`, `turn_defects` of the samples with at least one message that is not the leading system's."""
    turns = (
        batch.select(pl.int_range(pl.len()).alias("row"), "messages")
        .filter(pl.col("messages").list.len() > 0)
        .explode("messages")
        .unnest("messages")
    )
    row, role, text = pl.col("row"), pl.col("role"), pl.col("text")
    opens = (row != row.shift(1)).fill_null(True)
    closes = (row != row.shift(-1)).fill_null(True)
    turns = turns.filter(~(opens & (role == "system")))
    before = role.shift(1)
    follows = ((role == "user") & (before == "assistant")) | ((role == "assistant") & (before == "user"))
    empty = ((role == "assistant") & (bare(text) == "")) | ((role == "user") & (text.str.strip_chars() == ""))
    wrong = (
        pl.when(opens).then(role != "user").otherwise(~follows).cast(pl.Int32)
        + (closes & (role != "assistant")).cast(pl.Int32)
        + empty.cast(pl.Int32)
    )
    return (
        turns.select("row", "role", wrong.alias("wrong"))
        .group_by("row")
        .agg(pl.when((role == "document").any()).then(0).otherwise(pl.col("wrong").sum()).alias("turn_defects"))
    )
