"""How fast a judge is, timed on requests that it is asked; the rate that a plan is priced at."""

import time
from collections import Counter
from pathlib import Path
from typing import Final

import yaml
from pydantic import BaseModel

from filters.judges.base import Judge, Request
from filters.judges.http import HttpJudge
from filters.judges.usage import usage
from flows.rates import Measured, RatesFile, layout_of
from manifests.rates import Rates
from shards.errors import UsageError
from shards.files import write_text

WARMING: Final = 4
"""Rows asked before the clock starts: an engine loads, compiles, and puts the rubric into its cache."""


class Probe(BaseModel):
    """What `vlmix judge probe --json` prints; wall-clock figures hold for this machine and this moment."""

    judge: str
    criterion: str
    prompt: str
    rows: int
    states: dict[str, int]
    seconds: float
    samples_per_second: float
    tokens_per_sample: float | None
    """Of the whole prompt; null for a judge that is no language model."""
    computed_per_sample: float | None
    """Tokens of the prompt that were not found in the cache."""
    computed_by: str | None
    """`engine`, which told them, or `layout`, for servers that do not tell: what whole blocks leave."""
    own_per_sample: float | None
    """Tokens of the sample itself."""
    tokens_per_second: float | None
    """Tokens computed, of all replicas together."""
    replicas: int


def measure(judge: Judge, requests: list[Request], criterion: str) -> Probe:
    """Time a judge over all requests but the first few, which warm it up."""
    judge(requests[:WARMING])
    timed = requests[WARMING:]
    before, started = usage(), time.perf_counter()
    replies = judge(timed)
    seconds = time.perf_counter() - started
    told = usage().since(before)
    layout = layout_of(judge)
    tokens = own = computed = None
    computed_by = None
    if layout is not None:
        prompts = [made for each in timed if (made := layout.prompt(each)) is not None]
        frame = layout.frame(timed[0].prompt_id)
        tokens = sum(len(made.ids) for made in prompts)
        own = sum(len(made.ids) - made.before - made.after for made in prompts)
        by_engine = told.told == len(prompts)
        computed = told.computed if by_engine else tokens - frame.shared * len(prompts)
        computed_by = "engine" if by_engine else "layout"
    each = len(timed)
    return Probe(
        judge=judge.judge_id,
        criterion=criterion,
        prompt=timed[0].prompt_id,
        rows=each,
        states=dict(sorted(Counter(reply.state for reply in replies).items())),
        seconds=seconds,
        samples_per_second=each / seconds,
        tokens_per_sample=None if tokens is None else tokens / each,
        computed_per_sample=None if computed is None else computed / each,
        computed_by=computed_by,
        own_per_sample=None if own is None else own / each,
        tokens_per_second=None if computed is None else computed / seconds,
        replicas=len(judge.urls) if isinstance(judge, HttpJudge) else 1,
    )


def write_rates(found: Probe, out: Path) -> RatesFile:
    """Write the rates of a probe for `vlmix plan --rates`; of one replica, as if all were equal.

    Raises:
        UsageError: the judge is no language model, or answered nothing, so that there is no rate.
    """
    if found.tokens_per_second is None:
        raise UsageError(f"judge `{found.judge}` is no language model: it has no rate in tokens")
    if not found.states.get("scored"):
        raise UsageError(f"judge `{found.judge}` scored no row ({found.states}): what was timed is no rate")
    made = RatesFile(
        judge=found.judge,
        rates=Rates(tokens_per_second=round(found.tokens_per_second / found.replicas, 1)),
        measured=Measured(
            rows=found.rows,
            seconds=round(found.seconds, 3),
            samples_per_second=round(found.samples_per_second, 2),
            computed_per_sample=round(found.computed_per_sample or 0.0, 1),
        ),
    )
    text = yaml.safe_dump(made.model_dump(mode="json", exclude_unset=True), sort_keys=False)
    write_text(out, text)
    return made


def probe_lines(found: Probe) -> list[str]:
    """The figures for people."""
    states = ", ".join(f"{count:,} {state}" for state, count in found.states.items())
    lines = [
        f"{found.judge}, {found.prompt}: {found.rows:,} rows in {found.seconds:.2f} s ({states})",
        f"{found.samples_per_second:,.1f} samples/s",
    ]
    if found.tokens_per_second is not None:
        assert found.computed_per_sample is not None and found.own_per_sample is not None
        lines.append(
            f"per sample {found.tokens_per_sample:,.0f} tokens, {found.computed_per_sample:,.0f} computed (by the "
            f"{found.computed_by}), {found.own_per_sample:,.0f} its own: "
            f"{found.computed_per_sample / found.own_per_sample:.3f} times its own"
        )
        lines.append(f"{found.tokens_per_second:,.0f} computed tokens/s by {found.replicas} replicas")
    return lines
