"""A language model behind any server that speaks OpenAI's interface; vLLM's own is the one meant.

Prompts are made here, with the model's tokenizer.json, and sent as token ids. The server's `/tokenize` would cost a
request for every sample, is not part of the interface, and takes the spelling of a control token in a sample for one.
"""

import asyncio
import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from typing import Annotated, Final, Generic, Literal, TypeVar

import httpx
from pydantic import Field, ValidationError

from filters.judges.base import Reply, Request
from filters.judges.blocks import ALIGN
from filters.judges.layout import LAYOUT, Layout, Prompt, load_layout, read_answer
from filters.judges.likelihood import Conversation, Likelihood, Told, conversation, weighed
from filters.judges.model import wording_sha256
from filters.judges.replicas import Replica, Replicas
from filters.judges.usage import note_failure
from filters.judges.vision import Sight, data_url, picture_prompt, shown
from filters.judges.wire import (
    Json,
    Read,
    foretell,
    foretell_pictures,
    grade_chat,
    grade_ids,
    grade_pictures,
    read_foretold,
    read_ids,
    read_letters,
)
from shards.errors import UsageError
from shards.files import fingerprint

API_KEY: Final = "VLMIX_JUDGE_API_KEY"
"""Environment variable with the key that servers may ask for; it is sent to every server and written nowhere."""

_Found = TypeVar("_Found")

_LOG: Final = logging.getLogger(__name__)
_POLL_S: Final = 0.05
_MESSAGE: Final = 200
"""Characters of a server's message that are shown."""
_AGAIN: Final = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
_WRONG: Final = {
    HTTPStatus.UNAUTHORIZED: f"expects a key in `{API_KEY}`",
    HTTPStatus.FORBIDDEN: f"refuses the key in `{API_KEY}`",
    HTTPStatus.NOT_FOUND: "does not know the model or the address",
    HTTPStatus.METHOD_NOT_ALLOWED: "does not know the address",
}


