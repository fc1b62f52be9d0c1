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
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from typing import Final, Literal

import httpx
from pydantic import BaseModel, ValidationError

from filters.judges.base import Reply, Request
from filters.judges.layout import LABELS, LAYOUT, Layout, load_layout, read_answer
from filters.judges.model import wording_sha256
from filters.judges.replicas import Replica, Replicas
from shards.errors import UsageError
from shards.files import fingerprint

API_KEY: Final = "VLMIX_JUDGE_API_KEY"
"""Environment variable with the key that servers may ask for; it is sent to every server and written nowhere."""

Json = dict[str, object]

_LOG: Final = logging.getLogger(__name__)
_POLL_S: Final = 0.05
_AGAIN: Final = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
_WRONG: Final = {
    HTTPStatus.UNAUTHORIZED: f"expects a key in `{API_KEY}`",
    HTTPStatus.FORBIDDEN: f"refuses the key in `{API_KEY}`",
    HTTPStatus.NOT_FOUND: "does not know the model or the address",
    HTTPStatus.METHOD_NOT_ALLOWED: "does not know the address",
}
_NEAREST: Final = 20
"""Likeliest tokens that a server without `logprob_token_ids` tells; labels that are not among them count as 0."""


class _Logprobs(BaseModel):
    top_logprobs: list[dict[str, float]]


class _Choice(BaseModel):
    logprobs: _Logprobs | None = None


class _Completion(BaseModel):
    """Answer of `/v1/completions`."""

    choices: tuple[_Choice]


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
    """Answer of `/v1/chat/completions`."""

    choices: tuple[_ChatChoice]


@dataclass(frozen=True, slots=True)
class HttpJudge:
    """Asks servers for one token and reads the probabilities of the eleven labels from it.

    Every call runs its requests in a thread of its own, so it may be called from asynchronous code, too. A server that
    refuses connections, answers 5xx or is silent is left alone for a while and its rows go to the others or are asked
    again; rows that nobody answers are `engine_error`. What happened is counted, see `counts`.

    Attributes:
        model: name that the servers know the model by.
        urls: servers of that model, as `http://HOST:PORT`, each with the same weights.
        tokenizer: folder with the model's config.json, tokenizer.json and chat template; no weights are read.
        api: `token_ids` needs a server that takes prompts as ids and answers `logprob_token_ids` (vLLM). `chat` works
            with any server that tells the 20 likeliest tokens, and is worse: a label that is not among them counts
            as 0, the server's template is used, and samples get a space in the spelling of control tokens.
        max_model_len: tokens of a prompt, at most what the servers allow; longer samples are cut.
        in_flight: requests that a server gets at a time.
        tries: answers 5xx, or silences, after which a row is given up.
        timeout_s: seconds that a server may take for one answer.
        patience_s: seconds without an answer from any server after which the rows left are given up.
    """

    model: str
    urls: tuple[str, ...]
    tokenizer: str
    api: Literal["token_ids", "chat"] = "token_ids"
    max_model_len: int = 8192
    in_flight: int = 64
    tries: int = 4
    timeout_s: float = 120.0
    patience_s: float = 120.0

    @property
    def judge_id(self) -> str:
        """Name of the model and a hash of tokenizer, template, layout, interface and length; not of the servers.

        What weights a server has cannot be seen from here: serve another training under another name.
        """
        made_of = (self.model, wording_sha256(self.tokenizer), LAYOUT, self.api, self.max_model_len)
        return f"http-{self.model}-{fingerprint('http', *made_of)[:16]}"

    def __call__(self, requests: list[Request]) -> list[Reply]:
        """One reply for each request, same order.

        Raises:
            UsageError: an address, the key, the model's name, the tokenizer or the rubric is wrong, or the servers do
                not tell the probabilities of the labels.
        """
        layout = load_layout(self.tokenizer, self.max_model_len)
        replies = [Reply("empty", None, 0.0, False)] * len(requests)
        questions = [question for row, each in enumerate(requests) if (question := _question(self, layout, row, each))]
        if questions:
            with ThreadPoolExecutor(1) as thread:
                answered = thread.submit(asyncio.run, _Call(self, layout).ask(questions)).result()
            for row, reply in answered.items():
                replies[row] = reply
        return replies


