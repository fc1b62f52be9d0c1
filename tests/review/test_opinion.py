"""Many answers become one opinion a sample, and figures about the people who gave them."""

from collections.abc import Iterable

import pytest
from test_journal import MOMENT

from review.agreement import agreement, cohens_kappa
from review.answer import Answer, Choice
from review.opinion import Opinion, opinions, standing


def said(lines: Iterable[str]) -> list[Answer]:
    """Answers from words such as `ann keep 1`, `bob drop 1 settles` or `ann keep 1 entry=b`."""
    found = []
    for number, line in enumerate(lines):
        reviewer, choice, key, *rest = line.split()
        entry = next((word.removeprefix("entry=") for word in rest if word.startswith("entry=")), "a")
        found.append(
            Answer(
                answer_id=str(number),
                item=f"r{entry.encode().hex():0>2}{int(key):018x}",
                entry=entry,
                key=f"s/train/{key}",
                seen=("1" if "changed" in rest else "0") * 20,
                choice=choice,  # type: ignore[arg-type]  # words of `Choice`
                reviewer=reviewer,
                at=MOMENT,
                via="page",
                settles="settles" in rest,
            )
        )
    return found


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["ann keep 1"], Opinion("keep", False, {"ann": "keep"})),
        (["ann keep 1", "ann drop 1"], Opinion("drop", False, {"ann": "drop"})),
        (["ann keep 1", "bob keep 1"], Opinion("keep", False, {"ann": "keep", "bob": "keep"})),
        (["ann keep 1", "bob drop 1"], Opinion(None, True, {"ann": "keep", "bob": "drop"})),
        (["ann keep 1", "bob drop 1", "ann drop 1"], Opinion("drop", False, {"ann": "drop", "bob": "drop"})),
        (["ann keep 1", "bob drop 1", "bob undo 1"], Opinion("keep", False, {"ann": "keep"})),
        (["ann keep 1", "bob skip 1"], Opinion("keep", False, {"ann": "keep"})),
        (
            ["ann keep 1", "bob drop 1", "eve drop 1 settles", "ann keep 1"],
            Opinion("drop", False, {"ann": "keep", "bob": "drop", "eve": "drop"}, "eve"),
        ),
        (
            ["eve drop 1 settles", "ann keep 1 settles"],
            Opinion("keep", False, {"ann": "keep", "eve": "drop"}, "ann"),
        ),
        # a sample in two entries is one sample: what the person said last counts
        (["ann keep 1", "ann drop 1 entry=b"], Opinion("drop", False, {"ann": "drop"})),
        (["ann keep 1", "ann drop 1 entry=b", "ann keep 1"], Opinion("keep", False, {"ann": "keep"})),
        (["ann keep 1", "ann drop 1 entry=b", "ann undo 1 entry=b"], Opinion("keep", False, {"ann": "keep"})),
    ],
)
def test_one_opinion_a_sample(lines: list[str], expected: Opinion) -> None:
    assert opinions(said(lines)) == {"s/train/1": expected}


@pytest.mark.parametrize("lines", [[], ["ann skip 1"], ["ann keep 1", "ann undo 1"], ["ann keep 1", "ann skip 1"]])
def test_no_word_no_opinion(lines: list[str]) -> None:
    assert opinions(said(lines)) == {}


def test_an_answer_about_what_reads_otherwise_today_does_not_count() -> None:
    answers = said(["ann keep 1 changed", "bob drop 1", "ann keep 2"])
    assert opinions(answers, {"s/train/1": "0" * 20}) == {"s/train/1": Opinion("drop", False, {"bob": "drop"})}


def test_answers_stand_in_the_order_of_the_last_word() -> None:
    answers = said(["ann keep 1", "bob keep 1", "ann drop 1"])
    assert [(reviewer, answer.choice) for (reviewer, _), answer in standing(answers).items()] == [
        ("bob", "keep"),
        ("ann", "drop"),
    ]


@pytest.mark.parametrize(
    ("samples", "equal", "left", "right", "expected"),
    [
        (50, 35, 25, 30, 0.4),  # 20 both keep, 15 both drop, 5 and 10 apart: the example of the English Wikipedia
        (100, 60, 70, 60, 0.130435),  # 45 + 15 equal, likewise
        (100, 60, 60, 30, 0.259259),  # 25 + 35 equal, likewise: the same agreement, another kappa
        (10, 10, 5, 5, 1.0),
        (10, 0, 5, 5, -1.0),
        (10, 10, 10, 10, None),
    ],
)
def test_kappa(samples: int, equal: int, left: int, right: int, expected: float | None) -> None:
    assert cohens_kappa(samples, equal, left, right) == expected


def test_every_two_reviewers_with_samples_in_common() -> None:
    lines = [f"{name} {choice} {key}" for name, choices in WORDS.items() for key, choice in enumerate(choices)]
    found = {(pair.left, pair.right): pair for pair in agreement(said([*lines, "eve keep 9", "bob keep 3 changed"]))}
    assert list(found) == [("ann", "bob")]
    pair = found["ann", "bob"]
    assert (pair.samples, pair.equal, pair.agreement) == (3, 2, round(2 / 3, 6))
    assert pair.kappa == 0.4


WORDS: dict[str, list[Choice]] = {"ann": ["keep", "drop", "keep", "drop"], "bob": ["keep", "drop", "drop", "drop"]}