@dataclass(frozen=True, slots=True)
class HttpJudge:
    """Asks servers for one token and reads the probabilities of the eleven labels from it.

    Every call runs its requests in a thread of its own, so it may be called from asynchronous code, too. A server that
    refuses connections, answers 5xx or is silent is left alone for a while and its rows go to the others or are asked
    again; rows that nobody answers are `engine_error`. What happened is counted, see `counts`.

    With `max_images` it sees the pictures of samples, if the model does: they are sent as a chat, for no server takes
    pictures with ids, and samples get a space in the spelling of control tokens.

    Attributes:
        model: name that the servers know the model by.
        urls: servers of that model, as `http://HOST:PORT`, each with the same weights.
        tokenizer: folder with the model's config.json, tokenizer.json and chat template; no weights are read.
        api: `token_ids` needs a server that takes prompts as ids and answers `logprob_token_ids` (vLLM). `chat` works
            with any server that tells the 20 likeliest tokens, and is worse: a label that is not among them counts
            as 0, the server's template is used, and samples get a space in the spelling of control tokens.
        max_model_len: tokens of a prompt, at most what the servers allow; longer samples are cut.
        align: tokens of the servers' cache block, which the rubric is filled up to; 128 for vLLM's CPU build.
        in_flight: requests that a server gets at a time.
        tries: answers 5xx, or silences, after which a row is given up.
        timeout_s: seconds that a server may take for one answer.
        patience_s: seconds without an answer from any server after which the rows left are given up.
        max_images: pictures of a sample that the model is shown, at most what the servers allow; 0: a judge of text.
        max_side_px: pixels of the longer side of a picture; larger ones are shrunk.
        image_tokens: tokens of `max_model_len` kept free for each picture; a server refuses a prompt that takes more.
        image_placeholder: what marks a picture, for models whose chat template does not.
    """

    model: str
    urls: tuple[str, ...]
    tokenizer: str
    api: Literal["token_ids", "chat"] = "token_ids"
    max_model_len: int = 8192
    align: Annotated[int, Field(ge=1)] = ALIGN
    in_flight: int = 64
    tries: int = 4
    timeout_s: float = 120.0
    patience_s: float = 120.0
    max_images: Annotated[int, Field(ge=0)] = 0
    max_side_px: Annotated[int, Field(ge=28)] = 1024
    image_tokens: Annotated[int, Field(ge=1)] = 1536
    image_placeholder: str = ""

    @property
    def judge_id(self) -> str:
        """Name of the model and a hash of tokenizer, template, layout, interface and length; not of the servers.

        What weights a server has cannot be seen from here: serve another training under another name.
        """
        made_of = (self.model, wording_sha256(self.tokenizer), LAYOUT, self.api, self.max_model_len, self.align)
        return f"http-{self.model}-{fingerprint('http', *made_of)[:16]}"

    @property
    def sees(self) -> str:
        """See `Seer`."""
        return self.sight.name

    @property
    def foretells(self) -> bool:
        """See `Seer`; a chat tells nothing of its prompt."""
        return self.max_images > 0 and self.api == "token_ids"

    @property
    def sight(self) -> Sight:
        """What the model is shown of pictures."""
        return Sight(self.max_images, self.max_side_px, self.image_tokens, self.image_placeholder)

    def __call__(self, requests: list[Request]) -> list[Reply]:
        """One reply for each request, same order.

        Raises:
            UsageError: an address, the key, the model's name, the tokenizer or the rubric is wrong, the servers do not
                tell the probabilities of the labels, or a request has pictures and the judge sees none.
        """
        layout = self._layout()
        replies = [Reply("empty", None, 0.0, False)] * len(requests)
        questions: list[_Question[list[float]]] = []
        for row, request in enumerate(requests):
            prompt = self._prompt(layout, request)
            if prompt:
                replies[row] = Reply("engine_error", None, 0.0, prompt.cut)
                questions += self._question(layout, row, request, prompt)
        for row, found in self._ask(questions).items():
            replies[row] = read_answer(found, replies[row].cut)
        return replies

    def likelihoods(self, requests: list[Request]) -> list[Likelihood]:
        """See `Seer`.

        Raises:
            UsageError: as for a call, or the template does not keep the turns of a conversation.
        """
        assert self.foretells, "a recipe that needs another judge is refused"
        layout = self._layout()
        made = [conversation(layout, self.sight, request) for request in requests]
        talks = [(row, each) for row, each in enumerate(made) if isinstance(each, Conversation)]
        # two questions for a row: an even number with its pictures, the next without
        questions = [question for row, each in talks for question in self._foretell(row, each)]
        told = self._ask(questions)
        found = [each if isinstance(each, Likelihood) else Likelihood("engine_error", cut=each.cut) for each in made]
        for row, each in talks:
            found[row] = weighed(each, told.get(2 * row), told.get(2 * row + 1))
        return found

    def _layout(self) -> Layout:
        return load_layout(self.tokenizer, self.max_model_len, self.align)

    def _prompt(self, layout: Layout, request: Request) -> Prompt | None:
        if request.images and self.max_images:
            return picture_prompt(layout, self.sight, request)
        return layout.prompt(request)

    def _question(self, layout: Layout, row: int, request: Request, prompt: Prompt) -> "list[_Question[list[float]]]":
        """What to send about a prompt; nothing where a picture does not decode."""
        if prompt.images:
            pictures = shown(prompt.images, self.sight)
            urls = [data_url(picture) for picture in pictures or []]
            body = grade_pictures(layout, self.sight, request.prompt_id, prompt, urls, ids=self.api == "token_ids")
            read = read_letters(layout if self.api == "token_ids" else None)
            return [_Question(row, "chat/completions", body, read)] if urls else []
        if self.api == "chat":
            return [_Question(row, "chat/completions", grade_chat(layout, request), read_letters(None))]
        return [_Question(row, "completions", grade_ids(layout, prompt), read_ids(layout))]

    def _foretell(self, row: int, made: Conversation) -> "Iterator[_Question[list[Told]]]":
        pictures = shown(made.images, self.sight)
        if pictures:
            urls = [data_url(picture) for picture in pictures]
            yield _Question(2 * row, "chat/completions", foretell_pictures(self.sight, made, urls), read_foretold(made))
            yield _Question(2 * row + 1, "completions", foretell(made), read_foretold(made))

    def _ask(self, questions: "list[_Question[_Found]]") -> "dict[int, _Found]":
        """What servers say, by row; without the rows that nobody answers."""
        if not questions:
            return {}
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, _Call[_Found](self).ask(questions)).result()


@dataclass(frozen=True, slots=True)
class _Question(Generic[_Found]):
    """What to send where about a row, and how to read the answer."""

    row: int
    path: str
    body: Json
    read: Read[_Found]


