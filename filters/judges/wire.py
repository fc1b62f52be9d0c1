"""What goes to a server that speaks OpenAI's interface, and what comes back; no network."""

from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from pydantic import BaseModel, RootModel

from filters.judges.base import Request
from filters.judges.layout import LABELS, Layout, Prompt
from filters.judges.likelihood import Conversation, Told, turns_with
from filters.judges.template import Part
from filters.judges.usage import note
from filters.judges.vision import Sight, picture_messages

Json = dict[str, object]

_Found = TypeVar("_Found")
Read = Callable[[bytes], _Found | None]
"""The answer of a server to what is looked for; None where it does not tell, ValidationError where it is garbled."""

_NEAREST: Final = 20
"""Likeliest tokens that a server without `logprob_token_ids` tells; labels that are not among them count as 0."""


class _Logprobs(BaseModel):
    top_logprobs: list[dict[str, float]]


class _Weight(BaseModel):
    logprob: float
    rank: int


class _Steps(RootModel[list[dict[int, _Weight] | None]]):
    """Of each token of a prompt its id and what the model says of it; null for the first."""


class _Details(BaseModel):
    cached_tokens: int | None = None


class _Usage(BaseModel):
    prompt_tokens: int
    completion_tokens: int = 1
    prompt_tokens_details: _Details | None = None

    def noted(self) -> None:
        details = self.prompt_tokens_details
        note(self.prompt_tokens, None if details is None else details.cached_tokens, self.completion_tokens)


class _Choice(BaseModel):
    logprobs: _Logprobs | None = None
    prompt_logprobs: _Steps | None = None


class _Completion(BaseModel):
    """Answer of `/v1/completions`."""

    choices: tuple[_Choice]
    usage: _Usage | None = None


class _Token(BaseModel):
    token: str
    logprob: float


class _Position(BaseModel):
    top_logprobs: list[_Token]


class _Content(BaseModel):
    content: list[_Position] | None = None


class _ChatChoice(BaseModel):
    logprobs: _Content | None = None


class _Chat(BaseModel):
    """Answer of `/v1/chat/completions`; vLLM tells of the prompt beside the choices, not in them."""

    choices: tuple[_ChatChoice]
    usage: _Usage | None = None
    prompt_logprobs: _Steps | None = None


def grade_ids(layout: Layout, prompt: Prompt) -> Json:
    """A prompt as ids, for `/v1/completions` of vLLM."""
    labels = list(layout.labels)
    return {
        "prompt": prompt.ids,
        "allowed_token_ids": labels,
        "logprob_token_ids": labels,
        "logprobs": len(labels),
        "return_tokens_as_token_ids": True,
    }


def read_ids(layout: Layout) -> Read[list[float]]:
    """Log-probabilities of the labels, (11,), in the answer to `grade_ids`."""

    def read(answer: bytes) -> list[float] | None:
        found = _Completion.model_validate_json(answer)
        if found.usage:
            found.usage.noted()
        told = found.choices[0].logprobs
        if told is None or not told.top_logprobs:
            return None
        return _of_labels(layout, told.top_logprobs[0])

    return read


def _of_labels(layout: Layout, step: Mapping[str, float]) -> list[float] | None:
    """Log-probabilities of the labels among those of tokens told by id; None where one is not told."""
    names = [f"token_id:{label}" for label in layout.labels]
    return [step[name] for name in names] if step.keys() >= set(names) else None


def grade_chat(layout: Layout, request: Request) -> Json:
    """A request of text as a chat, for any server."""
    chat = layout.messages(request)
    assert chat, "there is something to judge"
    return {"messages": chat[0], "logprobs": True, "top_logprobs": _NEAREST}


def grade_pictures(layout: Layout, sight: Sight, prompt_id: str, prompt: Prompt, urls: list[str], *, ids: bool) -> Json:
    """A prompt with pictures as a chat; `ids`: the server is vLLM and weighs the labels by their ids."""
    messages = picture_messages(layout, sight, prompt_id, prompt, urls)
    if not ids:
        return {"messages": messages, "logprobs": True, "top_logprobs": _NEAREST}
    labels = list(layout.labels)
    return {
        "messages": messages,
        "chat_template_kwargs": {"enable_thinking": False},
        "allowed_token_ids": labels,
        "logprob_token_ids": labels,
        "logprobs": True,
        "top_logprobs": len(labels),
        "return_tokens_as_token_ids": True,
    }


def read_letters(layout: Layout | None) -> Read[list[float]]:
    """Log-probabilities of the labels, (11,), in the answer to a chat; by ids with a `layout`, else by letters."""

    def read(answer: bytes) -> list[float] | None:
        found = _Chat.model_validate_json(answer)
        if found.usage:
            found.usage.noted()
        told = found.choices[0].logprobs
        if told is None or not told.content:
            return None
        step = {each.token.strip(): each.logprob for each in reversed(told.content[0].top_logprobs)}
        if layout is None:
            return [step.get(label, float("-inf")) for label in LABELS]
        return _of_labels(layout, step)

    return read


def foretell(made: Conversation) -> Json:
    """A conversation without its pictures, as ids, for `/v1/completions` of vLLM."""
    return {"prompt": made.blind, "prompt_logprobs": 0}


def foretell_pictures(sight: Sight, made: Conversation, urls: list[str]) -> Json:
    """A conversation with its pictures, for `/v1/chat/completions` of vLLM."""
    turns = turns_with(sight, made.turns, 0)
    first = next(turn for turn in turns if turn["role"] == "user")
    text = first["content"]
    pictures: list[Part] = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    first["content"] = [*pictures, *(text if isinstance(text, list) else [{"type": "text", "text": text}])]
    return {"messages": turns, "add_generation_prompt": False, "prompt_logprobs": 0}


def read_foretold(made: Conversation) -> Read[list[Told]]:
    """What the model says of the answers' tokens; none of them where the server has other tokens at their places."""

    def read(answer: bytes) -> list[Told] | None:
        told = _Chat.model_validate_json(answer).prompt_logprobs
        steps = told or _Completion.model_validate_json(answer).choices[0].prompt_logprobs
        if steps is None:
            return None
        found = []
        for place in made.answers:
            step = steps.root[-place] if place <= len(steps.root) else None
            weight = (step or {}).get(made.seen[-place])
            if weight is None:
                return []
            found.append(Told(weight.logprob, weight.rank))
        return found

    return read
