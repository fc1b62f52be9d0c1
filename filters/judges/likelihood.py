"""How well a model foretells the answers of a sample, with its pictures and without: scores that no one is asked for.

The sample is written as a conversation of the model's own template, the pictures at the head of the first message of
the user. Every token of every answer counts, given all that stands before it. Both conversations end alike, so the
places of the answers are counted from the end: no mark that a processor widens moves them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal, NamedTuple

import polars as pl
from polars._typing import PolarsDataType

from filters.answer import ANSWER_ROLES
from filters.judges.base import Request
from filters.judges.layout import Layout, is_blank
from filters.judges.score import NULL_STATE, parse
from filters.judges.template import render_turns, words
from filters.judges.vision import Sight, check_marks
from shards.errors import UsageError
from shards.schema import IMAGE_MARKER, STATE_SUFFIX, VIDEO_MARKER

LIKELIHOOD: Final = "likelihood"
"""Stands for a criterion and its prompt where these scores are asked for."""
FORETOLD: Final = "likelihood-1"
"""Part of the name of every answer; raised whenever the same sample may get other scores."""
_PLAIN: Final = ("user", "assistant")
"""Roles that every template takes, or it is not to be used at all."""
LIKELIHOOD_SCORES: Final[dict[str, PolarsDataType]] = {
    "visual_gain": pl.Float64,
    "blind_answerable": pl.Float64,
    "likelihood_cut": pl.Boolean,
}
_CHARACTERS: Final = 32
"""Characters per token above which a message is cut before it is tokenised."""


@dataclass(frozen=True, slots=True)
class Likelihood:
    """How well a model foretells the answers of a sample.

    Attributes:
        state: `scored`; `empty`, there is no answer or no picture; `no_answer`, the model's template refuses the turns,
            no token of an answer fits, or a server splits them into other tokens; `engine_error`, the call failed and
            may succeed another time.
        visual_gain: mean natural logarithm of the probability of an answer's token given the pictures, minus the same
            without them, in nats per token; None unless `scored`.
        blind_answerable: 0..1, share of the answers' tokens that are the model's likeliest without the pictures; None
            unless `scored`.
        cut: whether turns or pictures were left out.
    """

    state: Literal["scored", "empty", "no_answer", "engine_error"]
    visual_gain: float | None = None
    blind_answerable: float | None = None
    cut: bool = False


class Told(NamedTuple):
    """What an engine says of one token of a prompt: natural logarithm of its probability, and its rank from 1 on."""

    logprob: float
    rank: int


class Conversation(NamedTuple):
    """A sample as a model would have written it.

    Attributes:
        seen: token ids with a mark for each picture.
        blind: the same without marks.
        answers: places of the answers' tokens, counted from the end: 1 is the last.
        images: encoded pictures, in the order of the marks.
        turns: role and text of the turns, for servers that take no ids.
        cut: see `Likelihood`.
    """

    seen: list[int]
    blind: list[int]
    answers: list[int]
    images: tuple[bytes, ...]
    turns: tuple[tuple[str, str], ...]
    cut: bool


def conversation(layout: Layout, sight: Sight, request: Request) -> Conversation | Likelihood:
    """The sample of a request as a conversation; a likelihood without numbers where there is nothing to foretell.

    What does not fit is left out at the end, so that what stands is as likely as ever.

    Raises:
        UsageError: the template marks no pictures, or does not keep what turns say.
    """
    images, fewer = sight.chosen(request.images)
    if not images or is_blank(request.sample_text):
        return Likelihood("empty")
    turns = _turns(layout, sight, request.sample_text)
    if not any(role == "assistant" and text for role, text in turns):
        return Likelihood("empty")
    roles = tuple(role for role, _ in turns)
    with_marks, without = _frame(layout, sight, roles, len(images)), _frame(layout, sight, roles, 0)
    if with_marks is None or without is None:
        return Likelihood("no_answer", cut=fewer)
    most = layout.max_len - 1 - len(images) * sight.image_tokens
    longest = _CHARACTERS * layout.max_len
    texts = [layout.plain_ids(text[:longest]) for _, text in turns]
    shorter = fewer or any(len(text) > longest for _, text in turns)
    seen, blind = _joined(with_marks, texts), _joined(without, texts)
    over = max(0, len(seen) - most)
    answers, end = [], 0
    for (role, _), ids, after in zip(reversed(turns), reversed(texts), reversed(without), strict=False):
        end += len(after)
        answers += [end + place - over for place in range(1, len(ids) + 1) if role == "assistant"]
        end += len(ids)
    # what is predicted needs something before it: the first token of a prompt has no probability
    answers = [place for place in answers if 0 < place < len(blind) - over]
    if not answers:
        return Likelihood("no_answer", cut=True)
    cut = shorter or over > 0
    return Conversation(seen[: len(seen) - over], blind[: len(blind) - over], answers, images, turns, cut)


def _turns(layout: Layout, sight: Sight, sample_text: str) -> tuple[tuple[str, str], ...]:
    """Role and text of the turns: a document is an answer, the markers leave, and a user speaks before all answers."""
    turns = []
    for turn in parse(sample_text):
        bare = turn["text"].replace(IMAGE_MARKER, "").replace(VIDEO_MARKER, "")
        text = bare.strip() if bare != turn["text"] else bare
        role = "assistant" if turn["role"] in ANSWER_ROLES else turn["role"]
        turns.append((role, sight.defused(layout, text.encode("utf-8", "replace").decode())))
    first = next((place for place, (role, _) in enumerate(turns) if role != "system"), len(turns))
    if first == len(turns) or turns[first][0] != "user":
        turns.insert(first, ("user", ""))
    return tuple(turns)


def _joined(frame: Sequence[list[int]], texts: Sequence[list[int]]) -> list[int]:
    """Ids of the frame's parts with the texts between them."""
    ids = list(frame[0])
    for text, after in zip(texts, frame[1:], strict=True):
        ids += text + after
    return ids


