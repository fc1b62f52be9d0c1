"""Conversations as LLaVA and its heirs write them, and the traps in them."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from mini_hub.case import Messages, Source


class Talk(NamedTuple):
    """A conversation, the messages (or the reason) it has to become, and how many pictures its row has."""

    trap: str
    turns: Any
    expected: Messages | str
    pictures: int = 1


def turn(role: str, text: Any) -> dict[str, Any]:
    return {"from": role, "value": text}


def plain(source: Source, pictures: int = 1) -> Talk:
    """One to three exchanges."""
    texts = [text for _ in range(source.random.randint(1, 3)) for text in (source.question(), source.answer())]
    texts[0] = "<image>\n" * pictures + texts[0]
    return _as_written("plain", texts, pictures)


def _as_written(trap: str, texts: list[str], pictures: int = 1) -> Talk:
    turns = [turn(("human", "gpt")[index % 2], text) for index, text in enumerate(texts)]
    expected = tuple((("user", "assistant")[index % 2], text) for index, text in enumerate(texts))
    return Talk(trap, turns, expected, pictures)


def text_only(source: Source) -> Iterator[Talk]:
    """Conversations without pictures."""
    asked, answered = source.question(), source.answer()
    yield _as_written("empty_answer", [asked, ""], 0)
    yield _as_written(
        "other_scripts", ["\u8bf7\u95ee\u8fd9\u662f\u4ec0\u4e48\uff1f", "\u0647\u0630\u0627 \u2028 \U0001f3d4\ufe0f"], 0
    )
    yield _as_written("code", [asked, "```python\nif a < b:\n\tprint('<img>')\n```\n"], 0)
    yield _as_written("blank_ends", [f"  {asked} \n", f"{answered}\t"], 0)
    yield Talk(
        "marker_without_picture", [turn("human", f"<image>\n{asked}"), turn("gpt", answered)], "marker_mismatch", 0
    )
    yield Talk("unknown_role", [turn("tool", asked), turn("gpt", answered)], "wrong_type", 0)
    yield Talk("no_turns", [], "wrong_type", 0)
    yield Talk("null_turns", None, "wrong_type", 0)
    yield Talk("null_text", [turn("human", asked), turn("gpt", None)], "wrong_type", 0)
    yield Talk(
        "system_first",
        [turn("system", "Be brief."), turn("human", asked), turn("gpt", answered)],
        (("system", "Be brief."), ("user", asked), ("assistant", answered)),
        0,
    )
    yield Talk(
        "user_and_assistant",
        [turn("user", asked), turn("assistant", answered)],
        (("user", asked), ("assistant", answered)),
        0,
    )
    yield Talk(
        "escaped_literal",
        [turn("human", r"What is <\image> in TeX?"), turn("gpt", r"<\\image> or <\video>")],
        (("user", r"What is <\\image> in TeX?"), ("assistant", r"<\\\image> or <\\video>")),
        0,
    )


def with_picture(source: Source) -> Iterator[Talk]:
    """Conversations about one picture."""
    asked, answered = source.question(), source.answer()
    prompt = source.entry.get("prompt")
    yield _as_written("marker_at_end", [f"{asked}\n<image>", answered])
    yield _as_written("marker_within", [f"Look: <image> {asked}", answered])
    yield _as_written("marker_without_newline", [f"<image>{asked}", answered])
    yield _as_written(
        "marker_in_later_turn", [asked, answered, f"And here?\n<image>\n{source.question()}", source.answer()]
    )
    yield _as_written("empty_answer", [f"<image>\n{asked}", ""])
    yield Talk(
        "marker_missing",
        [turn("human", asked), turn("gpt", answered)],
        (("user", f"<image>\n{asked}"), ("assistant", answered)),
    )
    yield Talk(
        "prompt_absent",
        [turn("human", "<image>"), turn("gpt", answered)],
        (("user", f"<image>\n{prompt}" if prompt else "<image>"), ("assistant", answered)),
    )
    yield Talk(
        "role_answer",
        [turn("human", f"<image>\n{asked}"), turn("Answer", answered)],
        (("user", f"<image>\n{asked}"), ("assistant", answered)),
    )
    yield Talk(
        "assistant_first",
        [turn("gpt", "Welcome."), turn("human", f"<image>\n{asked}"), turn("gpt", answered)],
        (("assistant", "Welcome."), ("user", f"<image>\n{asked}"), ("assistant", answered)),
    )
    yield Talk(
        "marker_missing_after_system",
        [turn("system", "Be brief."), turn("human", asked), turn("gpt", answered)],
        (("system", "Be brief."), ("user", f"<image>\n{asked}"), ("assistant", answered)),
    )
    yield Talk(
        "marker_repeated", [turn("human", f"<image>\n<image>\n{asked}"), turn("gpt", answered)], "marker_mismatch"
    )
    yield Talk(
        "marker_in_answer", [turn("human", f"<image>\n{asked}"), turn("gpt", f"<image> {answered}")], "marker_mismatch"
    )