@dataclass(frozen=True, slots=True)
class _Question:
    row: int
    body: Json
    cut: bool


def _question(judge: HttpJudge, layout: Layout, row: int, request: Request) -> _Question | None:
    fixed: Json = {"model": judge.model, "max_tokens": 1, "temperature": 0.0}
    if judge.api == "chat":
        chat = layout.messages(request)
        asked: Json = {"messages": chat[0] if chat else [], "logprobs": True, "top_logprobs": _NEAREST}
        return _Question(row, fixed | asked, chat[1]) if chat else None
    prompt = layout.prompt(request)
    labels = list(layout.labels)
    asked = {
        "prompt": prompt.ids if prompt else [],
        "allowed_token_ids": labels,
        "logprob_token_ids": labels,
        "logprobs": len(labels),
        "return_tokens_as_token_ids": True,
    }
    return _Question(row, fixed | asked, prompt.cut) if prompt else None


class _Call:
    """The requests of one call of a judge."""

    def __init__(self, judge: HttpJudge, layout: Layout) -> None:
        self._judge = judge
        self._layout = layout
        self._replicas = _replicas(judge.urls, judge.in_flight)
        self._patience = self._replicas.patience(judge.patience_s)
        self._heard_at = time.monotonic()
        self._replies: dict[int, Reply] = {}

    async def ask(self, questions: list[_Question]) -> dict[int, Reply]:
        """Reply to every question, by row."""
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
        return self._replies

    async def _work(self, client: httpx.AsyncClient, left: Iterable[_Question]) -> None:
        for question in left:
            reply = await self._reply(client, question)
            count("answered" if reply else "given_up", self._judge.api)
            self._replies[question.row] = reply or Reply("engine_error", None, 0.0, question.cut)

    async def _reply(self, client: httpx.AsyncClient, question: _Question) -> Reply | None:
        """The reply to a question; None where nobody gives one."""
        tries = 0
        while tries < self._judge.tries:
            replica = await self._replica()
            if replica is None:
                return None
            asked_at = time.monotonic()
            try:
                answer = await client.post(self._address(replica), json=question.body)
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
        self._replicas.failed(replica, asked_at=asked_at, now=time.monotonic(), wish=wish)

    def _address(self, replica: Replica) -> str:
        path = "completions" if self._judge.api == "token_ids" else "chat/completions"
        return f"{replica.url}/v1/{path}"

    def _read(self, replica: Replica, answer: httpx.Response, question: _Question) -> Reply | None:
        if answer.status_code in _WRONG:
            raise UsageError(f"judge `{self._judge.model}`: `{replica.url}` {_WRONG[HTTPStatus(answer.status_code)]}")
        if not answer.is_success:
            # this row alone: the server works, and would say the same another time
            count("refused", str(answer.status_code))
            _LOG.warning("judge `%s`: refused a prompt: %.300s", self._judge.model, answer.text)
            return None
        try:
            found = self._by_ids(answer) if self._judge.api == "token_ids" else _by_letters(answer)
        except ValidationError:
            count("failed", "not understood")
            return None
        if found is None:
            raise UsageError(
                f"judge `{self._judge.model}`: `{replica.url}` does not tell the probabilities of the labels; "
                "serve the model with vLLM, or say `api: chat`"
            )
        return read_answer(found, question.cut)

    def _by_ids(self, answer: httpx.Response) -> list[float] | None:
        told = _Completion.model_validate_json(answer.content).choices[0].logprobs
        if told is None or not told.top_logprobs:
            return None
        names = [f"token_id:{label}" for label in self._layout.labels]
        step = told.top_logprobs[0]
        return [step[name] for name in names] if step.keys() >= set(names) else None


def _by_letters(answer: httpx.Response) -> list[float] | None:
    told = _Chat.model_validate_json(answer.content).choices[0].logprobs
    if told is None or not told.content:
        return None
    step = {each.token.strip(): each.logprob for each in reversed(told.content[0].top_logprobs)}
    return [step.get(label, float("-inf")) for label in LABELS]


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
