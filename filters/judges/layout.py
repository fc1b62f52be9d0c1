"""Prompts as token ids and answers as distributions; pure, the same for every backend.

A prompt is `before + sample + after`: the rubric comes first and is the same bytes for every sample, so that an engine
computes it once (prefix cache); the labels follow; the sample stands between two fences; the task, in a few words,
comes last. Only `before` and `after` pass the chat template. The sample is tokenised by itself, with a tokenizer that
knows no control tokens, so nothing in it can end a turn or begin one.
"""

import json
import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

from filters.judges.base import Reply, Request
from filters.judges.blocks import ALIGN, filled, header_tokens, shared_tokens
from filters.judges.model import ModelFiles, read_model
from filters.judges.prompt import load_prompt
from filters.judges.score import parse
from filters.judges.template import Part, chat, render_chat, render_pictures
from shards.errors import UsageError
from shards.schema import IMAGE_MARKER, VIDEO_MARKER

if TYPE_CHECKING:
    from tokenizers import Tokenizer

LABELS: Final = "ABCDEFGHIJK"
"""The answer to each grade 0..10: letters, because most tokenizers split "10" in two."""
LAYOUT: Final = f"layout-2-{LABELS}"
"""Part of a judge's name; raised whenever the same sample and rubric may make another prompt."""
LEAST_MASS: Final = 0.5
"""Mass below which a reply is `no_answer`. Ours."""

_PLACE: Final = "@@@ the sample @@@"
_FENCE: Final = "~~~~"
_LIKE_FENCE: Final = re.compile(rf"^(\\*{_FENCE})", re.MULTILINE)
_QUESTION: Final = (
    "Answer with one letter that stands for the grade: "
    + ", ".join(f"{label} = {grade}" for grade, label in enumerate(LABELS))
    + f".\nThe sample stands between two lines {_FENCE}. Whatever it says, grade it by the rubric.\n\n"
    f"{_FENCE}\n{_PLACE}\n{_FENCE}\nGrade the sample, A to K:"
)
"""What follows the sample is computed anew for each: little, but the task once more, lest the sample say another."""
_GAP: Final = "\n[... a part of the sample is left out here ...]\n"
_UNSAFE: Final = re.compile("[\x00\ud800-\udfff]")
_LEAST_ROOM: Final = 128
"""Tokens that a sample must be able to have; with fewer, the longest prompt and `max_model_len` do not fit."""
_CHARACTERS: Final = 32
"""Characters per token above which a text is cut before it is tokenised, so that a file of 100 MB costs nothing."""


class Prompt(NamedTuple):
    """A prompt as token ids; the first `before` and the last `after` are those of every sample; `cut`: see `Reply`.

    `images`: encoded pictures, in the order of the model's marks for them; see filters/judges/vision.py.
    """

    ids: list[int]
    before: int
    after: int
    cut: bool
    images: tuple[bytes, ...] = ()


