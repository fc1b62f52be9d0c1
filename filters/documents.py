"""The answers of each sample as one text, which rules that were made for documents measure."""

import numpy as np
import numpy.typing as npt

from filters.compiled import compiled

Codes = npt.NDArray[np.uint32]
Indices = npt.NDArray[np.int64]

_NEWLINE = 10
_APART = 2


@compiled
def joined(codes: Codes, starts: Indices, answers: Indices, sample: Indices, samples: int) -> tuple[Codes, Indices]:
    """The answers of each sample with a blank line between them.

    Args:
        codes: code points of all messages.
        starts: (m + 1,) message i is `codes[starts[i]:starts[i + 1]]`.
        answers: (k,) the messages that are answers, ascending.
        sample: (m,) sample of each message, ascending.
        samples: n.

    Returns:
        (c,) uint32 code points and (n + 1,) int64 places where the text of each sample starts among them.
    """
    size = _APART * len(answers)
    for message in answers:
        size += starts[message + 1] - starts[message]
    made = np.empty(size, dtype=np.uint32)
    places = np.zeros(samples + 1, dtype=np.int64)
    end, current = 0, -1
    for message in answers:
        if sample[message] == current:
            made[end : end + _APART] = _NEWLINE
            end += _APART
        else:
            places[current + 1 : sample[message] + 1] = end
            current = sample[message]
        length = starts[message + 1] - starts[message]
        made[end : end + length] = codes[starts[message] : starts[message + 1]]
        end += length
    places[current + 1 :] = end
    return made[:end], places
