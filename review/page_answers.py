"""What stands in the journal about the items of one queue, kept up to date while reviewers answer."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from threading import RLock
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from review.answer import Answer, Journal, Place
from review.page_filter import Mask

NONE, KEEP, DROP, SKIP = range(4)
CODES: Final = {"keep": KEEP, "drop": DROP, "skip": SKIP}
CHOICES: Final = ("", "keep", "drop", "skip")
"""Choices by their code."""


class Agreement(NamedTuple):
    """Items that another reviewer has kept or dropped, too, and on how many of them both agree."""

    reviewer: str
    both: int
    same: int


class Act(NamedTuple):
    """The last thing that a reviewer did and has not taken back: its name, its items, what was said of them."""

    answer_id: str
    places: tuple[int, ...]
    choice: str


@dataclass(slots=True)
class _Reviewer:
    codes: npt.NDArray[np.uint8]
    notes: dict[int, str] = field(default_factory=dict)
    standing: dict[int, str] = field(default_factory=dict)
    """Place of an item -> the act that answered it last."""
    history: list[tuple[str, list[int]]] = field(default_factory=list)
    undone: dict[str, list[int]] = field(default_factory=dict)
    """Act that took answers back -> places of their items."""


class Answers:
    """The answers of all reviewers to the items of one queue; safe between threads.

    An answer about a row that reads otherwise by now, or that is not of this queue, does not count here.
    """

    def __init__(self, items: Sequence[str], seen: Sequence[str], journal: Journal) -> None:
        """Read the journal.

        Args:
            items: (n,) item ids in the order of the queue.
            seen: (n,) what `review.item.shown` says of each.
            journal: kept up to date by `refresh` and `give`.

        Raises:
            StoreError: a line of the journal is no answer.
        """
        self._places = {item: place for place, item in enumerate(items)}
        self._seen = seen
        self._journal = journal
        self._place: Place = {}
        self._settled: dict[int, str] = {}
        self._reviewers: dict[str, _Reviewer] = {}
        self.lock = RLock()
        self.refresh()

    def refresh(self) -> None:
        """Take in what others wrote since.

        Raises:
            StoreError: a line of the journal is no answer.
        """
        with self.lock:
            found, self._place = self._journal.read_after(self._place)
            for answer in found:
                self._take(answer)

    def give(self, answers: Iterable[Answer]) -> None:
        """Write answers durably; those that were written before are not written again.

        Raises:
            StoreError: nothing was written.
        """
        with self.lock:
            self._journal.append(answers)
            self.refresh()

    def codes(self, reviewer: str) -> npt.NDArray[np.uint8]:
        """(n,) UInt8, what a reviewer says of each item (`CHOICES`); do not write to it."""
        told = self._reviewers.get(reviewer)
        return told.codes if told else np.zeros(len(self._seen), dtype=np.uint8)

    def note(self, reviewer: str, place: int) -> str:
        """What a reviewer noted of an item."""
        told = self._reviewers.get(reviewer)
        return told.notes.get(place, "") if told else ""

    def others(self, reviewer: str, place: int) -> list[tuple[str, str, str]]:
        """Name, choice and note of every other reviewer who answered an item."""
        with self.lock:
            told = [(name, each) for name, each in sorted(self._reviewers.items()) if name != reviewer]
            return [
                (name, CHOICES[each.codes[place]], each.notes.get(place, ""))
                for name, each in told
                if each.codes[place]
            ]

    def last_act(self, reviewer: str) -> Act | None:
        """The last act of a reviewer of which something still stands."""
        with self.lock:
            told = self._reviewers.get(reviewer)
            while told and told.history:
                answer_id, places = told.history[-1]
                still = tuple(place for place in places if told.standing.get(place) == answer_id)
                if still:
                    return Act(answer_id, still, CHOICES[told.codes[still[0]]])
                told.history.pop()
            return None

    def standing(self, reviewer: str, answer_id: str) -> tuple[int, ...]:
        """Places of the items of an act that still stand."""
        with self.lock:
            told = self._reviewers.get(reviewer)
            return tuple(place for place, act in told.standing.items() if act == answer_id) if told else ()

    def undone(self, reviewer: str, answer_id: str) -> tuple[int, ...]:
        """Places of the items whose answers an act took back."""
        with self.lock:
            told = self._reviewers.get(reviewer)
            return tuple(told.undone.get(answer_id, ())) if told else ()

    def answered(self) -> Mask:
        """(n,) which items anybody kept or dropped."""
        with self.lock:
            found = np.zeros(len(self._seen), dtype=np.bool_)
            for told in self._reviewers.values():
                found |= _decided(told.codes)
            return found

    def split(self) -> Mask:
        """(n,) of which items one says keep and another drop, and nobody settled it."""
        with self.lock:
            keep, drop = (np.zeros(len(self._seen), dtype=np.bool_) for _ in range(2))
            for told in self._reviewers.values():
                keep |= told.codes == KEEP
                drop |= told.codes == DROP
            found = keep & drop
            found[list(self._settled)] = False
            return found

    def agreements(self, reviewer: str) -> list[Agreement]:
        """How a reviewer and each other one agree, where both kept or dropped."""
        with self.lock:
            own = self.codes(reviewer)
            found = []
            for name, told in sorted(self._reviewers.items()):
                both = _decided(own) & _decided(told.codes)
                if name != reviewer and both.any():
                    found.append(Agreement(name, int(both.sum()), int((both & (own == told.codes)).sum())))
            return found

    def _of(self, reviewer: str) -> _Reviewer:
        if reviewer not in self._reviewers:  # only names in the journal: one in a cookie costs no memory
            self._reviewers[reviewer] = _Reviewer(np.zeros(len(self._seen), dtype=np.uint8))
        return self._reviewers[reviewer]

    def _take(self, answer: Answer) -> None:
        place = self._places.get(answer.item)
        if place is None or answer.seen != self._seen[place]:
            return
        told = self._of(answer.reviewer)
        told.notes.pop(place, None)
        if self._settled.get(place) == answer.reviewer:
            del self._settled[place]
        if answer.choice == "undo":
            told.undone.setdefault(answer.answer_id, []).append(place)
            told.codes[place] = NONE
            told.standing.pop(place, None)
            return
        told.codes[place] = CODES[answer.choice]
        told.standing[place] = answer.answer_id
        if answer.note:
            told.notes[place] = answer.note
        if answer.settles:
            self._settled[place] = answer.reviewer
        if told.history and told.history[-1][0] == answer.answer_id:
            told.history[-1][1].append(place)
        else:
            told.history.append((answer.answer_id, [place]))


def _decided(codes: npt.NDArray[np.uint8]) -> Mask:
    return np.asarray((codes == KEEP) | (codes == DROP))
