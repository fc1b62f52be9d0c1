"""From samples to requests and from replies to score columns; pure functions, the same for every judge."""

import math
import re
from collections.abc import Iterable, Mapping
from typing import Final

import polars as pl
from polars._typing import PolarsDataType

from filters.answer import has_text
from filters.judges.base import GRADES, Reply, ReplyState, Request
from shards.schema import ROLES, STATE_SUFFIX, NullState

_SUFFIXES: Final[Mapping[str, PolarsDataType]] = {
    "": pl.Float64,
    "_mode": pl.Int32,
    "_spread": pl.Float64,
    "_mass": pl.Float64,
    "_cut": pl.Boolean,
}

PROBS_SUFFIX: Final = "_probs"
PROBS: Final = pl.List(pl.Float64)
"""Dtype of a distribution: 11 numbers, or null. Ledgers hold it; rules cannot read lists."""

NULL_STATE: Final[Mapping[ReplyState, NullState | None]] = {
    "scored": None,
    "empty": "not_applicable",
    "no_answer": "no_answer",
    "engine_error": "error",
}
"""Why the score is null, by the state of the reply."""

_HEADER: Final = re.compile(rf"^=== ({'|'.join(ROLES)}) ===$", re.MULTILINE)
_LIKE_HEADER: Final = re.compile(rf"^(\\*=== (?:{'|'.join(ROLES)}) ===)$", re.MULTILINE)
_ESCAPED_HEADER: Final = re.compile(rf"^\\(\\*=== (?:{'|'.join(ROLES)}) ===)$", re.MULTILINE)


def render(messages: Iterable[Mapping[str, str]]) -> str:
    r"""Write a conversation as a judge reads it: each message below a header line with its role.

    A line of text that looks like a header gets a backslash, so that no sample can put words into another's mouth;
    `parse` takes it away again.

    >>> print(render([{"role": "user", "text": "Why?"}, {"role": "assistant", "text": "=== user ==="}]))
    === user ===
    Why?
    === assistant ===
    \=== user ===
    """
    return "\n".join(f"=== {turn['role']} ===\n" + _LIKE_HEADER.sub(r"\\\1", turn["text"]) for turn in messages)


def parse(sample_text: str) -> list[dict[str, str]]:
    """Messages (`role`, `text`) of a text that `render` wrote."""
    _, *parts = _HEADER.split(sample_text)
    roles, texts = parts[::2], parts[1::2]
    last = len(texts) - 1
    bodies = [text[1:] if place == last else text[1:-1] for place, text in enumerate(texts)]
    return [{"role": role, "text": _ESCAPED_HEADER.sub(r"\1", body)} for role, body in zip(roles, bodies, strict=True)]


def requests(batch: pl.DataFrame, prompt_id: str) -> list[Request]:
    """One request of text for each sample of `batch` (column `messages`); "" where it has no text."""
    rows = batch.select("messages", has_text().alias("applies")).iter_rows()
    # A loop over rows: the result is one Python object for each.
    return [Request(prompt_id, render(messages) if applies else "") for messages, applies in rows]


def score_types(criterion: str) -> dict[str, PolarsDataType]:
    """Scores of a criterion, by name, as rules may name them."""
    return {criterion + suffix: dtype for suffix, dtype in _SUFFIXES.items()}


def scores(replies: list[Reply], criterion: str) -> pl.DataFrame:
    """Score columns of the replies, as a ledger keeps them.

    Returns:
        (n, 7) frame. `X`: the expected grade 0..10. `X_mode`: the likeliest grade, the lowest of several. `X_spread`:
        standard deviation of the grades, 0..5. `X_mass`: see `Reply.mass`. `X_cut`: whether the judge saw a shortened
        sample. `X_probs`: (11,) probability of each grade. `X_state`: why `X` is null, null where it is not. Where the
        reply is `no_answer` only mass and cut are known; otherwise nothing is.
    """
    columns = {**score_types(criterion), criterion + PROBS_SUFFIX: PROBS, criterion + STATE_SUFFIX: pl.String}
    # A loop over rows: a reply is a Python object.
    return pl.DataFrame([_row(reply) for reply in replies], schema=columns, orient="row")


def _row(reply: Reply) -> tuple[float | int | bool | list[float] | str | None, ...]:
    asked = reply.state in {"scored", "no_answer"}
    mass, cut = (reply.mass, reply.cut) if asked else (None, None)
    if reply.probs is None:
        return None, None, None, mass, cut, None, NULL_STATE[reply.state]
    expected = sum(grade * share for grade, share in enumerate(reply.probs))
    variance = sum(share * (grade - expected) ** 2 for grade, share in enumerate(reply.probs))
    mode = max(range(GRADES), key=reply.probs.__getitem__)
    return expected, mode, math.sqrt(variance), mass, cut, list(reply.probs), None