@lru_cache(4096)
def _frame(layout: Layout, sight: Sight, roles: tuple[str, ...], number: int) -> tuple[list[int], ...] | None:
    """Token ids before, between and after the texts of turns with these roles; None where the template refuses them.

    Raises:
        UsageError: see `conversation`.
    """
    marks = [f"@@@ turn {place} @@@" for place in range(len(roles))]
    text = render_turns(layout.files, turns_with(sight, list(zip(roles, marks, strict=True)), number))
    if text is None:
        if roles == _PLAIN:
            raise UsageError(
                "the chat template refuses turns with parts; say in `image_placeholder` what marks a picture"
            )
        _frame(layout, sight, _PLAIN, number)
        return None
    if number:
        check_marks(text, render_turns(layout.files, turns_with(sight, list(zip(roles, marks, strict=True)), 0)) or "")
    parts = []
    for mark in marks:
        before, found, text = text.partition(mark)
        if not found or mark in text:
            raise UsageError(f"the chat template does not keep each turn of a conversation once: {', '.join(roles)}")
        parts.append(layout.control_ids(before))
    return (*parts, layout.control_ids(text))


def turns_with(sight: Sight, turns: Sequence[tuple[str, str]], number: int) -> list[dict[str, object]]:
    """Turns for a template, with marks for so many pictures at the head of the first user's turn."""
    prefix, pictures = sight.marks(number) if number else ("", [])
    first = next(place for place, (role, _) in enumerate(turns) if role == "user")
    texts = [prefix * (place == first) + text for place, (_, text) in enumerate(turns)]
    contents: list[object] = list(texts)
    if not sight.image_placeholder:
        contents = [[*(pictures if place == first else []), words(text)] for place, text in enumerate(texts)]
    return [{"role": role, "content": content} for (role, _), content in zip(turns, contents, strict=True)]


def weighed(made: Conversation, seen: Sequence[Told] | None, blind: Sequence[Told] | None) -> Likelihood:
    """Scores from what an engine says of the answers' tokens with and without pictures.

    None: the call failed. Nothing: a server splits the conversation into other tokens than its tokenizer does here.
    """
    if seen is None or blind is None:
        return Likelihood("engine_error", cut=made.cut)
    if not seen or not blind:
        return Likelihood("no_answer", cut=made.cut)
    with_pictures, without = (math.fsum(each.logprob for each in told) / len(told) for told in (seen, blind))
    share = sum(each.rank == 1 for each in blind) / len(blind)
    return Likelihood("scored", with_pictures - without, share, made.cut)


def likelihood_scores(found: Sequence[Likelihood]) -> pl.DataFrame:
    """Score columns as a ledger keeps them: `LIKELIHOOD_SCORES` and why `visual_gain` is null."""
    schema = {**LIKELIHOOD_SCORES, "visual_gain" + STATE_SUFFIX: pl.String}
    # A loop over rows: a likelihood is a Python object.
    rows = [
        (
            each.visual_gain,
            each.blind_answerable,
            each.cut if each.state in {"scored", "no_answer"} else None,
            NULL_STATE[each.state],
        )
        for each in found
    ]
    return pl.DataFrame(rows, schema=schema, orient="row")
