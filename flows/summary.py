"""What commands print for people; the same things as documents are pydantic models."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from pydantic import BaseModel
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from flows.build import Prepared
from flows.console import terminal
from flows.deciding import Decided
from flows.explain import EntryStory, Story, Value
from flows.exporting import EntryExport, ExportReport, NativeExport
from flows.finding import looping
from flows.judge_counts import JudgeForecast
from flows.pricing import JudgePrice, price_lines
from flows.run import Summary
from flows.since import since_lines
from manifests.manifest import Counts
from manifests.plan import PlannedEntry, take_words

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

_PIPE_WIDTH: Final = 400
"""Columns of a plan that nobody looks at on a terminal: more than its longest names need."""


class PlanDocument(BaseModel):
    """What `vlmix plan --json` prints."""

    recipe: str
    entries: list[PlannedEntry]
    rows: dict[str, int]
    """Rows taken by status: resolved, assumed, unresolved; unknown counts add nothing."""
    statuses: dict[str, int]
    """Entries by status."""
    assumptions: list[str]
    """What the whole recipe makes up."""
    faithful: bool
    """Whether this is what was published: nothing assumed, unresolved, of unknown size or scaled."""
    rules: dict[str, list[str]]
    """Names of rules in order of evaluation, per stage."""
    filters: list[str]
    judge: JudgePrice | None
    """What the judge will cost; null where the recipe asks nobody."""


def plan_document(prepared: Prepared, judge: JudgePrice | None) -> PlanDocument:
    """A plan as a document."""
    return PlanDocument(
        recipe=prepared.recipe.name,
        entries=list(prepared.plan.entries),
        rows=prepared.plan.rows_by_status(),
        statuses=prepared.plan.entries_by_status(),
        assumptions=list(prepared.recipe.assumptions),
        faithful=prepared.plan.faithful(),
        rules={stage.name: [item.rule.name for item in stage.predicates] for stage in prepared.plan.stages},
        filters=[type(item).__name__ for item in prepared.filters.samples]
        + [type(item).__name__ for item in prepared.filters.pictures],
        judge=judge,
    )


def print_plan(document: PlanDocument) -> None:
    """Entries of a plan as a table, and what is known of its rows."""
    console = terminal()
    if not console.is_terminal:
        console.width = _PIPE_WIDTH
    console.print(_plan_table(document))
    for (status, reason), stages in _by_reason(document.entries).items():
        console.print(f"{status}: {escape(reason)}", soft_wrap=True)
        for stage, names in stages.items():
            console.print(f"  {stage}: {', '.join(names)}", soft_wrap=True)
    for assumption in document.assumptions:
        console.print(f"assumed for the whole recipe: {escape(assumption)}", soft_wrap=True)
    known = sum(document.rows.values())
    shares = (
        f"{count:,} rows ({count / known:.1%}) of {document.statuses[status]} entries {status}"
        for status, count in document.rows.items()
        if known
    )
    console.print(", ".join(shares), soft_wrap=True)
    unknown = sum(entry.taken is None for entry in document.entries)
    if unknown:
        console.print(f"{unknown} entries of unknown size are in none of these counts")
    console.print("as published" if document.faithful else "not a reproduction: see the lines above")
    for line in price_lines(document.judge) if document.judge else []:
        console.print(escape(line), soft_wrap=True)


def _plan_table(document: PlanDocument) -> Table:
    """Entries line by line; names fold on a narrow terminal, counts and status never."""
    table = Table(title=f"plan of {document.recipe}", title_justify="left", box=None, padding=(0, 1, 0, 0))
    for name in ("stage", "entry", "source", "domain", "take"):
        table.add_column(name, overflow="fold")
    rows = []
    for entry in document.entries:
        counts = ("?" if count is None else str(count) for count in (entry.rows, entry.taken))
        names = (entry.stage, entry.id, entry.source, entry.domain, take_words(entry.take))
        rows.append((*names, f"{entry.repeat:g}", *counts, entry.status))
    for place, name in enumerate(("repeat", "rows", "taken", "status"), start=5):
        width = max([len(name), *(len(row[place]) for row in rows)])
        table.add_column(name, justify="left" if name == "status" else "right", no_wrap=True, min_width=width)
    for row in rows:
        table.add_row(*row)
    return table


def _by_reason(entries: Iterable[PlannedEntry]) -> dict[tuple[str, str], dict[str, list[str]]]:
    """(status, reason without the name of the source) -> stage -> the entries it holds for."""
    found: dict[tuple[str, str], dict[str, list[str]]] = {}
    for entry in entries:
        if entry.reason:
            reason = entry.reason.replace(f"source `{entry.source}` ", "source ")
            found.setdefault((entry.status, reason), {}).setdefault(entry.stage, []).append(entry.id)
    return found


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
    for line in since_lines(summary.since) if summary.since else []:
        console.print(escape(line), soft_wrap=True)
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
        for criterion, after in stage.judged.items():
            before = stage.judged_before.get(criterion)
            console.print(_judge_line(criterion, after, before.asked if before else 0))
        if stage.to_ask:
            console.print(f"{stage.to_ask:,} rows of stage {stage.stage} need judge scores that were not asked for yet")


def _judge_line(criterion: str, after: JudgeForecast, before: int) -> str:
    counts = ", ".join(f"{name} {number:,}" for name, number in after.model_dump().items())
    return f"judge, {criterion}: {counts}; asked before {before:,}"


def print_story(story: Story) -> None:
    """The story of one sample."""
    console = terminal()
    console.print(f"[bold]{escape(story.key)}[/bold]  source {story.source}, licence {escape(story.licence)}")
    console.print(f"meta: {escape(story.meta)}", soft_wrap=True)
    if story.quarantine:
        for name, text in story.quarantine.items():
            console.print(f"quarantine {name}: {escape(text)}", soft_wrap=True)
    _print_messages(console, story)
    for picture in story.pictures:
        size = f"{picture['width']} x {picture['height']} {picture['format']}, {picture['size']} bytes"
        console.print(f"picture {str(picture['sha256'])[:16]}: {size} in {picture['pack']} at {picture['offset']}")
    for pair in story.compared:
        console.print(f"compared: {_compared(pair)}", soft_wrap=True)
    for leak in story.leaks:
        console.print(f"[bold]leak[/bold]: {leak['kind']} of {leak['row']}: {leak['reason']}", soft_wrap=True)
    for video in story.videos:
        console.print(f"video: {escape(video)}")
    for entry in story.entries:
        _print_entry(console, entry)


def _print_messages(console: Console, story: Story) -> None:
    """The turns of a sample, a loop set off."""
    scores = story.entries[0].scores if story.entries else {}
    for turn, message in enumerate(story.messages):
        text = message["text"]
        first, last = looping(turn, text, scores)
        shown = f"{escape(text[:first])}[reverse]{escape(text[first:last])}[/reverse]{escape(text[last:])}"
        console.print(f"[bold]{message['role']}[/bold]: {shown}", soft_wrap=True)


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
        console.print(_member(member), soft_wrap=True)


def _member(member: Mapping[str, Value]) -> str:
    """A member of a cluster and what made it one."""
    distance = "" if member["distance"] is None else f", {member['distance']} bits apart"
    likeness = f", pictures: {member['likeness']}{_difference(member)}" if member["likeness"] else ""
    # mixtures of before have no such column
    alike = f", texts {member['similarity']:.2f} alike" if member.get("similarity") is not None else ""
    value = member.get("value")
    preferred = f", by {value:g}" if isinstance(value, float) else ""
    return f"cluster: {member['key']} {member['reason']}{distance}{likeness}{alike}{preferred}"


def _compared(pair: Mapping[str, Value]) -> str:
    """Two pictures and what a comparison said of them."""
    left, right = (str(pair[name])[:16] for name in ("left", "right"))
    mirrored = " in a mirror" if pair["mirrored"] else ""
    verdict = "same" if pair["same"] else "not the same"
    return f"{left} and {right}{mirrored}: {verdict}, {pair['sentence']}{_difference(pair)}"


def _difference(found: Mapping[str, Value]) -> str:
    value = found["difference"]
    return f", difference {value:.2f}" if isinstance(value, float) else ""


def print_exported(reports: Sequence[ExportReport], out: Path) -> None:
    """Rows of an export per entry, what could not be represented and why, and where it is."""
    console = terminal()
    for report in reports:
        title = f"{report.recipe}.{report.mixture} as {report.format}"
        console.print(_native_table(title, report.native) if report.native else _entry_table(title, report.entries))
        left_out = f", {report.not_representable:,} not representable" if report.not_representable else ""
        console.print(
            f"{report.written:,} rows written, {report.emitted:,} in the plan{left_out}; "
            f"{report.pictures:,} picture files, {report.picture_bytes:,} bytes, "
            f"{report.referenced:,} pictures referenced in place"
        )
    console.print(f"in {out}", soft_wrap=True)


def _entry_table(title: str, entries: Sequence[EntryExport]) -> Table:
    table = Table(title=title, title_justify="left", box=None)
    for name in ("entry", "emitted", "written", "not representable"):
        table.add_column(name, justify="left" if name in {"entry", "not representable"} else "right")
    for entry in entries:
        table.add_row(entry.entry, f"{entry.emitted:,}", f"{entry.written:,}", _refused(entry.not_representable))
    return table


def _native_table(title: str, lines: Sequence[NativeExport]) -> Table:
    table = Table(title=title, title_justify="left", box=None)
    for name in ("line", "operator", "rows", "seen", "planned", "unjudged", "spared", "not representable"):
        table.add_column(name, justify="left" if name in {"line", "operator", "not representable"} else "right")
    for line in lines:
        counts = [f"{number:,}" for number in (line.rows, line.seen, line.emitted, line.unjudged, line.spared)]
        operator = f"{line.strategy} {line.value}".strip()
        table.add_row(line.name, operator, *counts, _refused(line.not_representable))
    return table


def _refused(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{reason} {rows:,}" for reason, rows in counts.items())
