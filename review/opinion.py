"""What the reviewers together say about a sample: one verdict, none yet, or a conflict that somebody must settle."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from review.answer import Answer

DECIDING: Final = ("keep", "drop")
"""Choices that say something about a sample."""


@dataclass(frozen=True, slots=True)
class Opinion:
    """About one sample. `verdict` is None where nobody has said keep or drop, and in a `conflict`.

    `by` holds what each reviewer who said keep or drop said last, by name; `settled` the name of the person whose word
    ended a conflict.
    """

    verdict: Literal["keep", "drop"] | None
    conflict: bool
    by: Mapping[str, str]
    settled: str | None = None


def standing(answers: Iterable[Answer]) -> dict[tuple[str, str], Answer]:
    """The last answer of each (reviewer, sample key) that was not taken back, in the order in which they came.

    A sample may stand in several entries of a mixture and so in several items; a person speaks about the sample.
    """
    items: dict[tuple[str, str], Answer] = {}
    for answer in answers:
        place = (answer.reviewer, answer.item)
        items.pop(place, None)  # so that a later answer stands later
        if answer.choice != "undo":
            items[place] = answer
    return {(answer.reviewer, answer.key): answer for answer in items.values()}


def opinions(answers: Iterable[Answer], shown: Mapping[str, str] | None = None) -> dict[str, Opinion]:
    """What the reviewers say, by sample key; only of samples that somebody wants to keep or drop.

    Args:
        answers: in the order in which they came.
        shown: sample key -> what `review.item.shown` says today; an answer about something else does not count, and
            samples that are not in it have no opinion. None: every answer counts.
    """
    by_key: dict[str, list[Answer]] = {}
    for answer in standing(answers).values():
        if answer.choice in DECIDING and (shown is None or shown.get(answer.key) == answer.seen):
            by_key.setdefault(answer.key, []).append(answer)
    return {key: _opinion(said) for key, said in sorted(by_key.items())}


def _opinion(said: list[Answer]) -> Opinion:
    by = {answer.reviewer: answer.choice for answer in sorted(said, key=lambda answer: answer.reviewer)}
    settling = [answer for answer in said if answer.settles]
    choices = {settling[-1].choice} if settling else {answer.choice for answer in said}
    if len(choices) > 1:
        return Opinion(None, True, by)
    verdict: Literal["keep", "drop"] = "keep" if choices == {"keep"} else "drop"
    return Opinion(verdict, False, by, settling[-1].reviewer if settling else None)
