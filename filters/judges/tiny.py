"""A stand-in for a language model: for demos, tests and machines without a GPU."""

import math
from dataclasses import dataclass
from typing import Final

import polars as pl

from filters.answer import ANSWER_ROLES, MESSAGES, has_text
from filters.char_run import CharRuns
from filters.duplicates import DuplicateShares
from filters.judges.base import GRADES, Reply, Request
from filters.judges.score import parse
from filters.judges.surface import grade, known_share
from filters.loops import Loops
from filters.texts import read_texts
from shards.errors import UsageError
from shards.schema import IMAGE_MARKER, VIDEO_MARKER

TINY: Final = ("quality", "repetition")
"""What the judge grades."""
LEAST_MASS: Final = 0.5
"""Mass below which a reply is `no_answer`, the same as for real judges."""

_SURE_LOOP: Final = {"loop": 0.7, "dup_ngram_share": 0.7}
"""Value of each score from which on an answer certainly loops; below, evidence grows in proportion. Ours."""
_SURE_RUN: Final = {"char_run_spaced": (60, 200), "space_run": (100, 400)}
"""The same for runs, in characters: no evidence up to the first, certain from the second on. Ours."""

_FREE_LOOP: Final = 0.4
"""Evidence of a loop that costs no quality: songs and forms reach it."""
_LOOP_COST: Final = 14.0
"""Grades of quality that the evidence above it costs, from nothing to all of them. Ours."""

Turns = list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class TinyJudge:
    """Grades `quality` and `repetition` from the surface of the text, the same way each time, on one CPU core.

    It knows nothing: it cannot tell a right answer from a wrong one, a fact from an invention, or whether an answer
    fits its question. It sees that an answer is missing, a placeholder, a refusal, cut off, garbled, out of proportion
    to its question, or loops, and calls everything else good. Its grades agree with a real judge's on broken rows only;
    use it for demos, tests and dry runs, not to select data.

    The distribution it replies with lies on the two grades next to its estimate, so the expected grade is the estimate.
    For `quality` its mass is the share of characters it knows something about (emoji, box drawing and private use are
    not among them); repetition is told from any characters.
    """

    @property
    def judge_id(self) -> str:
        """Name and version; the version is raised whenever the same text may get another grade."""
        return "tiny-2"

    def __call__(self, requests: list[Request]) -> list[Reply]:
        """One reply for each request; no state but `scored`, `empty` and `no_answer`.

        Raises:
            UsageError: a prompt is neither `quality` nor `repetition`, nor one of their kinds (`quality_NAME`).
        """
        conversations = [parse(request.sample_text) for request in requests]
        batch = pl.DataFrame({"messages": conversations}, schema={"messages": MESSAGES})
        applies = batch.select(has_text()).to_series()
        return [
            _reply(request.prompt_id, turns, loop) if applied else Reply("empty", None, 0.0, False)
            for request, turns, loop, applied in zip(requests, conversations, _loops(batch), applies, strict=True)
        ]


def _reply(prompt_id: str, turns: Turns, loop: float) -> Reply:
    kind = prompt_id.partition("_")[0]
    if kind == "repetition":
        return Reply("scored", _spread(10.0 * (1.0 - loop)), 1.0, False)
    if kind != "quality":
        raise UsageError(f"judge `tiny`: expected a prompt `quality` or `repetition`, found `{prompt_id}`")
    pairs = _pairs(turns)
    mass = known_share("".join(text for _, text in pairs))
    if mass < LEAST_MASS:
        return Reply("no_answer", None, mass, False)
    worst = min((grade(question, text) for question, text in pairs), default=0.0)
    return Reply("scored", _spread(max(0.0, worst - _LOOP_COST * max(0.0, loop - _FREE_LOOP))), mass, False)


def _pairs(turns: Turns) -> list[tuple[str, str]]:
    """Each answer with the message before it, markers removed; "" before a document and before a first message."""
    texts = [turn["text"].replace(IMAGE_MARKER, "").replace(VIDEO_MARKER, "") for turn in turns]
    before = ["", *texts]
    return [(before[i], texts[i]) for i, turn in enumerate(turns) if turn["role"] in ANSWER_ROLES]


def _loops(batch: pl.DataFrame) -> list[float]:
    """Evidence 0..1 that an answer of the sample loops; 0.0 where it has no text."""
    texts = read_texts(batch)
    found = pl.concat([score(texts) for score in (Loops(), DuplicateShares(), CharRuns())], how="horizontal")
    shares = [pl.col(name) / sure for name, sure in _SURE_LOOP.items()]
    runs = [(pl.col(name) - none) / (sure - none) for name, (none, sure) in _SURE_RUN.items()]
    return found.select(pl.max_horizontal(*shares, *runs).clip(0.0, 1.0).fill_null(0.0)).to_series().to_list()


def _spread(estimate: float) -> tuple[float, ...]:
    """Distribution on the two grades next to `estimate` whose expected grade it is."""
    low = min(math.floor(estimate), GRADES - 2)
    probs = [0.0] * GRADES
    probs[low] = low + 1 - estimate
    probs[low + 1] = estimate - low
    return tuple(probs)
