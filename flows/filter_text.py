"""What `vlmix filters show` prints for people."""

from collections.abc import Iterator
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from flows.console import terminal
from flows.filter_page import FilterPage, ScoreFact
from flows.report.number import count, percent, short
from flows.score_examples import Example
from flows.score_spread import Bin, Group, Shown, Spread
from review.visible import plain

_BAR: Final = 50
_MOST_BINS: Final = 20


def print_shown(shown: Shown, console: Console | None = None) -> None:
    """A filter or score, and how its scores spread."""
    console = console or terminal()
    _print_page(console, shown.page)
    for spread in shown.spreads:
        _print_spread(console, spread)


def _print_page(console: Console, page: FilterPage) -> None:
    version = "" if page.version is None else f", version {page.version}"
    console.print(f"[bold]{escape(page.filter)}[/bold]  {page.kind} filter{version}")
    console.print(escape(page.definition), soft_wrap=True)
    if page.source:
        console.print(f"[bold]source[/bold] {escape(page.source)}", soft_wrap=True)
    for title, values in (("parameters", page.parameters), ("columns of each picture", page.columns)):
        if values:
            listed = ", ".join(f"{name} {value}" for name, value in values.items())
            console.print(f"[bold]{title}[/bold] {escape(listed)}", soft_wrap=True)
    for null in dict.fromkeys(score.null for score in page.scores):
        console.print(f"[bold]null[/bold] {escape(null)}", soft_wrap=True)
    for score in page.scores:
        _print_score(console, score)


def _print_score(console: Console, score: ScoreFact) -> None:
    made = f", {score.made_from}" if score.made_from else ""
    console.print(f"[bold]score {escape(score.name)}[/bold] {score.dtype}{escape(made)}", soft_wrap=True)
    for rule in score.rules:
        console.print(f"  {escape(f'{rule.set}: {rule.rule} then {rule.then} when {rule.when}')}", soft_wrap=True)


def _print_spread(console: Console, spread: Spread) -> None:
    nulls = "".join(f", {count(rows)} {state}" for state, rows in spread.nulls.items())
    console.print(f"\n[bold]{escape(spread.score)} on {escape(spread.mixture)}[/bold]")
    console.print(f"{count(spread.rows)} rows, {count(spread.scored)} with a value{nulls}")
    if spread.quantiles:
        console.print("  ".join(f"{name} {short(value)}" for name, value in spread.quantiles.items()), soft_wrap=True)
    for line in _histogram(spread.bins):
        console.print(escape(line), soft_wrap=True)
    for mark in spread.marks:
        where = f"  ({mark.where})" if mark.where else ""
        rows = f"{count(mark.rows)} rows, {percent(mark.rows, spread.rows)}"
        console.print(escape(f"{mark.comparison:<12} {rows}{where}"), soft_wrap=True)
    for title, groups in (("source", spread.sources), ("domain", spread.domains)):
        console.print(_group_table(title, groups, spread.comparison))
    if spread.examples and spread.at is not None:
        console.print(f"[bold]rows around {short(spread.at)}[/bold] ({escape(spread.at_from)})")
    for example in spread.examples:
        _print_example(console, example)


def _histogram(bins: list[Bin]) -> Iterator[str]:
    """One line a bin; neighbours are joined until they fit."""
    while len(bins) > _MOST_BINS and bins[0].low is not None:
        pairs = [bins[place : place + 2] for place in range(0, len(bins), 2)]
        bins = [
            Bin(label="", low=pair[0].low, high=pair[-1].high, rows=sum(each.rows for each in pair)) for pair in pairs
        ]
    while bins and not bins[-1].rows:
        bins = bins[:-1]
    while bins and not bins[0].rows:
        bins = bins[1:]
    most = max((each.rows for each in bins), default=0)
    for each in bins:
        label = each.label if each.low is None or each.high is None else f"{short(_near(each.low))}"
        bar = "#" * -(-each.rows * _BAR // most) if most else ""
        yield f"{label:>14} {bar} {count(each.rows) if each.rows else ''}".rstrip()


def _near(value: float) -> float:
    return round(value, 12)


def _group_table(title: str, groups: list[Group], comparison: str) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0))
    table.add_column(title, overflow="fold")
    has_numbers = any(group.median is not None for group in groups)
    quantiles = ("5 %", "median", "95 %") if has_numbers else ()
    for name in ("rows", "with value", *quantiles, *([comparison] if comparison else [])):
        table.add_column(name, justify="right", no_wrap=True)
    for group in groups:
        numbers = ["-" if value is None else short(value) for value in (group.low, group.median, group.high)]
        cells = [count(group.rows), count(group.scored), *(numbers if has_numbers else [])]
        cells += ["-" if group.taken is None else percent(group.taken, 1)] if comparison else []
        table.add_row(escape(group.name), *cells)
    return table


def _print_example(console: Console, example: Example) -> None:
    value = f"{example.side:<5}"
    if not isinstance(example.value, str | bool):
        value += f" {short(example.value)}"
    pictures = f"  [{', '.join(example.pictures)}]" if example.pictures else ""
    head = f"{value}  {example.key}  {example.entry}: {example.verdict}{pictures}"
    console.print(escape(head), soft_wrap=True)
    before, marked, after = (_one_line(piece) for piece in (example.before, example.marked, example.after))
    console.print(f"      {before}{f'[reverse]>>{marked}<<[/reverse]' if marked else ''}{after}", soft_wrap=True)


def _one_line(text: str) -> str:
    return escape(plain(text).replace("\n", " / "))
