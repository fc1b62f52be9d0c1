"""What a judge's engine computes for each sample, by its own count of tokens."""

from dataclasses import replace
from itertools import takewhile

import pytest
from rows import many_rows

from filters.judges import vllm
from filters.judges.layout import load_layout
from filters.judges.usage import Usage, usage
from flows.rates import read_rates
from flows.speed import measure, write_rates

pytestmark = [pytest.mark.vllm, pytest.mark.filterwarnings("ignore")]

BLOCK = 32
"""Of the engine that these tests share."""


def asked(judge, rows) -> Usage:
    """What the engine did for rows whose rubrics it has seen, and nothing else."""
    judge(rows[:1])
    vllm._holder()._engine.reset_prefix_cache()
    first = {request.prompt_id: request for request in rows}
    judge([replace(request, sample_text=request.sample_text[:40]) for request in first.values()])
    before = usage()
    assert {reply.state for reply in judge(rows)} == {"scored"}
    return usage().since(before)


def computed(prompts: list[list[int]], shared: list[int]) -> int:
    """Tokens but those in whole blocks that an earlier prompt began with; every rubric was seen before the first."""
    seen, total = set(), 0
    for ids, head in zip(prompts, shared, strict=True):
        blocks = [hash(tuple(ids[:end])) for end in range(BLOCK, len(ids), BLOCK)]
        found = sum(1 for _ in takewhile(seen.__contains__, blocks))
        total += len(ids) - max(head, found * BLOCK)
        seen.update(blocks)
    return total


def test_little_more_than_the_sample_is_computed(judge):
    aligned = replace(judge, align=BLOCK)
    rows = many_rows()
    done = asked(aligned, rows)
    layout = load_layout(aligned.model, aligned.max_model_len, BLOCK)
    prompts = [layout.prompt(request) for request in rows]
    own = sum(len(prompt.ids) - prompt.before - prompt.after for prompt in prompts)
    shared = [layout.frame(request.prompt_id).shared for request in rows]
    assert done.prompts == done.told == len(rows)
    assert done.tokens == sum(len(prompt.ids) for prompt in prompts)
    # rows with the same question have more in common than the rubric; of two in one step neither finds the other
    least = computed([prompt.ids for prompt in prompts], shared)
    assert least <= done.computed <= done.tokens - sum(shared) <= 1.15 * own


def test_a_rubric_that_ends_within_a_block_costs_more(judge):
    rows = many_rows()[:100]
    aligned = asked(replace(judge, align=BLOCK), rows)
    other = asked(replace(judge, align=1), rows)
    ends = {
        len(load_layout(judge.model, judge.max_model_len, 1).frame(request.prompt_id).before) % BLOCK
        for request in rows
    }
    assert ends != {0}
    assert other.computed > aligned.computed


def test_a_probe_tells_what_the_engine_computed(judge, tmp_path):
    aligned = replace(judge, align=BLOCK)
    rows = [request for request in many_rows() if request.prompt_id == "quality_general"][:60]
    aligned(rows[:1])
    vllm._holder()._engine.reset_prefix_cache()
    found = measure(aligned, rows, "quality")
    assert (found.rows, found.states, found.computed_by) == (56, {"scored": 56}, "engine")
    layout = load_layout(aligned.model, aligned.max_model_len, BLOCK)
    prompts = [layout.prompt(request) for request in rows[4:]]
    shared = layout.frame("quality_general").shared
    most = sum(len(prompt.ids) - shared for prompt in prompts)
    assert 0.9 * most <= found.computed_per_sample * 56 <= most
    assert found.tokens_per_second == pytest.approx(found.computed_per_sample * 56 / found.seconds)
    made = write_rates(found, tmp_path / "rates.yaml")
    assert made.judge == aligned.judge_id and read_rates(tmp_path / "rates.yaml") == made