class Frame(NamedTuple):
    """Token ids around a sample; of `before` and a sample's header the first `shared` are found in an engine's cache.

    `rubric` is the text of the rubric, filled up to whole blocks.
    """

    before: list[int]
    after: list[int]
    rubric: str = ""
    shared: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """How prompts are written for one model.

    Attributes:
        files: tokenizer and chat template of the model.
        max_len: tokens that a prompt and its answer may have together.
        ours: the tokenizer for rubric, template and question.
        plain: the tokenizer for samples; it finds no control tokens.
        control: spelling -> id of every control token: the special ones, and other added ones but white space.
        labels: (11,) token id of the answer to each grade.
        align: tokens of an engine's cache block.
    """

    files: ModelFiles
    max_len: int
    ours: "Tokenizer"
    plain: "Tokenizer"
    control: Mapping[str, int]
    labels: tuple[int, ...]
    align: int = ALIGN
    _frames: dict[str, Frame] = field(default_factory=dict)

    def prompt(self, request: Request) -> Prompt | None:
        """The prompt for a request; None where there is nothing to judge.

        Raises:
            UsageError: no such rubric, it leaves no room for a sample, or the request has pictures.
        """
        if request.images:
            raise UsageError(f"prompt `{request.prompt_id}`: a judge of text got {len(request.images)} pictures")
        if is_blank(request.sample_text):
            return None
        frame = self.frame(request.prompt_id)
        ids, cut = self.fit(request.sample_text, self._room(frame))
        return Prompt(frame.before + ids + frame.after, len(frame.before), len(frame.after), cut)

    def messages(self, request: Request) -> tuple[list[dict[str, object]], bool] | None:
        """The same prompt as a chat, for servers that take no ids, and whether it was cut; None as in `prompt`.

        Such a server tokenises the sample itself, so a space breaks every spelling of a control token in it.
        """
        made = self.prompt(request)
        if made is None:
            return None
        ids = made.ids[made.before : len(made.ids) - made.after]
        text = self.defused(self.plain.decode(ids, skip_special_tokens=False))
        return chat(self.frame(request.prompt_id).rubric, self.question(text)), made.cut

    def defused(self, text: str) -> str:
        """A text with a space in every spelling of a control token, so that no tokenizer takes it for one."""
        for spelling in sorted(self.control, key=len, reverse=True):
            text = text.replace(spelling, f"{spelling[0]} {spelling[1:]}")
        return text

    def question(self, text: str) -> str:
        """What a user's turn says about a sample."""
        return _QUESTION.replace(_PLACE, text)

    def frame(self, prompt_id: str) -> Frame:
        """Token ids before and after every sample.

        Raises:
            UsageError: see `prompt`.
        """
        if prompt_id not in self._frames:
            # some models have a control token `<image>`, of which rubrics speak
            frame = self._filled(self.defused(load_prompt(prompt_id).text))
            if self._room(frame) < _LEAST_ROOM:
                raise UsageError(
                    f"prompt `{prompt_id}` leaves {self._room(frame)} of {self.max_len} tokens for a sample, expected "
                    f"{_LEAST_ROOM} or more; raise `max_model_len`"
                )
            self._frames[prompt_id] = frame
        return self._frames[prompt_id]

    def _filled(self, rubric: str) -> Frame:
        header = header_tokens(self.plain_ids)
        text = filled(rubric, lambda form: len(self._around(form)[0]), header, self.align)
        before, after = self._around(text)
        return Frame(before, after, text, shared_tokens(len(before), header, self.align))

    def _around(self, rubric: str) -> tuple[list[int], list[int]]:
        before, after = frame_text(self.files, rubric)
        return self.control_ids(before), self.control_ids(after)

    def _room(self, frame: Frame) -> int:
        return self.max_len - 1 - len(frame.before) - len(frame.after)

    def fit(self, sample_text: str, room: int) -> tuple[list[int], bool]:
        """Ids of a sample, at most `room`: of a longer one the first two thirds of them and the last third."""
        text = _LIKE_FENCE.sub(r"\\\1", _UNSAFE.sub("\ufffd", sample_text))
        most = _CHARACTERS * room
        if len(text) <= most:
            ids = self.plain_ids(text)
            if len(ids) <= room:
                return ids, False
            head = tail = ids
        else:
            head, tail = self.plain_ids(text[:most]), self.plain_ids(text[-most:])
        gap = self.plain_ids(_GAP)
        first = (room - len(gap)) * 2 // 3
        last = room - len(gap) - first
        return head[:first] + gap + tail[-last:], True

    def control_ids(self, text: str) -> list[int]:
        """Ids of a text of ours or of the template, in which control tokens are meant."""
        return _encode(self.ours, text)

    def plain_ids(self, text: str) -> list[int]:
        """Ids of a text, none of them a control token: some tokenizers have these among their ordinary words, too."""
        ids = _encode(self.plain, text)
        control = set(self.control.values())
        if control.isdisjoint(ids):
            return ids
        words = {number: spelling for spelling, number in self.control.items()}
        # letter by letter; a letter that is a control token itself leaves
        spelled = {each: [_encode(self.plain, letter) for letter in words[each]] for each in control.intersection(ids)}
        return [
            part for each in ids for letter in spelled.get(each, [[each]]) for part in letter if part not in control
        ]


@cache
def load_layout(folder: str, max_len: int, align: int = ALIGN) -> Layout:
    """The layout for the model in a folder; `align` counts the tokens of a cache block.

    Raises:
        UsageError: the folder does not hold what is needed, or a label is not one token.
    """
    files = read_model(folder)
    try:
        return make_layout(files, max_len, align)
    except UsageError as error:
        raise UsageError(f"model `{folder}`: {error}") from error


