import re

import pytest
from markupsafe import escape

from review.page_text import CHUNK, HEAD, PART, TAIL, Mark, boxes, folds, marked

TAG = re.compile(r"<[^>]*>")


@pytest.mark.parametrize("size", [0, 1, HEAD, HEAD + TAIL, HEAD + TAIL + 401, 2_000_000])
@pytest.mark.parametrize("first", [None, 0, 900, 5_000, 1_000_000, 1_999_990])
@pytest.mark.parametrize("closed", [False, True])
def test_folds_cover_a_text_once(size: int, first: int | None, closed: bool) -> None:
    marks = [] if first is None or first >= size else [Mark(0, first, min(size, first + 50_000), "loop", "loop")]
    found = folds(size, marks, closed=closed)
    assert [fold.start for fold in found[1:]] == [fold.end for fold in found[:-1]]
    assert all(fold.start < fold.end for fold in found) or size == 0
    assert (found[0].start, found[-1].end) == (0, size) if size else True
    assert sum(fold.end - fold.start for fold in found if fold.shown) <= HEAD + TAIL + 3_500
    if marks:
        assert any(fold.shown and fold.start <= marks[0].start < fold.end for fold in found)


def test_boxes_hold_the_text_and_end_with_lines() -> None:
    text = "word & word\n" * 10_000 + "x" * 50_000
    found = boxes(text, 5, len(text), [])
    assert "".join(found) == escape(text[5:])
    assert all(len(box) <= 5 * CHUNK for box in found)
    assert all(box.endswith("\n") for box in found[:5])


def test_marks_may_overlap_and_be_cut() -> None:
    marks = [Mark(0, 2, 6, "loop", "a"), Mark(0, 4, 9, "hit", "b"), Mark(0, 20, 90, "copy", "<c>")]
    html = marked("0123456789" * 3, 1, 25, marks)
    assert TAG.sub("", html) == ("0123456789" * 3)[1:25]
    assert html.count("<mark") == 3 and 'title="&lt;c&gt;"' in html
    assert '<mark class="loop" title="a">2345</mark><mark class="hit" title="b">678</mark>9' in html


def test_a_part_is_bounded() -> None:
    assert PART <= 100_000  # what one press may ask of a browser
