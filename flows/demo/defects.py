"""Planted defects: which rows get one, and what each does to a text or a picture."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import count as numbers
from itertools import permutations
from random import Random

from PIL import Image

from flows.demo.drawing import jpeg, png
from flows.demo.texts import Turn

PAIRED = ("near_duplicate_picture", "exact_duplicate", "lookalike_ok")
# Defects that start in the maker.
MADE = ("legit_repetition_ok", "unreadable_script", "loop_permuted")
# Defects whose text is a spoiled description, so the maker is asked for a long answer.
LOOPS = ("loop_sentence", "loop_two_sentences")


@dataclass(frozen=True, slots=True)
class Item:
    """One raw sample before it takes a publisher's shape; `markers` is how often its picture is marked in the text."""

    picture: bytes | None
    turns: tuple[Turn, ...]
    markers: int = 1
    task: str = ""


@dataclass(frozen=True, slots=True)
class Planted:
    """One defect of one row; `original` is the earlier row it repeats."""

    defect: str
    detail: str = ""
    original: int | None = None


@dataclass(frozen=True, slots=True)
class Truth:
    """One line of the truth table."""

    publisher: str
    file: str
    row: int
    defect: str
    detail: str


# Row number and variant -> item. Variants: `plain`; `other 0`, `other 1` and so on, the same template with other
# numbers; `long`, a description of several sentences; `single`, one turn; or one of `MADE`.
Make = Callable[[int, str], Item]


def stream(seed: int, *names: str | int) -> Random:
    """A generator of its own for every name, so the order of work does not matter."""
    digest = sha256("/".join(map(str, (seed, *names))).encode()).digest()
    return Random(int.from_bytes(digest[:8], "big"))


def scaled(quotas: dict[str, int], scale: float) -> dict[str, int]:
    """The quotas at `scale`, at least one of each."""
    return {name: max(1, round(count * scale)) for name, count in quotas.items()}


def num_rows(full: int, quotas: dict[str, int], scale: float) -> int:
    """Rows of a file at `scale`, with room for its scaled quotas and the originals of duplicates."""
    return max(round(full * scale), 2 * sum(quotas.values()) + 2)


def plan(rng: Random, n: int, quotas: dict[str, int]) -> dict[int, Planted]:
    """Which of `n` rows get which defect; a quota is named `defect` or `defect:detail`."""
    free = rng.sample(range(n), n)
    planted: dict[int, Planted] = {}
    for name, count in quotas.items():
        defect, _, detail = name.partition(":")
        for _ in range(count):
            row = free.pop()
            if defect in PAIRED:
                original, row = sorted((row, free.pop()))
                planted[row] = Planted(defect, original=original)
            else:
                planted[row] = Planted(defect, detail)
    return planted


def truths(publisher: str, file: str, planted: dict[int, Planted]) -> list[Truth]:
    """The lines of the truth table for one file."""
    return [
        Truth(publisher, file, row, p.defect, p.detail if p.original is None else f"{file}#{p.original}")
        for row, p in sorted(planted.items())
    ]


def build(make: Make, row: int, planted: Planted | None, rng: Random) -> Item:
    """The item of one row with its defect, if it has one."""
    if planted is None:
        return make(row, "plain")
    source = row if planted.original is None else planted.original
    item = _lookalike(make, source) if planted.defect == "lookalike_ok" else make(source, _variant(planted.defect))
    if planted.defect in TEXT:
        *before, (ask, reply) = item.turns
        return replace(item, turns=(*before, (ask, TEXT[planted.defect](reply, rng))))
    if planted.defect == "marker_mismatch":
        return replace(item, markers=2)
    if item.picture is not None and planted.defect == "near_duplicate_picture":
        return replace(item, picture=reworked(item.picture, rng))
    if item.picture is not None and planted.defect == "corrupt_picture":
        return replace(item, picture=corrupted(item.picture, planted.detail, rng))
    return item


