"""What commands print for people; the same things as documents are pydantic models."""

from collections.abc import Mapping

from pydantic import BaseModel
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from flows.build import Prepared
from flows.console import terminal
from flows.deciding import Decided
from flows.explain import EntryStory, Story
from flows.run import Summary
from manifests.manifest import Counts
from manifests.plan import PlannedEntry

_COLUMNS = {
    "read": "read",
    "quarantined": "quar.",
    "not_taken": "untaken",
    "drop": "drop",
    "review": "review",
    "unscored": "unsc.",
    "duplicates": "dupl.",
    "capped": "capped",
    "written": "written",
    "emitted": "emitted",
}
"""Counts shown, with headings short enough for a terminal of 80 columns."""


class PlanDocument(BaseModel):
    """What `vlmix plan --json` prints."""

    recipe: str
    entries: list[PlannedEntry]
    rows: dict[str, int]
    """Rows taken by status: resolved, assumed, unresolved."""
    rules: dict[str, list[str]]
    """Names of rules in order of evaluation, per stage."""
    filters: list[str]


def plan_document(prepared: Prepared) -> PlanDocument:
    """A plan as a document."""
    return PlanDocument(
        recipe=prepared.recipe.name,
        entries=list(prepared.plan.entries),
        rows=prepared.plan.rows_by_status(),
        rules={stage.name: [item.rule.name for item in stage.predicates] for stage in prepared.plan.stages},
        filters=[type(item).__name__ for item in prepared.filters.samples]
        + [type(item).__name__ for item in prepared.filters.pictures],
    )


def print_plan(document: PlanDocument) -> None:
    """Entries of a plan as a table, and what is known of its rows."""
    table = Table(title=f"plan of {document.recipe}", title_justify="left", box=None, padding=(0, 1, 0, 0))
    for name in ("stage", "entry", "source", "domain", "take", "repeat", "rows", "taken", "status"):
        table.add_column(name, justify="right" if name in {"repeat", "rows", "taken"} else "left", no_wrap=True)
    for entry in document.entries:
        take = _take(entry.take)
        cells = (entry.stage, entry.id, entry.source, entry.domain, take, f"{entry.repeat:g}")
        counts = ("?" if count is None else str(count) for count in (entry.rows, entry.taken))
        table.add_row(*cells, *counts, entry.status)
    console = terminal()
    console.print(table)
    console.print(", ".join(f"{count:,} rows {status}" for status, count in document.rows.items()))


def _take(take: Mapping[str, object]) -> str:
    if take["kind"] == "all":
        return "all"
    return f"{take['kind']} {take['rows']}" if "rows" in take else f"{take['kind']} {take['percent']:g} %"


def print_summary(summary: Summary) -> None:
    """Counts per stage and domain, warnings, and where the report is."""
    console = terminal()
    for stage in summary.stages:
        table = _counts_table(f"{stage.stage}  {stage.digest[:12]}", {**stage.domains, "all": stage.totals})
        console.print(table)
    for warning in summary.warnings:
        console.print(f"warning: {warning}")
    done = summary.steps
    console.print(f"steps: {done.executed:,} executed, {done.cached:,} cached")
    console.print(f"digest: {summary.digest}", soft_wrap=True)
    console.print(f"report: {summary.report}", soft_wrap=True)


def _counts_table(title: str, rows: Mapping[str, Counts]) -> Table:
    table = Table(title=title, title_justify="left", box=None, padding=(0, 1, 0, 0))
    table.add_column("", no_wrap=True)
    for heading in _COLUMNS.values():
        table.add_column(heading, justify="right", no_wrap=True)
    for name, counts in rows.items():
        table.add_row(name, *(str(getattr(counts, column)) for column in _COLUMNS))
    return table


def print_decided(document: Decided) -> None:
    """Counts before and after a change of rules."""
    console = terminal()
    for stage in document.stages:
        console.print(_counts_table(stage.stage, {"before": stage.before, "after": stage.after}))
        if stage.to_ask:
            console.print(f"{stage.to_ask:,} rows of stage {stage.stage} need judge scores that were not asked for yet")


def print_story(story: Story) -> None:
    """The story of one sample."""
    console = terminal()
    console.print(f"[bold]{escape(story.key)}[/bold]  source {story.source}, licence {escape(story.licence)}")
    console.print(f"meta: {escape(story.meta)}", soft_wrap=True)
    if story.quarantine:
        for name, text in story.quarantine.items():
            console.print(f"quarantine {name}: {escape(text)}", soft_wrap=True)
    for message in story.messages:
        console.print(f"[bold]{message['role']}[/bold]: {escape(message['text'])}", soft_wrap=True)
    for picture in story.pictures:
        size = f"{picture['width']} x {picture['height']} {picture['format']}, {picture['size']} bytes"
        console.print(f"picture {str(picture['sha256'])[:16]}: {size} in {picture['pack']} at {picture['offset']}")
    for video in story.videos:
        console.print(f"video: {escape(video)}")
    for entry in story.entries:
        _print_entry(console, entry)


def _print_entry(console: Console, entry: EntryStory) -> None:
    outcome = f", {entry.outcome}" if entry.outcome else ""
    console.print(
        f"\n[bold]{entry.mixture}, entry {entry.entry}[/bold] "
        f"({entry.domain}): {entry.verdict}{outcome}, emitted {entry.emitted} times"
    )
    table = Table("rule", "when", "then", "said", "")
    for rule in entry.rules:
        table.add_row(rule.rule, escape(rule.when), rule.then, rule.result, "decided" if rule.decided else "")
    if entry.rules:
        console.print(table)
    shown = [
        f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in entry.scores.items()
        if value is not None
    ]
    console.print("scores: " + escape(", ".join(shown)), soft_wrap=True)
    console.print("null: " + ", ".join(f"{name} {state}" for name, state in entry.states.items()), soft_wrap=True)
    for member in entry.cluster:
        distance = "" if member["distance"] is None else f", {member['distance']} bits apart"
        console.print(f"cluster: {member['key']} {member['reason']}{distance}", soft_wrap=True)
