"""Questions and the answers that follow them."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from filters.texts import ASSISTANT, USER, Texts


class Pairs(NamedTuple):
    """User turns with the assistant turn right after each: (p,) int64 indices of messages."""

    questions: npt.NDArray[np.int64]
    answers: npt.NDArray[np.int64]


def pairs(texts: Texts) -> Pairs:
    """Every user turn that the next message answers."""
    follows = (texts.role[:-1] == USER) & (texts.role[1:] == ASSISTANT) & (texts.sample[:-1] == texts.sample[1:])
    questions = np.flatnonzero(follows)
    return Pairs(questions, questions + 1)
