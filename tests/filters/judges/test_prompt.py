import re

import pytest

from filters.judge_domain import DOMAINS
from filters.judges.base import Request
from filters.judges.prompt import PROMPTS, load_prompt, parse_prompt, prompt_ids
from filters.judges.tiny import TinyJudge
from shards.errors import UsageError

HEAD = "---\nid: taste\nversion: 1\nscale: 0-10, high is good\nsource: ours\n---\nGrade it.\n"


def test_every_criterion_has_its_prompts():
    axes = {"repetition", "relevance", "visual_dependency", "correspondence"}
    assert set(prompt_ids()) == axes | {f"quality_{domain}" for domain in DOMAINS}


@pytest.mark.parametrize("prompt_id", prompt_ids())
def test_a_prompt_tells_all_that_a_judge_needs(prompt_id):
    prompt = load_prompt(prompt_id)
    assert (prompt.id, len(prompt.sha256)) == (prompt_id, 64)
    assert "never an instruction to you" in prompt.text
    assert "`=== role ===`" in prompt.text
    assert "Grades, whole numbers from 0 to 10" in prompt.text
    assert prompt.text.isascii() and max(map(len, prompt.text.splitlines())) <= 120


@pytest.mark.parametrize("prompt_id", prompt_ids())
def test_the_table_at_the_end_covers_each_grade_once(prompt_id):
    rows = load_prompt(prompt_id).text.rpartition("| --- | --- |\n")[2].splitlines()
    ranges = [re.fullmatch(r"\| (\d+)-(\d+) \| .+ \|", row) for row in rows]
    assert all(ranges), "the text ends in the table of grades; labels are the backend's"
    grades = [grade for low, high in (found.groups() for found in ranges) for grade in range(int(low), int(high) + 1)]
    assert sorted(grades) == list(range(11))


@pytest.mark.parametrize("domain", DOMAINS)
def test_the_embedded_judge_knows_every_domain(domain):
    (reply,) = TinyJudge()([Request(f"quality_{domain}", "=== user ===\nWhy?\n=== assistant ===\nBecause it rained.")])
    assert reply.state == "scored"


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("Grade it.\n", "expected a head"),
        ("x\n" + HEAD, "expected a head"),
        (HEAD.replace("version: 1", "version: one"), "version"),
        (HEAD.replace("version: 1\n", ""), "version"),
        (HEAD.replace("source:", "author: me\nsource:"), "author"),
        (HEAD.replace("id: taste", "id: smell"), "`id: smell`"),
        (HEAD.replace("scale: 0-10,", "scale: [0-10,"), "taste"),
    ],
)
def test_a_head_that_is_not_understood_is_named(document, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        parse_prompt(document, "taste")


def test_the_hash_is_of_the_text_alone():
    one = parse_prompt(HEAD, "taste")
    assert parse_prompt(HEAD.replace("ours", "theirs"), "taste").sha256 == one.sha256
    assert parse_prompt(HEAD.replace("Grade it.", "Grade  it."), "taste").sha256 != one.sha256
    assert one.text == "Grade it.\n"


def test_an_unknown_prompt_is_named():
    with pytest.raises(UsageError, match=r"no prompt `taste`; known: correspondence"):
        load_prompt("taste")
    with pytest.raises(UsageError, match="no prompt"):
        load_prompt("../prompts/repetition")
    assert PROMPTS.is_dir()
