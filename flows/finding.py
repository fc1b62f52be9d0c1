"""Where in a text a filter found what it scored."""

from collections.abc import Mapping

from shards.markers import place_in

Part = tuple[int, int]
"""First character of a part of a text, and the one behind it."""

NOWHERE: Part = (0, 0)


def looping(turn: int, text: str, scores: Mapping[str, object]) -> Part:
    """The part of message `turn` in which the filter `loops` found a loop; `NOWHERE` where there is none.

    Args:
        turn: place of the message in its sample.
        text: of the message, with its picture markers.
        scores: of the sample, by name.
    """
    found, start, chars = (scores.get(name) for name in ("loop_turn", "loop_start", "loop_chars"))
    if found != turn or not isinstance(start, int) or not isinstance(chars, int) or chars == 0:
        return NOWHERE
    return place_in(text, start), place_in(text, start + chars - 1) + 1
