"""How far reviewers agree: shares of equal verdicts, and Cohen's kappa."""

from collections.abc import Iterable, Mapping
from itertools import combinations

from pydantic import BaseModel

from review.answer import Answer
from review.opinion import DECIDING, standing


class Agreement(BaseModel):
    """Two reviewers on the samples about which both said keep or drop."""

    left: str
    right: str
    samples: int
    equal: int
    agreement: float
    """`equal / samples`."""
    kappa: float | None
    """Agreement beyond chance, 1 at most; null where chance alone explains all (both always say the same word)."""


def agreement(answers: Iterable[Answer]) -> list[Agreement]:
    """Every two reviewers with samples in common, by name.

    Source: Cohen 1960, A coefficient of agreement for nominal scales.
    """
    said: dict[str, dict[str, str]] = {}
    for (reviewer, key), answer in standing(answers).items():
        if answer.choice in DECIDING:
            said.setdefault(reviewer, {})[key] = f"{answer.choice} {answer.seen}"
    pairs = [_pair(left, right, said[left], said[right]) for left, right in combinations(sorted(said), 2)]
    return [pair for pair in pairs if pair is not None]


def _pair(left: str, right: str, one: Mapping[str, str], other: Mapping[str, str]) -> Agreement | None:
    # a sample that changed between the two answers is not the same sample
    common = [key for key in one.keys() & other.keys() if one[key].split()[1] == other[key].split()[1]]
    if not common:
        return None
    equal = sum(one[key] == other[key] for key in common)
    keep = [sum(said[key].startswith("keep") for key in common) for said in (one, other)]
    return Agreement(
        left=left,
        right=right,
        samples=len(common),
        equal=equal,
        agreement=round(equal / len(common), 6),
        kappa=cohens_kappa(len(common), equal, *keep),
    )


def cohens_kappa(samples: int, equal: int, left_keep: int, right_keep: int) -> float | None:
    """Kappa of two reviewers with two words, from counts of samples; None where chance agreement is 1."""
    chance = left_keep * right_keep + (samples - left_keep) * (samples - right_keep)
    if chance == samples * samples:
        return None
    return round((equal * samples - chance) / (samples * samples - chance), 6)
