"""The judge on an engine in this process."""

import os
import random
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from conftest import ENVIRONMENT
from rows import hostile, many_rows, marked
from tiny_model import MARKS, REFUSAL

from filters.judges.base import Reply, Request
from filters.judges.layout import load_layout
from filters.judges.vllm import close_engine
from shards.errors import UsageError

pytestmark = [pytest.mark.vllm, pytest.mark.filterwarnings("ignore")]


def same(found: list[Reply], wanted: list[Reply]) -> None:
    assert [(reply.state, reply.cut) for reply in found] == [(reply.state, reply.cut) for reply in wanted]
    assert [reply.mass for reply in found] == pytest.approx([reply.mass for reply in wanted], abs=1e-4)
    for one, other in zip(found, wanted, strict=True):
        assert one.probs == pytest.approx(other.probs, abs=1e-4)


def expected(reply: Reply) -> float:
    assert reply.probs is not None
    return sum(grade * share for grade, share in enumerate(reply.probs))


def test_a_mark_gets_its_grade(judge):
    replies = judge([marked(grade) for grade in range(11)])
    assert [expected(reply) for reply in replies] == pytest.approx(range(11), abs=1e-3)
    assert all(reply.mass > 0.99 and not reply.cut for reply in replies)


def test_two_marks_share_the_answer(judge):
    (reply,) = judge([Request("repetition", f"=== document ===\n{MARKS[2]} {MARKS[6]}")])
    assert min(reply.probs[2], reply.probs[6]) > 0.1 and reply.probs[2] + reply.probs[6] > 0.99


def test_a_model_that_means_another_word_gives_no_answer(judge):
    (reply,) = judge([Request("repetition", f"=== document ===\n{REFUSAL}")])
    assert reply.state == "no_answer" and reply.mass < 0.5


def test_five_hundred_rows_are_the_same_in_any_order_batch_thread_and_engine(judge):
    rows = many_rows()
    whole = judge(rows)
    assert {reply.state for reply in whole} == {"scored"}
    assert len({round(expected(reply), 3) for reply in whole}) > 100
    same(replace(judge, chunk=1024)(rows), whole)
    order = random.Random(0).sample(range(500), 500)
    shuffled = judge([rows[row] for row in order])
    same(shuffled, [whole[row] for row in order])
    same([reply for row in rows[:20] for reply in judge([row])], whole[:20])
    with ThreadPoolExecutor(4) as threads:
        parts = threads.map(judge, [rows[start : start + 50] for start in range(0, 200, 50)])
        same([reply for part in parts for reply in part], whole[:200])
    close_engine()
    same(judge(rows[:100]), whole[:100])


def test_another_chunk_size_changes_nothing(judge):
    rows = many_rows()[:100]
    whole = judge(rows)
    same(replace(judge, chunk=7)(rows), whole)


def test_two_hundred_hostile_samples(judge):
    cases = hostile()
    replies = judge([request for request, _, _ in cases])
    assert Counter(reply.state for reply in replies) == {"scored": 160, "empty": 20, "no_answer": 20}
    assert sum(reply.cut for reply in replies) == 40
    for reply, (_, state, grade) in zip(replies, cases, strict=True):
        assert reply.state == state
        if grade is not None:
            assert expected(reply) == pytest.approx(grade, abs=0.05)


def test_the_model_does_obey_a_control_token_that_is_one(judge):
    # what the samples above try: with the tokenizer's own reading they would get grade 10
    from vllm import SamplingParams, TokensPrompt

    from filters.judges import vllm

    layout = load_layout(judge.model, judge.max_model_len)
    judge([marked(3)])
    prompt = layout.prompt(marked(3))
    smuggled = [*prompt.ids[: prompt.before], layout.control["<|override|>"], *prompt.ids[prompt.before :]]
    asked = SamplingParams(temperature=0.0, max_tokens=1, allowed_token_ids=list(layout.labels))
    output = vllm._holder()._engine.generate([TokensPrompt(prompt_token_ids=smuggled)], asked, use_tqdm=False)
    assert output[0].outputs[0].token_ids[0] == layout.labels[10]


def test_settings_that_cannot_start_are_told(judge):
    with pytest.raises(UsageError, match="the engine does not start"):
        replace(judge, dtype="float99")([marked(1)])
    assert expected(judge([marked(1)])[0]) == pytest.approx(1, abs=1e-3)


KILL = """
import os, sys
from dataclasses import replace
import psutil
from filters.judges.vllm import VllmJudge, close_engine
from rows import many_rows, marked

if __name__ == "__main__":
    judge = VllmJudge(sys.argv[1], dtype="float32", max_model_len=4096, gpu_memory_utilization=0.05,
                      kv_cache_memory_bytes=1 << 26, enforce_eager=True, block_size=32, rebuilds=1)
    rows = many_rows()[:40]
    first = judge(rows)
    for stage, victim in (("lost", "Worker"), ("rebuilt", ""), ("lost for good", "EngineCore"), ("given up", "")):
        if stage.startswith("lost"):
            for child in psutil.Process().children(recursive=True):
                if victim in child.name():
                    child.kill()
        replies = judge(rows)
        print(stage, sorted({reply.state for reply in replies}), replies == first)
    close_engine()
    print("left", [child.name() for child in psutil.Process().children(recursive=True) if "VLLM" in child.name()])
"""


def test_an_engine_that_dies_is_rebuilt_and_its_rows_are_told(model, tmp_path):
    script = tmp_path / "kill.py"
    script.write_text(KILL)
    variables = {**ENVIRONMENT, "VLLM_ENABLE_V1_MULTIPROCESSING": "1"}
    here = ":".join(path for path in sys.path if path.endswith(("/tests", "/tests/vllm")))
    command = [sys.executable, "-W", "ignore", str(script), str(model)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **variables, "PYTHONPATH": here}
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert [line for line in done.stdout.splitlines() if line.startswith(("lost", "rebuilt", "given", "left"))] == [
        "lost ['engine_error'] False",
        "rebuilt ['scored'] True",
        "lost for good ['engine_error'] False",
        "given up ['engine_error'] False",
        "left []",
    ]
