"""From samples to requests and from replies to score columns; pure functions, the same for every judge."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

import polars as pl

from filters.answer import has_text
from filters.judges.base import Reply, ReplyState, Request
from shards.schema import ROLES, STATE_SUFFIX, NullState

MASS_SUFFIX: Final = "_mass"

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


def scores(replies: list[Reply], name: str) -> pl.DataFrame:
    """Score columns of the replies.

    Returns:
        (n, 3) frame: `name`, the expected grade 0..10 (Float64); `name_mass`, see `Reply.mass`, null where the model
        was not asked or failed (Float64); `name_state`, why the score is null (String).
    """
    columns = {name: pl.Float64, name + MASS_SUFFIX: pl.Float64, name + STATE_SUFFIX: pl.String}
    rows = [(_expected(reply), _asked_mass(reply), NULL_STATE[reply.state]) for reply in replies]
    return pl.DataFrame(rows, schema=columns, orient="row")


def _expected(reply: Reply) -> float | None:
    if reply.probs is None:
        return None
    return sum(grade * share for grade, share in enumerate(reply.probs))


def _asked_mass(reply: Reply) -> float | None:
    return reply.mass if reply.state in {"scored", "no_answer"} else None
