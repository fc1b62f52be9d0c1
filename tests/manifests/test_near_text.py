"""Clusters of near texts against an obvious search in Python."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manifests.near_text import NearTexts, Rows, TextSets, near_texts
from manifests.near_text_kernels import FEW_OWN, FEW_SAID, FEWEST_FILLED, MOST_KEPT, NEARLY_ALL

Text = tuple[frozenset[int], frozenset[int], int]
"""Shingles of the question and of the answer, and the numbers said."""


class Texts:
    """Texts whose bands are given: (n, bands); 0 is none."""

    def __init__(self, texts: list[Text], bands: list[list[int]]) -> None:
        self.texts = texts
        self._bands = np.array(bands, dtype=np.uint64).reshape(len(texts), len(bands[0]) if bands else 1)
        self.read: list[int] = []

    def bands(self) -> Iterator[np.ndarray]:
        yield from self._bands.T

    def sets(self, rows: Rows) -> TextSets:
        self.read = rows.tolist()
        values: list[int] = []
        places = []
        for question, answer, _ in (self.texts[row] for row in self.read):
            begin = len(values)
            values += sorted(question)
            middle = len(values)
            values += sorted(answer)
            places.append((begin, middle, len(values)))
        numbers = [self.texts[row][2] for row in self.read]
        return TextSets(
            np.array(values, np.uint32), np.array(places, np.int64).reshape(-1, 3), np.array(numbers, np.uint64)
        )


def jaccard(left: frozenset[int], right: frozenset[int]) -> float:
    return len(left & right) / len(left | right) if left | right else 1.0


def similarity(left: Text, right: Text) -> float:
    own = max(len(left[0] - right[0]), len(right[0] - left[0]))
    if 0 < min(len(left[1]), len(right[1])) <= FEW_SAID and own > FEW_OWN:
        return 0.0
    return min(jaccard(left[0], right[0]), jaccard(left[1], right[1]))


def obvious(texts: list[Text], bands: list[list[int]], least: float, *, same_numbers: bool = True) -> list[int]:
    kept: list[int] = []
    joined = []
    for row, text in enumerate(texts):
        near = [
            other
            for other in kept
            if any(mine == theirs != 0 for mine, theirs in zip(bands[row], bands[other], strict=True))
            and similarity(text, texts[other]) >= least
            and (texts[other][2] == text[2] or not same_numbers)
        ]
        joined.append(max(near, key=lambda other: (similarity(text, texts[other]), -other), default=row))
        if joined[-1] == row:
            kept.append(row)
    for row in kept:
        members = [other for other, to in enumerate(joined) if to == row != other]
        if len(members) >= FEWEST_FILLED and is_form([tagged(texts[each]) for each in (row, *members)]):
            joined = [place if to == row else to for place, to in enumerate(joined)]
    return joined


def tagged(text: Text) -> set[tuple[str, int]]:
    return {("question", value) for value in text[0]} | {("answer", value) for value in text[1]}


def is_form(texts: list[set[tuple[str, int]]]) -> bool:
    kept, *members = texts
    lacking = max((sum(value not in member for member in members) for value in kept), default=0)
    before = [members[-1], *members[:-1]]
    own = sum(bool(member - kept - other) for member, other in zip(members, before, strict=True))
    return min(lacking, own) >= NEARLY_ALL * len(members)


def check(found: NearTexts, texts: list[Text], expected: list[int]) -> None:
    assert found.kept.tolist() == expected
    for row, (other, value) in enumerate(zip(expected, found.similarity, strict=True)):
        assert np.isnan(value) if other == row else value == similarity(texts[row], texts[other])


SET = st.frozensets(st.integers(0, 7), max_size=6)
TEXTS = st.lists(
    st.tuples(st.tuples(SET, SET, st.integers(0, 1)), st.lists(st.integers(0, 3), min_size=3, max_size=3)), max_size=14
)


@settings(deadline=None)
@given(TEXTS, st.sampled_from([0.5, 0.8, 1.0]), st.booleans())
def test_every_text_joins_the_most_similar_kept_one(rows, least, same_numbers):
    texts, bands = [text for text, _ in rows], [list(band) for _, band in rows]
    found = near_texts(Texts(texts, bands), least, same_numbers=same_numbers)
    check(found, texts, obvious(texts, bands, least, same_numbers=same_numbers))
    assert (found.kept[found.kept] == found.kept).all()


def text(*question: int, answer: tuple[int, ...] = (1, 2, 3, 4, 5), numbers: int = 0) -> Text:
    return frozenset(question), frozenset(answer), numbers


TEN = tuple(range(10))


@pytest.mark.parametrize(
    ("other", "kept"),
    [
        (text(*TEN), 0),
        (text(*TEN[1:]), 0),  # 9 of 10
        (text(*TEN[:8]), 0),  # 8 of 10: the threshold itself
        (text(*TEN[:7]), 1),
        (text(*TEN, numbers=5), 1),
        (text(*TEN, answer=(2,)), 1),  # 10 of 12 in all, and another answer
        (text(*TEN, answer=()), 1),
    ],
)
def test_questions_and_answers_are_both_similar(other, kept):
    texts = Texts([text(*TEN), other], [[5], [5]])
    assert near_texts(texts, 0.8).kept.tolist() == [0, kept]


def test_members_are_like_the_kept_one_and_not_only_like_each_other():
    chain = [text(*range(start, start + 10)) for start in range(4)]  # neighbours share 9 of 11
    found = near_texts(Texts(chain, [[5]] * 4), 0.8)
    assert found.kept.tolist() == [0, 0, 2, 2]


def test_the_most_similar_kept_text_is_chosen_and_the_earliest_of_equals():
    kept = [text(*TEN[:9]), text(*TEN, 11, 12), text(*TEN[1:])]
    bands = [[5, 0, 0], [5, 0, 0], [0, 7, 8], [5, 7, 8]]  # the last of the kept ones shares most
    assert near_texts(Texts([*kept, text(*TEN)], bands), 0.8).kept.tolist() == [0, 1, 2, 0]


@pytest.mark.parametrize(
    ("own", "answer", "kept"),
    [
        (FEW_OWN, (1,), 0),
        (FEW_OWN + 1, (1,), 1),
        (FEW_OWN + 1, (1, 2, 3, 4), 1),
        (FEW_OWN + 1, (1, 2, 3, 4, 5), 0),
        (FEW_OWN + 1, (), 0),
    ],
)
@pytest.mark.parametrize("turned", [False, True])
def test_short_answers_do_not_tell_questions_apart(own, answer, kept, turned):
    long, longer = text(*range(100), answer=answer), text(*range(100 + own), answer=answer)
    assert near_texts(Texts([longer, long] if turned else [long, longer], [[5], [5]]), 0.8).kept.tolist() == [0, kept]


BODY = tuple(range(60))


def blank(row: int) -> list[int]:
    """A body in which five shingles are of the row alone."""
    return [*BODY[:30], *(1000 * row + place for place in range(5)), *BODY[35:]]


@pytest.mark.parametrize(
    ("family", "same"),
    [
        ([blank(row) for row in range(1, FEWEST_FILLED + 1)], True),  # few: as edits may be
        ([blank(row) for row in range(1, FEWEST_FILLED + 2)], False),
        ([blank(row) for row in range(1, 60)], False),
        ([blank(1), *([*blank(1), 5000 + row] for row in range(20))], True),  # more at the end, of one blank
        ([[*BODY, 100, 101], *(BODY[row:] for row in range(6))], True),  # the kept one has more than all others
        ([blank(1), *([*BODY, 5000 + row] for row in range(20))], False),  # a slip in the kept one looks the same
        (
            [
                [*BODY[: 5 * row], *(1000 * row + place for place in range(5)), *BODY[5 * row + 5 :]]
                for row in range(12)
            ],
            True,
        ),
    ],
)
@pytest.mark.parametrize("answers", [False, True])
def test_forms_that_are_filled_in_are_kept(family, same, answers):
    texts = [text(answer=tuple(values)) if answers else text(*values) for values in family]
    expected = [0] * len(family) if same else list(range(len(family)))
    assert near_texts(Texts(texts, [[5]] * len(family)), 0.8).kept.tolist() == expected


def test_texts_that_share_no_band_are_not_read():
    texts = Texts([text(*TEN)] * 5, [[1, 9], [2, 9], [0, 0], [0, 0], [4, 8]])
    assert near_texts(texts, 0.8).kept.tolist() == [0, 0, 2, 3, 4]
    assert texts.read == [0, 1]


@pytest.mark.parametrize("number", [0, 1, 3])
def test_nothing_shared(number):
    found = near_texts(Texts([text(*TEN)] * number, [[row + 1] for row in range(number)]), 0.8)
    assert found.kept.tolist() == list(range(number)) and np.isnan(found.similarity).all()


def test_a_template_that_many_fill_in():
    # one band for all and one that two copies share: looked up are the first texts of a band
    fillings = [text(*range(100 * row, 100 * row + 5)) for row in range(2000)]
    bands = [[7, row + 1] for row in range(2000)]
    copies = [(MOST_KEPT - 1, 0), (1500, 0), (1500, 1501)]
    texts = fillings + [fillings[row] for row, _ in copies]
    found = near_texts(Texts(texts, bands + [[7, band] for _, band in copies]), 0.8)
    assert found.kept[:2000].tolist() == list(range(2000))
    assert found.kept[2000:].tolist() == [MOST_KEPT - 1, 2001, 1500]
