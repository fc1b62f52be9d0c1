"""What a judge is: a frozen dataclass that answers a list of requests with a list of replies."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, TypeGuard

if TYPE_CHECKING:
    from filters.judges.likelihood import Likelihood

GRADES = 11
"""Number of grades, 0 to 10; `Reply.probs` has one entry for each."""

ReplyState = Literal["scored", "empty", "no_answer", "engine_error"]


@dataclass(frozen=True, slots=True)
class Request:
    """One question to a judge.

    Attributes:
        prompt_id: name of the rubric, the stem of a file in `prompts/`.
        sample_text: the conversation as `filters.judges.score.render` writes it; "" where the sample has no text.
        images: encoded pictures in the order of their markers; empty for judges of text.
    """

    prompt_id: str
    sample_text: str
    images: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """A judge's answer to one request.

    Attributes:
        state: `scored`; `empty`, there was nothing to judge and the model was not asked; `no_answer`, the model did
            not choose a grade (mass below 0.5); `engine_error`, the call failed and may succeed another time.
        probs: probability of each grade 0..10, summing to 1, where `scored`; None otherwise.
        mass: 0..1, probability that the model gave to all grades together before `probs` was scaled to 1; 0.0 where
            `empty` or `engine_error`.
        cut: whether the judge saw a shortened sample.
    """

    state: ReplyState
    probs: tuple[float, ...] | None
    mass: float
    cut: bool

    def __post_init__(self) -> None:
        assert (self.state == "scored") == (self.probs is not None), "a reply has probabilities when it is scored"
        assert self.probs is None or len(self.probs) == GRADES, "one probability for each grade"


class Judge(Protocol):
    """Describes a model; can be pickled, compared and hashed, and loads its engine on the first call."""

    @property
    def judge_id(self) -> str:
        """Name of model and settings: whatever may change a reply changes this."""
        ...

    def __call__(self, requests: list[Request]) -> list[Reply]:
        """One reply for each request, same order."""
        ...


class Seer(Judge, Protocol):
    """A judge that may see pictures, and tells how well its model foretells a sample."""

    @property
    def sees(self) -> str:
        """Name of how pictures are shown: whatever may change a reply about them changes this; "" for a judge of text.

        It is no part of `judge_id`: answers about text stay when pictures are added.
        """
        ...

    @property
    def foretells(self) -> bool:
        """Whether `likelihoods` may be asked for."""
        ...

    def likelihoods(self, requests: "list[Request]") -> "list[Likelihood]":
        """How well the model foretells the answers of each sample, same order; prompts are not read."""
        ...


def is_seer(judge: Judge) -> TypeGuard[Seer]:
    """Whether a judge is of a kind that may see pictures; its class is looked at, for its name may cost reading."""
    return hasattr(type(judge), "likelihoods")
