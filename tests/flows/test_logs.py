"""What a run says: fields, formats, no secrets, and workers' words whole and in order."""

import io
import json
import logging
from typing import NamedTuple

import pytest
from commands import Vlmix

from flows.attempt import attempt
from flows.executor import LocalRunner
from flows.logs import MOST, JsonLines, TextLines, event, listening, logging_to, logs, trimmed
from flows.measured import Measured, MeasuredRunner
from flows.metering import begin, measured
from flows.workers import WorkerPool
from shards.errors import UsageError

LOG = logging.getLogger("filters.somewhere")


class Named(NamedTuple):
    name: str


class Job(NamedTuple):
    source: Named
    number: int
    words: int = 3


def lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("`https://me:hunter2@hub.org/a/b?token=abc#x` said no", "`https://hub.org/a/b?***` said no"),
        ("s3://bucket/mixes/one", "s3://bucket/mixes/one"),
        ("https://cdn.org/p.jpg?X-Amz-Signature=123, tried 3 times", "https://cdn.org/p.jpg?*** tried 3 times"),
        ("postgresql+asyncpg://prefect:pw@127.0.0.1:5432/prefect", "postgresql+asyncpg://127.0.0.1:5432/prefect"),
        ("key hf_verysecret1 was refused", "key *** was refused"),
        ("what? really: 1 / 2", "what? really: 1 / 2"),
    ],
)
def test_secrets_are_trimmed(text, expected, monkeypatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_verysecret1")
    assert trimmed(text) == expected


def test_a_json_line_has_time_level_and_fields() -> None:
    stream, run = io.StringIO(), begin()
    with logs("json", stream), measured("score text", "pets"):
        LOG.warning("a %s of %s", "picture", "https://a:b@c.org/d?e=f")
        event("done", "all of it", {"rows": 3, "where": "https://a:b@c.org"})
    first, second = lines(stream.getvalue())
    assert str(first.pop("time")).endswith("Z")
    assert first == {
        **{"level": "warning", "logger": "filters.somewhere", "message": "a picture of https://c.org/d?***"},
        **{"run": run, "step": "score text", "source": "pets"},
    }
    assert (second["event"], second["rows"], second["where"], second["level"]) == ("done", 3, "https://c.org", "info")


def test_people_see_warnings_with_their_place() -> None:
    stream = io.StringIO()
    with logs("text", stream), measured("score text", "pets"):
        LOG.info("nobody sees this")
        LOG.warning("look")
    assert stream.getvalue().endswith(" warning [score text pets] look\n") and stream.getvalue().count("\n") == 1


@pytest.mark.parametrize("shown", ["json", "text"])
def test_an_error_is_told_with_its_traceback(shown) -> None:
    stream = io.StringIO()
    with logs(shown, stream):
        try:
            raise ValueError("https://a:b@c.org")
        except ValueError:
            LOG.exception("broken")
    assert "ValueError: https://c.org" in stream.getvalue()


@pytest.mark.parametrize(("name", "value"), [("VLMIX_LOG", "xml"), ("VLMIX_LOG_LEVEL", "loud")])
def test_other_words_are_refused(name, value, monkeypatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=rf"{name}: expected .*, found `{value}`"), logs():
        pass


def test_the_environment_says_how_and_how_much(monkeypatch) -> None:
    monkeypatch.setenv("VLMIX_LOG", "json")
    monkeypatch.setenv("VLMIX_LOG_LEVEL", "error")
    stream = io.StringIO()
    with logs(stream=stream):
        LOG.warning("no")
        LOG.error("yes")
    assert [line["message"] for line in lines(stream.getvalue())] == ["yes"]


def test_levels_are_as_before_afterwards() -> None:
    before = logging.getLogger("flows").level
    with logs("json", io.StringIO()):
        assert logging.getLogger("flows.run").isEnabledFor(logging.DEBUG)
    assert logging.getLogger("flows").level == before and not logging.getLogger("flows").handlers


def speak(job: Job) -> None:
    for number in range(job.words):
        LOG.warning("%d", number)
    if job.words == 1:
        raise ValueError("no")


JOBS = [Job(Named("pets"), number) for number in range(4)]


@pytest.mark.integration
def test_workers_words_arrive_whole_and_in_order() -> None:
    stream, run = io.StringIO(), begin()
    with logs("json", stream), WorkerPool(2, 2_000_000_000) as pool:
        MeasuredRunner(LocalRunner(pool)).map("score text", speak, JOBS)
    said = lines(stream.getvalue())
    for job in JOBS:
        own = [line for line in said if line.get("part") == job.number]
        assert [line["message"] for line in own[:3]] == ["0", "1", "2"] and own[3]["event"] == "part"
        assert {(line["run"], line["step"], line["source"]) for line in own} == {(run, "score text", "pets")}


@pytest.mark.integration
def test_workers_say_no_more_than_is_heard() -> None:
    stream = io.StringIO()
    with logs("text", stream), WorkerPool(2, 2_000_000_000) as pool:
        MeasuredRunner(LocalRunner(pool)).map("score text", speak, JOBS)
    assert len(stream.getvalue().splitlines()) == 12 and "done in" not in stream.getvalue()


def test_a_job_that_fails_gives_back_what_it_said() -> None:
    done = attempt(Measured("score text", speak, logging.WARNING), Job(Named("pets"), 7, words=1))
    assert isinstance(done.error, ValueError)
    (said,) = done.told.said
    assert (said.message, said.fields) == ("0", {**said.fields, "step": "score text", "source": "pets", "part": 7})


def test_a_job_that_says_too_much_is_cut_and_counted() -> None:
    with listening() as said:
        for _ in range(MOST + 5):
            LOG.warning("again")
    assert len(said) == MOST + 1 and said[-1].message == "5 more records of this job are left out"


def test_others_are_not_heard() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    with logging_to(handler):
        logging.getLogger("httpx").warning("no")
    assert stream.getvalue() == "" and TextLines().format(logging.makeLogRecord({"msg": "words"})).endswith(" words")


@pytest.mark.integration
def test_a_command_that_fails_says_so_in_json_alone(vlmix: Vlmix, tmp_path) -> None:
    done = vlmix("run", "build-sft-mix", "--recipe", "nope", "--store", tmp_path, "--log-format", "json")
    (line,) = lines(done.err)
    assert (done.code, line["event"], line["level"]) == (2, "error", "error")
    assert str(line["message"]).startswith("no recipe `nope`")
    plain = vlmix("run", "build-sft-mix", "--recipe", "nope", "--store", tmp_path)
    assert plain.code == 2 and plain.err.startswith("vlmix: no recipe `nope`") and plain.err.count("\n") == 1
