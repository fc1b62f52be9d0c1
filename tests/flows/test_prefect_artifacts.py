"""What a build shows on Prefect's pages, as values; tests/flows/test_prefect.py looks at it on a real server."""

import logging

import pytest

from flows.logs import logging_to
from flows.metering import Spent, Work, measured
from flows.prefect_artifacts import ToPrefect, artifact_key, news_rows, step_row
from flows.record import Line
from flows.since import News, Since, SourceNews, StageNews

NEWS = Since(
    recipe="mine",
    before="a" * 64,
    after="b" * 64,
    stages=[
        StageNews(
            stage="sft",
            total=News(added=3, verdicts=1),
            domains={"chat": News(added=3)},
            sources={"pets": SourceNews(added=3, before="1" * 40, after="2" * 40, changed=["revision"], edited=2)},
            verdicts={},
            settings=[],
            rules=[],
        )
    ],
)


def test_what_is_new_is_a_row_a_stage_domain_and_source() -> None:
    plain = {"added": 3, "removed": 0, "repeated": 0, "verdicts": 0}
    assert news_rows(NEWS) == [
        {"stage": "sft", "of": "all", "name": "", **plain, "verdicts": 1},
        {"stage": "sft", "of": "domain", "name": "chat", **plain},
        {"stage": "sft", "of": "source", "name": "pets", **plain, "changed": "revision"},
    ]


def test_steps_are_shown_in_megabytes() -> None:
    line = Line.of(Work("convert"), Spent(rows=10, bytes=2_500_000, busy_s=2.0, peak_bytes=300_000_000))
    row = step_row(line.model_dump())
    assert (row["mb"], row["peak_mb"], row["rows_per_s"], row["mb_per_s"]) == (2.5, 300, 5.0, 1.25)
    assert "source" not in row and "bytes" not in row


@pytest.mark.parametrize(("recipe", "key"), [("demo", "demo"), ("/data/My Mix_2.yaml", "my-mix-2")])
def test_names_of_artifacts_are_those_that_prefect_takes(recipe, key) -> None:
    assert artifact_key(recipe) == key


def test_records_are_given_to_the_logger_of_the_run_with_their_place(caplog) -> None:
    theirs, ours = logging.getLogger("a flow run"), logging.getLogger("flows.somewhere")
    with caplog.at_level(logging.DEBUG, "a flow run"), logging_to(ToPrefect(theirs)), measured("scan", "pets"):
        ours.debug("not this")
        ours.info("this, from https://me:pw@host/x")
    told = [(each.levelname, each.getMessage()) for each in caplog.records if each.name == "a flow run"]
    assert told == [("INFO", "scan pets: this, from https://host/x")]
