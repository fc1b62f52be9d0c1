"""What `vlmix verify` and `vlmix diff` say to people, line by line."""

from collections.abc import Iterator

from flows.difference import ChangedRow, Comparison, CountsChange, Difference, RowState
from flows.verifying import Verifications, Verified
from manifests.manifest import Counts


def verified_lines(found: Verifications) -> Iterator[str]:
    """One paragraph a mixture."""
    for each in found.mixtures:
        yield f"{each.mixture} {each.digest}"
        yield from (f"  {line}" for line in _proof(each))


def _proof(each: Verified) -> Iterator[str]:
    if each.rebuilt is None:
        yield "files     not as the manifest says"
    else:
        yield f"files     {each.files} as the manifest says"
        yield f"rebuilt   {'byte for byte' if each.rebuilt else 'not the same'}"
    if each.rows:
        rows = each.rows
        yield f"raw rows  {rows.checked} read again: {rows.same} the same, {rows.different} different, " + (
            f"{rows.unavailable} unavailable"
        )
    yield from (f"problem   {problem}" for problem in each.problems)


def difference_lines(found: Comparison) -> Iterator[str]:
    """Everything that differs, stage by stage."""
    for stage in found.stages:
        yield f"{stage.before} -> {stage.after}: {'the same' if stage.same else f'{stage.changed:,} rows changed'}"
        yield from (f"  {line}" for line in _stage(stage))
    yield from (f"stage `{name}` is gone" for name in found.only_before)
    yield from (f"stage `{name}` is new" for name in found.only_after)


def _stage(stage: Difference) -> Iterator[str]:
    yield from _counts("totals", *stage.totals)
    yield from (f"changed   {name}" for name in stage.settings)
    for rule in stage.rules:
        words = [f"{each['when']}, then {each['then']}" for each in (rule.before, rule.after) if each]
        yield f"rule      {rule.rule} {rule.change}: {' -> '.join(dict.fromkeys(words))}"
    for source in stage.sources:
        sides = ["nothing" if side is None else " ".join(filter(None, side)) for side in (source.before, source.after)]
        yield f"source    {source.source}: {' -> '.join(sides)}"
    for kind, changes in (("domain", stage.domains), ("entry", stage.entries)):
        for name, change in changes.items():
            yield from _change(f"{kind:<9} {name}", change)
    for was, row in stage.flow.items():
        moved = [f"{becomes} {count:,}" for becomes, count in row.items() if becomes != was]
        if moved:
            yield f"verdict   {was} -> {', '.join(moved)}"
    yield from (_row(row) for row in stage.rows)


def _change(name: str, change: CountsChange) -> Iterator[str]:
    if change.before == change.after and not (change.added or change.removed or change.times):
        return
    yield f"{name}: {change.added:,} rows added, {change.removed:,} removed, {change.times:,} repeated otherwise; " + (
        f"repeat {_number(change.repeat_before)} -> {_number(change.repeat_after)}"
    )
    yield from _counts("  counts ", change.before or Counts(), change.after or Counts())


def _counts(name: str, before: Counts, after: Counts) -> Iterator[str]:
    pairs = [(step, getattr(before, step), getattr(after, step)) for step in Counts.model_fields]
    other = [f"{step} {was:,} -> {becomes:,}" for step, was, becomes in pairs if was != becomes]
    if other:
        yield f"{name:<9} {', '.join(other)}"


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:g}"


def _row(row: ChangedRow) -> str:
    return f"row       {row.entry} {row.key}: {_state(row.before)} -> {_state(row.after)}  {row.text or ''}".rstrip()


def _state(state: RowState) -> str:
    words = [state.outcome if state.verdict == "keep" and state.outcome else state.verdict]
    words += [f"by {state.rule}"] if state.rule else []
    words += [f"x{state.times}"] if state.times else []
    return " ".join(words)
