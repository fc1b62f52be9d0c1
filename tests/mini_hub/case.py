"""One planted row: how a publisher writes it, and what a reader has to make of it."""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from mini_hub.picture import draw
from mini_hub.words import answer, question

HOST = "pictures.mini-hub.test"
"""Where URL lists point to unless somebody says otherwise; no such host exists."""

Messages = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Expected:
    """One sample, or the reason why there is none; `part` where a row makes several."""

    messages: Messages = ()
    sha256: tuple[str, ...] = ()
    videos: tuple[str, ...] = ()
    outcome: str = "sample"
    part: str = ""


@dataclass(frozen=True)
class Case:
    """One raw row; `beside` are pictures by the path an archive has, `web` by path on the host of URL lists."""

    raw: Any
    expected: tuple[Expected, ...]
    trap: str = "plain"
    beside: Mapping[str, bytes] = field(default_factory=dict)
    web: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def is_bad(self) -> bool:
        return any(item.outcome != "sample" for item in self.expected)


@dataclass
class Made:
    """Files of one source before they are packed.

    `declared` is what its catalogue entry lacks, `also` globs of files that the entry does not name.
    """

    files: dict[str, bytes]
    rows: list[tuple[str, int, Case]]
    declared: dict[str, Any] = field(default_factory=dict)
    also: list[str] = field(default_factory=list)


def sample(messages: Sequence[tuple[str, str]], *pictures: bytes, part: str = "", videos: Any = ()) -> Expected:
    """The sample that a row has to become."""
    return Expected(
        tuple(messages), tuple(hashlib.sha256(data).hexdigest() for data in pictures), tuple(videos), part=part
    )


def refused(reason: str, part: str = "") -> Expected:
    """The row has to go to quarantine."""
    return Expected(outcome=reason, part=part)


def pair(asked: str, answered: str, pictures: int = 1) -> Messages:
    """A question behind its pictures, and an answer."""
    return (("user", "<image>\n" * pictures + asked), ("assistant", answered))


class Source:
    """An entry of the catalogue, and everything that its rows draw at random."""

    def __init__(self, entry: Mapping[str, Any], place: int, size: int, host: str = HOST) -> None:
        self.entry, self.host = entry, host
        self.name = str(entry["name"])
        self.slug = re.sub(r"[^a-z0-9]+", "_", self.name)
        self.media: tuple[str, ...] = tuple(entry.get("media", ()))
        self.place, self.size = place, size
        self.random = Random(f"mini-hub {self.name}")
        # the folder that sets the rows of this source apart from others in one file
        self.folder = str(entry["only"]["like"][0]).removesuffix("*") if "only" in entry else ""
        self._drawn = 0

    def prompt(self, default: str) -> str:
        """The question that the catalogue asks where the publisher asks none."""
        return str(self.entry.get("prompt", default))

    def question(self) -> str:
        return question(self.random)

    def answer(self) -> str:
        return answer(self.random)

    def picture(self, kind: str = "jpeg") -> bytes:
        """A picture like no other of this source."""
        self._drawn += 1
        return draw(self.random, kind)

    def path(self, ending: str = "jpg") -> str:
        """The path of a picture like no other of this source."""
        self._drawn += 1
        return f"{self.folder}{self.slug}/{self._drawn % 3:05d}/{self._drawn:09d}.{ending}"

    def url(self, ending: str = "jpg") -> tuple[str, str]:
        """An address and its path on the host of URL lists."""
        self._drawn += 1
        path = f"/{self.slug}/{self._drawn}.{ending}"
        return f"http://{self.host}{path}", path

    def choose(self, plain: Callable[[], Case], traps: Sequence[Case], rows: int = 20) -> list[Case]:
        """About `rows` rows, at most a fifth of them bad, in an order of this source.

        A family of one or few sources gets every trap; in a larger one the sources share them out.
        """
        good = [case for case in traps if not case.is_bad]
        bad = [case for case in traps if case.is_bad]
        if self.size >= 6:
            good, bad = self._share(good, rows * 2 // 5), self._share(bad, rows // 5)
        cases = [*good, *bad]
        wanted = max(rows, 5 * sum(len(case.expected) for case in bad))
        while sum(len(case.expected) for case in cases) < wanted:
            cases.append(plain())
        self.random.shuffle(cases)
        return cases

    def _share(self, cases: list[Case], number: int) -> list[Case]:
        if len(cases) <= number:
            return cases
        return [cases[(self.place * number + step) % len(cases)] for step in range(number)]
