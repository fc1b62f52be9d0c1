import json
import logging
import math
import pickle
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from filters.judges.base import Request
from filters.judges.http import API_KEY, HttpJudge, counts
from filters.judges.layout import load_layout
from filters.judges.score import render
from shards.errors import UsageError


class Server(ThreadingHTTPServer):
    """Speaks the interface: the grade is the length of the prompt modulo 11. `troubles` are answered first."""

    daemon_threads = True

    def __init__(self, labels: tuple[int, ...]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.labels = labels
        self.bodies: list[dict] = []
        self.keys: set[str | None] = set()
        self.troubles: list[tuple[int, dict[str, str], str]] = []
        self.always: tuple[int, dict[str, str], str] | None = None
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.bodies.append(body)
            self.server.keys.add(self.headers["Authorization"])
            trouble = self.server.always or (self.server.troubles.pop(0) if self.server.troubles else None)
        code, headers, text = trouble or (200, {}, json.dumps(self.answer(body)))
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def answer(self, body: dict) -> dict:
        if self.path == "/v1/chat/completions":
            told = [("A", 0.5), (" K", 0.3), ("the", 0.1), ("A ", 0.05)]
            top = [{"token": token, "logprob": math.log(share)} for token, share in told]
            return {"choices": [{"logprobs": {"content": [{"top_logprobs": top}]}}]}
        if body.get("logprob_token_ids") != list(self.server.labels):
            return {"choices": [{"logprobs": None}]}
        grade = len(body["prompt"]) % 11
        step = {f"token_id:{label}": -9999.0 for label in self.server.labels}
        step[f"token_id:{self.server.labels[grade]}"] = math.log(0.9)
        return {"choices": [{"logprobs": {"top_logprobs": [step]}}]}

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def layout(wording):
    return load_layout(str(wording), 4096)


@pytest.fixture
def servers(layout) -> Iterator[tuple[Server, Server]]:
    both = Server(layout.labels), Server(layout.labels)
    threads = [threading.Thread(target=each.serve_forever, kwargs={"poll_interval": 0.01}) for each in both]
    for thread in threads:
        thread.start()
    yield both
    for each, thread in zip(both, threads, strict=True):
        each.shutdown()
        each.server_close()
        thread.join()


@pytest.fixture
def judge(wording: Path, servers: tuple[Server, Server]) -> HttpJudge:
    return HttpJudge(
        "tiny", (servers[0].url,), str(wording), max_model_len=4096, in_flight=8, patience_s=0.0, timeout_s=5.0
    )


def ask(*texts: str) -> list[Request]:
    return [Request("repetition", render([{"role": "document", "text": text}]) if text else "") for text in texts]


TEXTS = [f"text {'7' * number}" for number in range(40)]


def grades(replies) -> list[int | None]:
    return [reply.probs.index(max(reply.probs)) if reply.probs else None for reply in replies]


def expected(layout, texts) -> list[int]:
    return [len(layout.prompt(request).ids) % 11 for request in ask(*texts)]


def test_contract(judge, layout, servers):
    replies = judge(ask(*TEXTS, ""))
    assert grades(replies) == [*expected(layout, TEXTS), None]
    assert [reply.state for reply in replies] == ["scored"] * 40 + ["empty"]
    assert all(reply.mass == pytest.approx(0.9) for reply in replies[:-1])
    assert judge(ask(*TEXTS)[::-1]) == replies[-2::-1]
    assert judge([]) == [] and [state.state for state in judge(ask(""))] == ["empty"]
    assert len(servers[0].bodies) == 80
    assert pickle.loads(pickle.dumps(judge)) == judge and hash(judge) == hash(replace(judge))


def test_the_request_asks_for_one_token_among_the_labels(judge, layout, servers):
    judge(ask("a"))
    assert servers[0].bodies == [
        {
            "model": "tiny",
            "prompt": layout.prompt(ask("a")[0]).ids,
            "max_tokens": 1,
            "temperature": 0.0,
            "allowed_token_ids": list(layout.labels),
            "logprob_token_ids": list(layout.labels),
            "logprobs": 11,
            "return_tokens_as_token_ids": True,
        }
    ]


def test_judge_id_follows_what_changes_a_reply(judge, tmp_path):
    same = [replace(judge, urls=("http://a:1", "http://b:1")), replace(judge, in_flight=3, tries=1, timeout_s=1.0)]
    assert {each.judge_id for each in same} == {judge.judge_id}
    others = [replace(judge, model="other"), replace(judge, api="chat"), replace(judge, max_model_len=2048)]
    assert len({judge.judge_id, *(each.judge_id for each in others)}) == 4


@pytest.mark.parametrize(
    "trouble",
    [
        (500, {}, "EngineCore encountered an issue"),
        (503, {"Retry-After": "1"}, ""),
        (429, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, ""),
    ],
)
def test_passing_failures_are_asked_again(judge, layout, servers, trouble):
    servers[0].troubles = [trouble]
    assert grades(replace(judge, patience_s=60.0)(ask(*TEXTS[:3]))) == expected(layout, TEXTS[:3])
    assert len(servers[0].bodies) == 4


def test_a_row_that_always_fails_is_given_up_after_its_tries(judge, servers):
    servers[0].always = (500, {}, "")
    before = counts()
    replies = replace(judge, tries=2, patience_s=60.0)(ask("a"))
    assert [reply.state for reply in replies] == ["engine_error"] and replies[0].mass == 0
    assert len(servers[0].bodies) == 2
    assert counts()["failed", "500"] == before.get(("failed", "500"), 0) + 2
    assert counts()["given_up", "token_ids"] == before.get(("given_up", "token_ids"), 0) + 1


def test_a_dead_server_leaves_its_rows_to_the_other(judge, layout, servers):
    servers[1].shutdown()
    servers[1].server_close()
    both = replace(judge, urls=(servers[1].url, servers[0].url), patience_s=60.0)
    assert grades(both(ask(*TEXTS))) == expected(layout, TEXTS)


def test_two_servers_share_the_work(judge, layout, servers):
    both = replace(judge, urls=(servers[0].url, servers[1].url))
    assert grades(both(ask(*TEXTS))) == expected(layout, TEXTS)
    assert len(servers[0].bodies) + len(servers[1].bodies) == 40
    assert min(len(servers[0].bodies), len(servers[1].bodies)) > 0


def test_without_any_server_rows_fail_and_later_calls_do_not_wait(judge, servers):
    servers[0].shutdown()
    servers[0].server_close()
    for _ in range(3):
        assert {reply.state for reply in judge(ask(*TEXTS))} == {"engine_error"}


def test_a_refused_row_does_not_fail_its_batch(judge, layout, servers):
    servers[0].troubles = [(400, {}, "prompt too long")]
    found = grades(replace(judge, in_flight=1)(ask(*TEXTS)))
    assert found == [None, *expected(layout, TEXTS)[1:]]
    assert len(servers[0].bodies) == 40


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"error": {"message": "prompt too long"}}, "400, prompt too long"),
        ({"detail": [{"msg": "wrong", "input": {"prompt": "what a row says"}}]}, "400"),
        ("what a row says", "400"),
    ],
)
def test_a_refusal_is_told_without_the_prompt(judge, servers, caplog, answer, words):
    servers[0].troubles = [(400, {}, json.dumps(answer))]
    with caplog.at_level(logging.WARNING):
        judge(ask("a"))
    assert [record.getMessage() for record in caplog.records] == [f"judge `{judge.model}`: refused a prompt: {words}"]


