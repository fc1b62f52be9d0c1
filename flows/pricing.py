"""What the judge of a recipe will cost: calls, tokens, accelerator hours and money, as far as they are known."""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from pydantic import BaseModel

from filters.judges.base import Judge
from filters.judges.http import HttpJudge
from filters.judges.vllm import VllmJudge
from flows.bills import Counter, SourceBill
from flows.build import Prepared
from flows.rates import RatesFile, layout_of
from manifests.rates import Rates
from shards.errors import UsageError
from shards.store import Store

_HOUR: Final = 3600.0
_REASONS: Final = 6
"""Reasons that people are shown at most."""


class Bill(BaseModel):
    """What asking costs at most; null where it is not known."""

    calls: int | None = None
    computed_tokens: int | None = None
    """Of prompts, those found in the cache not counted."""
    cached_tokens: int | None = None
    output_tokens: int | None = None
    hours: float | None = None
    """With all replicas at work."""
    accelerator_hours: float | None = None
    money: float | None = None
    """In the currency of the rates."""


class JudgePrice(BaseModel):
    """What a plan says of its judge."""

    judge: str | None
    """Name of the judge; null where its model is not on this machine."""
    tokens: str
    """How the text of samples is counted, see `tokenizer` of a recipe; headers and rubric by the judge's tokenizer."""
    rates: Rates
    sources: list[SourceBill]
    total: Bill
    known: Bill
    """Sums over what is known."""
    reasons: list[str]
    """Why something in `total` is null."""


def price(prepared: Prepared, store: Store, rates: RatesFile | None = None) -> JudgePrice | None:
    """What the judge of a recipe will cost; None where the recipe asks nobody.

    See `SourceBill` for what is counted. Nothing is built, and nobody is asked.

    Args:
        prepared: the recipe, checked.
        store: where sources may have been built, and answers kept.
        rates: go before those of the recipe.
    """
    judge = prepared.judge
    if judge is None:
        return None
    reasons: list[str] = []
    layout, name = None, None
    try:
        layout, name = layout_of(judge), judge.judge_id
    except UsageError as error:
        reasons.append(str(error))
    recipe = prepared.recipe
    written = Rates() if isinstance(recipe.judge, str) else recipe.judge.rates
    chosen = _rates(written, rates, name, reasons)
    sources = Counter(prepared, store, judge, name, layout).bills()
    reasons += sorted({bill.reason for bill in sources if bill.reason})
    speed = speed_of(chosen, judge, reasons)
    return JudgePrice(
        judge=name,
        tokens=recipe.tokenizer,
        rates=chosen,
        sources=sources,
        total=charged(_sum(sources, whole=True), chosen, speed),
        known=charged(_sum(sources, whole=False), chosen, speed),
        reasons=reasons,
    )


def _rates(written: Rates, file: RatesFile | None, name: str | None, reasons: list[str]) -> Rates:
    if file is None:
        return written
    if file.judge not in (None, name):
        reasons.append(f"the rates are those of judge `{file.judge}`, not of `{name}`; run `vlmix judge probe` again")
        return written
    return written.under(file.rates)


class Speed(NamedTuple):
    """Tokens per second of all replicas together, and their accelerators."""

    tokens_per_second: float
    accelerators: int


def speed_of(rates: Rates, judge: Judge, reasons: list[str]) -> Speed | None:
    """How fast a judge reads at these rates; None where it is not known, for a reason that is added."""
    if not isinstance(judge, VllmJudge | HttpJudge):
        reasons.append("the embedded judge reads no tokens and needs no accelerator")
        return None
    if rates.tokens_per_second is None:
        reasons.append("no `tokens_per_second` in the rates; `vlmix judge probe` measures it")
        return None
    own = len(judge.urls) if isinstance(judge, HttpJudge) else judge.replicas
    each = 1 if isinstance(judge, HttpJudge) else judge.tensor_parallel
    replicas = rates.replicas or own
    return Speed(rates.tokens_per_second * replicas, replicas * (rates.accelerators or each))


def _sum(sources: Sequence[SourceBill], *, whole: bool) -> Bill:
    """Sums over sources; of the `whole`, null where one of them is."""

    def total(values: Iterable[int | None]) -> int | None:
        found = list(values)
        return None if whole and None in found else sum(value for value in found if value is not None)

    calls = total(bill.calls for bill in sources)
    return Bill(
        calls=calls,
        computed_tokens=total(bill.computed_tokens for bill in sources),
        cached_tokens=total(bill.cached_tokens for bill in sources),
        output_tokens=calls,
    )


def charged(bill: Bill, rates: Rates, speed: Speed | None) -> Bill:
    """A bill with hours and money, where speed and tokens are known."""
    if speed is None or bill.computed_tokens is None:
        return bill
    hours = bill.computed_tokens / speed.tokens_per_second / _HOUR
    each = rates.price_per_hour
    return bill.model_copy(
        update={
            "hours": hours,
            "accelerator_hours": hours * speed.accelerators,
            "money": None if each is None else hours * speed.accelerators * each,
        }
    )


def price_lines(found: JudgePrice) -> list[str]:
    """The figures for people."""
    lines = [f"judge {found.judge or '(its model is not on this machine)'}, at most:"]
    for criterion in dict.fromkeys(bill.criterion for bill in found.sources):
        own = [bill for bill in found.sources if bill.criterion == criterion]
        counted = sum(bill.basis == "scores in the store" for bill in own)
        unknown = sum(bill.calls is None for bill in own)
        calls = "?" if unknown == len(own) else f"{sum(bill.calls or 0 for bill in own):,}"
        lines.append(
            f"  {criterion}: {calls} calls, {sum(bill.answered for bill in own):,} "
            f"answered before; {counted} of {len(own)} sources counted row by row, {unknown} of unknown size"
        )
    lines += [f"  {name}: {text}" for name, text in _amounts(found)]
    return lines + [f"  not known: {reason}" for reason in found.reasons[:_REASONS]] + _more(found)


def _amounts(found: JudgePrice) -> list[tuple[str, str]]:
    """Name and value of every amount of which something is known, with what of it is not."""
    shown = {
        "prompt tokens computed": ("computed_tokens", "{:,.0f}"),
        "prompt tokens cached": ("cached_tokens", "{:,.0f}"),
        "output tokens": ("output_tokens", "{:,.0f}"),
        "hours": ("hours", "{:,.2f}"),
        "accelerator hours": ("accelerator_hours", "{:,.2f}"),
        found.rates.currency: ("money", "{:,.2f}"),
    }
    amounts = []
    for name, (field, form) in shown.items():
        whole, known = getattr(found.total, field), getattr(found.known, field)
        if whole is not None:
            amounts.append((name, form.format(whole)))
        elif known:
            amounts.append((name, f"{form.format(known)} for what is known, the rest unknown"))
    return amounts


def _more(found: JudgePrice) -> list[str]:
    left = len(found.reasons) - _REASONS
    return [f"  and {left} more reasons, see --json"] if left > 0 else []
