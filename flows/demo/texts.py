"""Questions and answers that are true of a chart, a table or a page."""

from __future__ import annotations

from random import Random

from flows.demo.charts import Chart
from flows.demo.pages import Line, Page
from flows.demo.phrases import pick, words
from flows.demo.tables import Table, markdown

Turn = tuple[str, str]
Slots = dict[str, str | int]

# The last of each does not depend on the numbers.
CHART_KINDS = ("value", "top", "low", "gap", "total", "over", "compare", "title")
TABLE_KINDS = ("cell", "top", "low", "total", "compare", "rows")
FOREIGN_SHARE = 0.08
SENTENCES = ("first", "second", "third", "fourth", "fifth")


def chart_turns(chart: Chart, rng: Random, n: int) -> tuple[Turn, ...]:
    """`n` different questions about the chart with their answers, or one in Chinese or Japanese."""
    slots = _chart_slots(chart, rng)
    kinds = _kinds(CHART_KINDS, rng, n)
    if rng.random() < FOREIGN_SHARE:
        kinds = [f"{rng.choice(('zh', 'ja'))}_{rng.choice(('top', 'value'))}"]
    return tuple(_turn(rng, f"chart.{kind}", slots) for kind in kinds)


def table_turns(table: Table, rng: Random, n: int) -> tuple[Turn, ...]:
    """`n` different questions about the table with their answers."""
    slots = _table_slots(table, rng)
    kinds = _kinds(TABLE_KINDS, rng, n)
    if rng.random() < FOREIGN_SHARE:
        kinds = [rng.choice(("zh_cell", "ja_cell"))]
    return tuple(_turn(rng, f"table.{kind}", slots) for kind in kinds)


def chart_description(chart: Chart, rng: Random) -> Turn:
    """A request to describe the chart and five sentences."""
    return _description(rng, "chart", _chart_slots(chart, rng))


def table_description(table: Table, rng: Random) -> Turn:
    """A request to describe the table and five sentences."""
    return _description(rng, "table", _table_slots(table, rng))


def chart_parse(chart: Chart, rng: Random) -> Turn:
    """The chart as a Markdown table."""
    rows = [(label, str(value)) for label, value in zip(chart.labels, chart.values, strict=True)]
    return pick(rng, "page.chart.ask"), f"<md> {markdown((chart.noun, chart.unit), rows)} </md>"


def table_parse(table: Table, rng: Random) -> Turn:
    """The table as Markdown."""
    rows = [(name, *map(str, cells)) for name, cells in zip(table.names, table.cells, strict=True)]
    return pick(rng, "page.table.ask"), f"<md> {markdown((table.head, *table.columns), rows)} </md>"


def page_parse(page: Page, rng: Random) -> Turn:
    """The text of the page, its paragraphs parted by an empty line."""
    body = "\n\n".join((page.title, *page.paragraphs))
    return pick(rng, "page.parse.ask"), f"<doc> {body} </doc>"


def page_summary(page: Page, rng: Random) -> Turn:
    """A request for a summary; the answer quotes the page's sentences."""
    return pick(rng, "page.describe.ask"), f'The page is titled "{page.title}". {" ".join(page.paragraphs)}'


def page_box(page: Page, line: Line, rng: Random) -> Turn:
    """Where a line stands, or what stands in a box; coordinates in thousandths of the page."""
    box = f"<bbox>{','.join(map(str, line.box(page.size)))}</bbox>"
    if rng.choice((True, False)):
        return pick(rng, "page.box.ask", text=line.text), box
    return pick(rng, "page.read.ask", box=box), f"<doc> {line.text} </doc>"


def _kinds(kinds: tuple[str, ...], rng: Random, n: int) -> list[str]:
    """`n` different kinds; the first depends on the numbers, so that a lookalike gets another answer."""
    first = rng.choice(kinds[:-1])
    return [first, *rng.sample([kind for kind in kinds if kind != first], n - 1)]


def _turn(rng: Random, key: str, slots: Slots) -> Turn:
    return pick(rng, f"{key}.ask", **slots), pick(rng, f"{key}.reply", **slots)


def _description(rng: Random, key: str, slots: Slots) -> Turn:
    sentences = [pick(rng, f"{key}.describe.{part}", **slots) for part in SENTENCES]
    return pick(rng, f"{key}.describe.ask"), " ".join(sentences)


def _chart_slots(chart: Chart, rng: Random) -> Slots:
    cut = rng.choice((20, 25)) if chart.kind == "pie" else sorted(chart.values)[len(chart.values) // 2] // 10 * 10
    extra: Slots = {
        "kind": chart.kind,
        "noun_low": chart.noun.lower(),
        "place": chart.place,
        "year": chart.year,
        "unit": chart.unit,
        "title": chart.title,
        "cut": cut,
        "over": sum(value > cut for value in chart.values),
    }
    return extra | _ranking(list(chart.labels), list(chart.values), rng)


def _table_slots(table: Table, rng: Random) -> Slots:
    index = rng.randrange(len(table.columns))
    others = [f'"{name}"' for i, name in enumerate(table.columns) if i != index]
    extra: Slots = {"col": table.columns[index], "title": table.title, "others": " and ".join(others)}
    return extra | _ranking(list(table.names), table.column(index), rng)


def _ranking(names: list[str], values: list[int], rng: Random) -> Slots:
    """Everything the patterns say about named numbers: extremes, total, and two of them compared."""
    first, second = rng.sample(range(len(names)), 2)
    more, less = (first, second) if values[first] > values[second] else (second, first)
    top, low = values.index(max(values)), values.index(min(values))
    return {
        "n": len(names),
        "a": names[first],
        "va": values[first],
        "b": names[second],
        "more": names[more],
        "less": names[less],
        "vmore": values[more],
        "vless": values[less],
        "diff": values[more] - values[less],
        "top": names[top],
        "vtop": values[top],
        "low": names[low],
        "vlow": values[low],
        "gap": values[top] - values[low],
        "sum": " + ".join(map(str, values)),
        "total": sum(values),
    }


def symbols(rng: Random) -> str:
    """An answer without one readable letter."""
    pool = rng.choice(words("symbols.pools"))
    return "\n".join("".join(rng.choice(pool) for _ in range(rng.randint(12, 30))) for _ in range(rng.randint(3, 7)))
