"""What the catalogue holds, for a terminal."""

from collections.abc import Mapping

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from flows.console import terminal
from flows.listing import STATUSES, Listing, Shown
from sources.spec import Source, Use


def print_listing(listing: Listing, console: Console | None = None) -> None:
    """A list of sources as a table, and how many of each status every system uses."""
    console = console or terminal()
    table = Table(box=None, padding=(0, 1, 0, 0))
    table.add_column("source", overflow="fold")
    table.add_column("status", no_wrap=True)
    table.add_column("rows", justify="right", no_wrap=True)
    table.add_column("layout", no_wrap=True)
    table.add_column("licence", no_wrap=True, max_width=14)
    table.add_column("used by", min_width=len("llava-onevision"))
    for source in listing.sources:
        systems = dict.fromkeys(use.system for use in source.used_by)
        row = (source.name, source.status, _rows(source), source.layout or "-", source.licence, ", ".join(systems))
        table.add_row(*map(escape, row))
    console.print(table)
    if listing.counts:
        console.print(_count_table(listing.counts))
    console.print(f"{len(listing.sources)} sources; rows with ~ are published, not counted, and gate nothing")


def _rows(source: Source) -> str:
    if source.rows is not None:
        return f"{source.rows:,}"
    return "" if source.published_rows is None else f"~{source.published_rows:,}"


def _count_table(counts: Mapping[str, Mapping[str, int]]) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0))
    table.add_column("system")
    for status in STATUSES:
        table.add_column(status, justify="right")
    for system, row in counts.items():
        table.add_row(system, *(str(row[status]) for status in STATUSES))
    return table


def print_shown(shown: Shown, console: Console | None = None) -> None:
    """Facts about sources, one per line, defaults left out."""
    console = console or terminal()
    for found in shown.found:
        source = found.source
        console.print(f"[bold]{escape(source.name)}[/bold]  `{escape(shown.asked)}` is its {escape(found.matched)}")
        table = Table(box=None, padding=(0, 0, 0, 2), show_header=False)
        facts = source.model_dump(mode="json", exclude_defaults=True, exclude={"name", "used_by"})
        for name, value in ({"status": source.status} | facts).items():
            text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            table.add_row(name.replace("_", " "), escape(text))
        for use in source.used_by:
            place = " / ".join(filter(None, (use.system, use.stage, use.domain)))
            table.add_row("used by", escape(f"{place}: {use.name}{_use_rows(use)}"))
        console.print(table)


def _use_rows(use: Use) -> str:
    if use.part:
        return " (a part of it)"
    return "" if use.rows is None else f" ({use.rows:,} rows)"