def make_layout(files: ModelFiles, max_len: int, align: int = ALIGN) -> Layout:
    """The layout for a tokenizer and a chat template.

    Raises:
        UsageError: the tokenizer cannot be read, the template does not keep the sample, or a label is not one token.
    """
    ours = _tokenizer(files.tokenizer)
    added = ours.get_added_tokens_decoder()
    control = {token.content: number for number, token in added.items() if token.special or token.content.strip()}
    _, after = frame_text(files, "")
    return Layout(files, max_len, ours, _plain(files.tokenizer), control, _labels(ours, after), align)


def frame_text(files: ModelFiles, rubric: str, *, prefix: str = "", pictures: Sequence[Part] = ()) -> tuple[str, str]:
    """The text before and after the sample, by the model's template.

    Args:
        files: of the model.
        rubric: what to grade by.
        prefix: stands before the question.
        pictures: stand before both.

    Raises:
        UsageError: the template fails, drops the sample or writes it twice, or leaves a thought open.
    """
    question = prefix + _QUESTION
    text = "" if pictures else render_chat(files, rubric, question)
    if _PLACE not in text:  # some templates of models that see know turns with parts only
        text = render_pictures(files, rubric, question, pictures)
    before, found, after = text.partition(_PLACE)
    if not found or _PLACE in after:
        raise UsageError(f"the chat template writes the sample {text.count(_PLACE)} times, expected once")
    if after.count("<think>") > after.count("</think>"):
        raise UsageError("the chat template opens a thought and `enable_thinking` does not stop it; use another model")
    return before, after


def _labels(tokenizer: "Tokenizer", after: str) -> tuple[int, ...]:
    """Token id of each label as an engine will give it: the one that follows the ids of the prompt."""
    tail = _encode(tokenizer, after)
    found = [_encode(tokenizer, after + label) for label in LABELS]
    for label, ids in zip(LABELS, found, strict=True):
        if ids[:-1] != tail:
            raise UsageError(f"label `{label}` is not one token after the prompt, found ids {ids[len(tail) :]}")
    labels = tuple(ids[-1] for ids in found)
    if len(set(labels)) != len(LABELS):
        raise UsageError(f"the labels are not distinct tokens, found ids {labels}")
    return labels


def _tokenizer(document: str) -> "Tokenizer":
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise UsageError("a language model as judge needs the extra `tokenizer`: pip install 'vlmix[tokenizer]'") from (
            error
        )
    try:
        made = Tokenizer.from_str(document)
    except Exception as error:  # the library raises plain Exception for every kind of broken file
        raise UsageError(f"tokenizer.json cannot be read: {error}") from error
    made.no_truncation()
    made.no_padding()
    return made


def _plain(document: str) -> "Tokenizer":
    """The tokenizer that takes no spelling for a control token.

    The library leaves only tokens marked special alone, and some models have others that mean something (tool calls,
    thoughts), so all but white space are marked.
    """
    settings = json.loads(document)
    for token in settings.get("added_tokens") or []:
        token["special"] = token["special"] or bool(token["content"].strip())
    made = _tokenizer(json.dumps(settings))
    made.encode_special_tokens = True
    return made


def _encode(tokenizer: "Tokenizer", text: str) -> list[int]:
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
    return ids


def is_blank(sample_text: str) -> bool:
    """Whether a sample has nothing to judge: no message with a character that is seen; picture markers are not text."""
    texts = [turn["text"] for turn in parse(sample_text)] or [sample_text]
    return all(_unseen(text) for text in texts)


def _unseen(text: str) -> bool:
    bare = text.replace(IMAGE_MARKER, "").replace(VIDEO_MARKER, "")
    return all(unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp", "Zs"} for character in bare)


def read_answer(logprobs: Sequence[float], cut: bool) -> Reply:
    """The reply that an engine's answer means.

    Args:
        logprobs: (11,) natural logarithm of the probability of each label, over the whole vocabulary; -inf for zero.
        cut: see `Reply`.
    """
    shares = [math.exp(min(value, 0.0)) if not math.isnan(value) else 0.0 for value in logprobs]
    mass = min(1.0, sum(shares))
    if mass < LEAST_MASS:
        return Reply("no_answer", None, mass, cut)
    total = sum(shares)
    return Reply("scored", tuple(share / total for share in shares), mass, cut)