def _lookalike(make: Make, row: int) -> Item:
    """The row with other numbers, and an answer that shows it."""
    plain = make(row, "plain")
    others = (make(row, f"other {i}") for i in numbers())
    return next(other for other in others if [r for _, r in other.turns] != [r for _, r in plain.turns])


def _variant(defect: str) -> str:
    if defect in MADE:
        return defect
    if defect in LOOPS:
        return "long"
    return "single" if defect in TEXT else "plain"


def sentences(text: str) -> list[str]:
    """The sentences of an English text."""
    return re.split(r"(?<=[.!?]) ", text)


def loop_sentence(text: str, rng: Random) -> str:
    """Two sentences, then the third again and again."""
    parts = sentences(text)
    return " ".join([*parts[:2], *parts[2:3] * rng.randint(6, 30)])


def loop_two_sentences(text: str, rng: Random) -> str:
    """The text, and its last two sentences a second time."""
    parts = sentences(text)
    return " ".join([*parts, *parts[-2:]])


def loop_permuted(text: str, rng: Random) -> str:
    """A proof step with its letters permuted; no two lines are the same."""
    letters = rng.choice(("abcde", "pqrst", "klmnu"))
    orders = list(permutations(letters, 3))
    rng.shuffle(orders)
    verb = rng.choice(("divides", "is congruent to", "is a factor of"))
    steps = [f"Since {x} {verb} {y} and {y} {verb} {z}, it follows that {x} {verb} {z}." for x, y, z in orders]
    return "\n".join([text, *steps[: rng.randint(30, 60)]])


def loop_zeros(text: str, rng: Random) -> str:
    """The text and a number that runs out into zeros, in every second row broken by spaces."""
    if rng.choice((True, False)):
        return f"{text} 1.{'0' * rng.randint(300, 900)}"
    return f"{text} 1.{' '.join('0' * rng.randint(3, 80) for _ in range(rng.randint(10, 20)))}"


def char_run(text: str, rng: Random) -> str:
    """The text and one character hundreds of times."""
    return text + rng.choice("!aH.") * rng.randint(200, 700)


def empty_answer(text: str, rng: Random) -> str:
    """Nothing, or white space."""
    return rng.choice(("", "", " ", "\n"))


def refusal(text: str, rng: Random) -> str:
    """An assistant that declines."""
    return rng.choice(
        (
            "I'm sorry, but as an AI language model I cannot see or interpret images.",
            "I'm sorry, but as an AI language model I cannot help with this request.",
            "As an AI language model, I cannot look at pictures. Please describe the content in words.",
            "I'm sorry, but I can't assist with that request.",
        )
    )


TEXT: dict[str, Callable[[str, Random], str]] = {
    f.__name__: f
    for f in (loop_sentence, loop_two_sentences, loop_permuted, loop_zeros, char_run, empty_answer, refusal)
}


def reworked(picture: bytes, rng: Random) -> bytes:
    """The same picture recompressed, resized or slightly cropped."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    width, height = image.size
    way = rng.choice(("recompressed", "resized", "cropped"))
    if way == "recompressed":
        return jpeg(image, rng.randint(45, 70))
    if way == "resized":
        share = rng.uniform(0.7, 0.9)
        return png(image.resize((round(width * share), round(height * share)), Image.Resampling.LANCZOS))
    cut = rng.randint(2, 4)
    return jpeg(image.crop((cut, cut, width - cut, height - cut)), 80)


def corrupted(picture: bytes, way: str, rng: Random) -> bytes:
    """Bytes that no decoder accepts: cut off, garbage behind an intact head, or no picture at all."""
    if way == "truncated":
        return picture[: round(len(picture) * rng.uniform(0.3, 0.7))]
    if way == "garbage":
        return picture[:64] + rng.randbytes(2000)
    return f"<html><body>picture {rng.randrange(10**9)} has moved</body></html>".encode()
