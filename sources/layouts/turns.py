"""Conversations of records as messages."""

from collections.abc import Callable, Sequence
from typing import Final

from shards.markers import escape
from shards.schema import IMAGE_MARKER, VIDEO_MARKER, Role
from sources.layouts.value import RowError, as_text, columns, kind, shown
from sources.record import Message

_ROLES: Final[dict[str, Role]] = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "system": "system",
    "Answer": "assistant",
}

_SLIPS: Final = ("Answer",)
"""Roles that a publisher wrote by mistake; each counts as a repair."""

_SPELLINGS: Final = (("from", "value"), ("role", "content"))


def read_turns(value: object, name: str, text: Callable[[str], str]) -> tuple[Message, ...]:
    """A list of {from, value} or {role, content} objects as messages, each text passed through `text`.

    Raises:
        RowError: `wrong_type` or `missing_field`.
    """
    return tuple(
        Message(role_of(turn[role_name], name), text(as_text(turn[text_name], f"{name}.{text_name}")))
        for turn, role_name, text_name in _checked(value, name)
    )


def renamed(value: object) -> tuple[str, ...]:
    """The repair `role_renamed` where a list of turns has a role that its publisher wrote by mistake."""
    turns = value if isinstance(value, list) else []
    roles = [turn.get(name) for turn in turns if isinstance(turn, dict) for name, _ in _SPELLINGS]
    return ("role_renamed",) if any(role in _SLIPS for role in roles if isinstance(role, str)) else ()


def exchange(question: str, answer: str, *, pictures: int = 1) -> tuple[Message, Message]:
    """A question behind its pictures, a marker and a newline each, and the answer; both texts are escaped."""
    return (
        Message("user", f"{IMAGE_MARKER}\n" * pictures + escape(question)),
        Message("assistant", escape(answer)),
    )


NO_QUESTION: Final = "expected at least one question or text, found an empty list"


def dialogue(texts: Sequence[str], *, pictures: int) -> tuple[Message, ...]:
    """Questions and answers of one row as one dialogue; see `alternating`.

    Raises:
        RowError: there is none, or an answer is missing.
    """
    if not texts:
        raise RowError("missing_field", NO_QUESTION)
    return alternating(texts, pictures=pictures)


def alternating(texts: Sequence[str], *, pictures: int = 1) -> tuple[Message, ...]:
    """User and assistant texts in turn as messages, the pictures before the first, all texts escaped.

    Raises:
        RowError: `wrong_type`, they are not pairs.
    """
    if not texts or len(texts) % 2:
        raise RowError("wrong_type", f"expected pairs of question and answer, found {len(texts)} texts")
    pairs = zip(texts[::2], texts[1::2], strict=True)
    return tuple(
        message
        for index, (question, answer) in enumerate(pairs)
        for message in exchange(question, answer, pictures=0 if index else pictures)
    )


def read_parts(value: object, name: str, text: Callable[[object], str]) -> tuple[Message, ...]:
    """Like `read_turns` for turns whose content is not always a string; `text` gets it as it is.

    Raises:
        RowError: `wrong_type` or `missing_field`.
    """
    return tuple(
        Message(role_of(turn[role_name], name), text(turn[text_name]))
        for turn, role_name, text_name in _checked(value, name)
    )


def role_of(value: object, name: str) -> Role:
    """Our word for a role.

    Raises:
        RowError: `wrong_type`.
    """
    role = _ROLES.get(value) if isinstance(value, str) else None
    if role is None:
        raise RowError("wrong_type", f"expected a role in `{name}` ({', '.join(_ROLES)}), found {shown(value)}")
    return role


def count(messages: tuple[Message, ...], marker: str) -> int:
    """How often a marker stands in a conversation."""
    return sum(message.text.count(marker) for message in messages)


def mended(
    messages: tuple[Message, ...], *, marker: str, media: int, prompt: str | None
) -> tuple[tuple[Message, ...], tuple[str, ...]]:
    """The conversation with what upstream loaders add to it, and the names of these repairs.

    `prompt_added`: the first user turn is nothing but markers and the source has a `prompt`. `marker_added`: there is
    one picture or video and no marker at all, so it comes before the first user turn.
    """
    first = next((i for i, message in enumerate(messages) if message.role == "user"), None)
    if first is None:
        return messages, ()
    text = messages[first].text
    repairs: tuple[str, ...] = ()
    if prompt is not None and not text.replace(IMAGE_MARKER, "").replace(VIDEO_MARKER, "").strip():
        text, repairs = f"{text.rstrip()}\n{prompt}".lstrip("\n"), ("prompt_added",)
    if media == 1 and not count(messages, IMAGE_MARKER) and not count(messages, VIDEO_MARKER):
        text, repairs = f"{marker}\n{text}", (*repairs, "marker_added")
    return (*messages[:first], Message("user", text), *messages[first + 1 :]), repairs


def _checked(value: object, name: str) -> list[tuple[dict[str, object], str, str]]:
    if not isinstance(value, list) or not value:
        found = "an empty list" if isinstance(value, list) else kind(value)
        raise RowError("wrong_type", f"expected a list of turns in `{name}`, found {found}")
    return [(turn, *_spelling(turn, name)) for turn in value]


def _spelling(turn: object, name: str) -> tuple[str, str]:
    if not isinstance(turn, dict):
        raise RowError("wrong_type", f"expected objects in `{name}`, found {kind(turn)}")
    for role_name, text_name in _SPELLINGS:
        if role_name in turn and text_name in turn:
            return role_name, text_name
    raise RowError("missing_field", f"expected from and value, or role and content, in `{name}`, found {columns(turn)}")
