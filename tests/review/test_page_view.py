import re

import pytest
from markupsafe import Markup
from PIL import Image
from test_export import item

from review.item import Comparison, Mark, Message, Reason, ReviewItem
from review.page_picture import SIDES, served
from review.page_text import HEAD
from review.page_view import OPEN_TURNS, lines, marks, part_of, turns
from shards.errors import PictureError

TAGS = re.compile(r"<[^>]*>")


def talk(*texts: str, found: tuple[Mark, ...] = ()) -> ReviewItem:
    messages = tuple(Message(role="assistant", text=text) for text in texts)
    return item(0).model_copy(update={"messages": messages, "marks": found})


def test_scores_stand_with_every_threshold() -> None:
    against = [("<", 7.0, -0.75), (">=", 6.0, 0.25)]
    reasons = tuple(
        Reason(
            rule=f"rule{number}",
            predicate="p",
            comparisons=(Comparison(score="quality", operator=sign, threshold=limit, distance=away),),  # type: ignore[arg-type]  # a Literal
        )
        for number, (sign, limit, away) in enumerate(against)
    )
    found = {line.name: line for line in lines(item(0).model_copy(update={"reasons": reasons}))}
    assert [(limit.rule, limit.text, limit.distance) for limit in found["quality"].limits] == [
        ("rule0", "< 7", "-0.75"),
        ("rule1", ">= 6", "+0.25"),
    ]
    assert found["quality"].places == (6.25, 7.0, 6.0)
    assert (found["repetition"].value, found["repetition"].places) == ("null (no_answer)", ())
    assert next(iter(found)) == "quality"


@pytest.mark.parametrize(
    ("loop", "copies"),
    [("abc " * 5, 5), ("abcabcab", 3), ("abc", 1), ("aaaa", 4), ("once upon a time", 1), ("ab" * 300, 200)],
)
def test_the_copies_of_a_loop_are_told_apart(loop: str, copies: int) -> None:
    text = f"before {loop} after"
    found = marks(talk(text, found=(Mark(turn=0, start=7, end=7 + len(loop), what="loop"),)), [])
    assert len(found) == copies
    assert "".join(text[mark.start : mark.end] for mark in found) == loop
    assert [mark.kind for mark in found] == (["loop", "copy"] * copies)[:copies]


def test_long_conversations_are_folded_and_whole() -> None:
    texts = [f"<b>turn {number}</b>" for number in range(OPEN_TURNS + 5)] + ["x" * (3 * HEAD)]
    shown = turns(talk(*texts), [])
    assert [len(turn.parts) for turn in shown] == [1] * (OPEN_TURNS + 5) + [3]
    assert sum(not turn.parts[0].boxes for turn in shown) == len(texts) - OPEN_TURNS
    for turn, text in zip(shown, texts, strict=True):
        parts = [part_of(talk(*texts), [], turn.number, part.start, part.end) for part in turn.parts]
        assert TAGS.sub("", Markup("").join(box for part in parts for box in part.boxes)) == Markup.escape(text)


@pytest.mark.parametrize(("turn", "start", "end"), [(-1, 0, 1), (1, 0, 1), (0, -1, 2), (0, 2, 2), (0, 0, 99)])
def test_parts_that_are_not_there(turn: int, start: int, end: int) -> None:
    with pytest.raises(IndexError):
        part_of(talk("hello"), [], turn, start, end)


def encoded(kind: str, size: tuple[int, int], mode: str = "RGB") -> bytes:
    import io

    buffer = io.BytesIO()
    Image.new(mode, size).save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("kind", "media_type"), [("PNG", "image/png"), ("JPEG", "image/jpeg"), ("GIF", "image/png"), ("BMP", "image/png")]
)
def test_pictures_have_one_of_two_types_and_a_bounded_size(kind: str, media_type: str) -> None:
    import io

    for size in SIDES:
        found = served(encoded(kind, (5000, 50)), size)
        assert found.media_type == media_type
        assert Image.open(io.BytesIO(found.data)).size[0] == min(SIDES[size], 5000)


@pytest.mark.parametrize(
    "data",
    [b"", b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>", b"<html>", b"%PDF-1.7", b"GIF89a"],
)
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(PictureError):
        served(data, "fit")