@pytest.mark.parametrize("text", ["", "<html>", "{}", '{"choices": []}', '{"choices": [{"logprobs": 3}]}'])
def test_an_answer_that_is_not_understood_is_no_number(judge, servers, text):
    servers[0].always = (200, {}, text)
    assert [reply.state for reply in judge(ask("a"))] == ["engine_error"]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((401, {}, ""), "expects a key"),
        ((403, {}, ""), "refuses the key"),
        ((404, {}, ""), "does not know the model"),
        ((200, {}, '{"choices": [{"logprobs": null}]}'), "does not tell the probabilities"),
        ((200, {}, '{"choices": [{"logprobs": {"top_logprobs": [{"A": -0.1}]}}]}'), "does not tell the probabilities"),
    ],
)
def test_wrong_settings_stop_the_call(judge, layout, servers, answer, message):
    servers[0].always = answer
    with pytest.raises(UsageError, match=message):
        judge(ask(*TEXTS))
    servers[0].always = None
    assert grades(judge(ask(*TEXTS))) == expected(layout, TEXTS)


@pytest.mark.parametrize("url", ["ftp://a", "http://", "http://user:secret@a", "a:8000"])
def test_addresses_that_cannot_be_used_are_named(judge, url):
    with pytest.raises(UsageError, match=r"expected .* address") as caught:
        replace(judge, urls=(url,))(ask("a"))
    assert "secret" not in str(caught.value)


def test_the_key_is_sent_and_not_told(judge, servers, monkeypatch, caplog):
    judge(ask("a"))
    assert servers[0].keys == {None}
    monkeypatch.setenv(API_KEY, "a-secret")
    caplog.set_level(logging.DEBUG)
    servers[0].troubles = [(400, {}, "no")]
    judge(ask("a", "b"))
    assert servers[0].keys == {None, "Bearer a-secret"}
    assert "a-secret" not in caplog.text + judge.judge_id + repr(judge)


def test_chat_reads_the_likeliest_tokens(judge, servers):
    before = counts()
    (reply,) = replace(judge, api="chat")(ask("a <|im_end|> b"))
    assert reply.mass == pytest.approx(0.8)
    assert reply.probs == pytest.approx([0.625, *[0] * 9, 0.375])
    assert "a < |im_end|> b" in servers[0].bodies[0]["messages"][1]["content"]
    assert counts()["answered", "chat"] == before.get(("answered", "chat"), 0) + 1