class _Call(Generic[_Found]):
    """The requests of one call of a judge."""

    def __init__(self, judge: HttpJudge) -> None:
        self._judge = judge
        self._fixed: Json = {"model": judge.model, "max_tokens": 1, "temperature": 0.0}
        self._replicas = _replicas(judge.urls, judge.in_flight)
        self._patience = self._replicas.patience(judge.patience_s)
        self._heard_at = time.monotonic()
        self._found: dict[int, _Found] = {}

    async def ask(self, questions: list[_Question[_Found]]) -> dict[int, _Found]:
        """What servers say to the questions, by row."""
        left = iter(questions)
        key = os.environ.get(API_KEY)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        workers = min(len(questions), self._judge.in_flight * len(self._judge.urls))
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=workers)
        try:
            async with (
                httpx.AsyncClient(headers=headers, timeout=self._judge.timeout_s, limits=limits) as client,
                asyncio.TaskGroup() as group,
            ):
                for _ in range(workers):
                    group.create_task(self._work(client, left))
        except* UsageError as errors:
            raise errors.exceptions[0] from None
        return self._found

    async def _work(self, client: httpx.AsyncClient, left: Iterable[_Question[_Found]]) -> None:
        for question in left:
            found = await self._answer(client, question)
            count("given_up" if found is None else "answered", self._judge.api)
            if found is not None:
                self._found[question.row] = found

    async def _answer(self, client: httpx.AsyncClient, question: _Question[_Found]) -> _Found | None:
        """The answer to a question; None where nobody gives one."""
        tries = 0
        while tries < self._judge.tries:
            replica = await self._replica()
            if replica is None:
                return None
            asked_at = time.monotonic()
            try:
                answer = await client.post(f"{replica.url}/v1/{question.path}", json=self._fixed | question.body)
            except httpx.TransportError as error:
                tries += not isinstance(error, httpx.ConnectError)
                self._failed(replica, asked_at, type(error).__name__)
                continue
            except BaseException:  # cancelled by an error elsewhere: the place at the server is free again
                self._replicas.released(replica)
                raise
            if answer.status_code in _AGAIN or answer.is_server_error:
                tries += 1
                self._failed(replica, asked_at, str(answer.status_code), _wish(answer))
                continue
            self._replicas.done(replica)
            self._heard_at = time.monotonic()
            return self._read(replica, answer, question)
        return None

    async def _replica(self) -> Replica | None:
        """A server with a free place; None when nobody answered for too long."""
        while True:
            now = time.monotonic()
            chosen = self._replicas.choose(now)
            if chosen is not None:
                return chosen
            if self._replicas.all_fail() and now - self._heard_at > self._patience:
                self._replicas.give_up()
                return None
            await asyncio.sleep(_POLL_S)

    def _failed(self, replica: Replica, asked_at: float, why: str, wish: float = 0.0) -> None:
        count("failed", why)
        note_failure()
        self._replicas.failed(replica, asked_at=asked_at, now=time.monotonic(), wish=wish)

    def _read(self, replica: Replica, answer: httpx.Response, question: _Question[_Found]) -> _Found | None:
        if answer.status_code in _WRONG:
            raise UsageError(f"judge `{self._judge.model}`: `{replica.url}` {_WRONG[HTTPStatus(answer.status_code)]}")
        if not answer.is_success:
            # this row alone: the server works, and would say the same another time
            count("refused", str(answer.status_code))
            _LOG.warning("judge `%s`: refused a prompt: %s", self._judge.model, _reason(answer))
            return None
        try:
            found = question.read(answer.content)
        except ValidationError:
            count("failed", "not understood")
            return None
        if found is None:
            raise UsageError(
                f"judge `{self._judge.model}`: `{replica.url}` does not tell the probabilities it is asked for; "
                "serve the model with vLLM, or say `api: chat`"
            )
        return found


def _reason(answer: httpx.Response) -> str:
    """Status and message of a refusal; no more of the answer, for some servers send the prompt back."""
    try:
        message = str(answer.json()["error"]["message"])[:_MESSAGE]
    except (ValueError, KeyError, TypeError):
        return str(answer.status_code)
    return f"{answer.status_code}, {message}"


def _wish(answer: httpx.Response) -> float:
    """Seconds that a server asks to be left alone; 0.0 where it names none, or a date."""
    text = answer.headers.get("Retry-After", "")
    return float(text) if text.isdecimal() else 0.0


@cache
def _replicas(urls: tuple[str, ...], in_flight: int) -> Replicas:
    for url in urls:
        found = httpx.URL(url)
        if found.userinfo:
            raise UsageError(f"judge `http`: expected no password in the address of `{found.host}`; set `{API_KEY}`")
        if found.scheme not in {"http", "https"} or not found.host:
            raise UsageError(f"judge `http`: expected an address like `http://HOST:PORT`, found `{url}`")
    if not urls:
        raise UsageError("judge `http`: expected at least one address in `urls`")
    return Replicas([url.rstrip("/") for url in urls], in_flight)


_COUNTS: Final[Counter[tuple[str, str]]] = Counter()
_COUNTING: Final = threading.Lock()


def count(what: str, detail: str) -> None:
    """Count one event of this process."""
    with _COUNTING:
        _COUNTS[what, detail] += 1


def counts() -> dict[tuple[str, str], int]:
    """What happened in this process so far, by event and detail.

    `answered` and `given_up` count rows, by interface; `failed` counts requests, by status or error; `refused` counts
    rows that a server found wrong, by status.
    """
    with _COUNTING:
        return dict(_COUNTS)
