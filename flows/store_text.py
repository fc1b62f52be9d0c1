"""What the commands `vlmix store ...` print for people."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from flows.collecting import Collected, Sum
from flows.stocktaking import Stocks
from flows.takedowns import Act
from flows.tracing import FoundMixture, Traced
from flows.withdrawing import Withdrawn

_ROWS: Final = 20
"""Rows of a mixture, and boxes that go, that are listed."""
_UNITS: Final = ("B", "kB", "MB", "GB", "TB")
_THOUSAND: Final = 1000.0


def size(count: int) -> str:
    """Bytes with a unit, such as `1.2 GB`."""
    value, unit = float(count), _UNITS[0]
    for unit in _UNITS:
        if value < _THOUSAND or unit == _UNITS[-1]:
            break
        value /= _THOUSAND
    return f"{count} B" if unit == "B" else f"{value:.1f} {unit}"


def stock_lines(stocks: Stocks) -> Iterator[str]:
    """A table of what a store holds."""
    yield _stock_line("kind", "boxes", "files", "size", "idle", "idle size", "half", "newest change (UTC)")
    for each in stocks.kinds:
        newest = datetime.fromtimestamp(each.changed, UTC).strftime("%Y-%m-%d %H:%M")
        idle = (each.idle, size(each.idle_bytes), each.half) if each.boxes else ("", "", "")
        yield _stock_line(each.kind, each.boxes or "", each.files, size(each.bytes), *idle, newest)
    idle_size = size(stocks.idle_bytes)
    yield f"{stocks.boxes} boxes, {size(stocks.bytes)}; no mixture needs {idle_size} of it, see `vlmix store gc`"


def _stock_line(kind: str, *values: str | int) -> str:
    widths = (8, 9, 11, 7, 11, 6)
    *numbers, newest = values
    cells = [f"{value:>{width}}" for value, width in zip(numbers, widths, strict=True)]
    return f"{kind:<15}{''.join(cells)}  {newest}"


def collected_lines(found: Collected) -> Iterator[str]:
    """What went or would go, by kind, with the boxes and why."""
    for each in found.going[:_ROWS]:
        yield f"{each.box:<60} {size(each.bytes):>10}  {each.reason}"
    if len(found.going) > _ROWS:
        yield f"... and {len(found.going) - _ROWS} more, see --json"
    for kind, total in found.kinds.items():
        yield f"{kind:<12} {_sum(total)}"
    if found.leftovers.count:
        yield f"{'leftovers':<12} {_sum(found.leftovers)}"
    verb = "removed" if found.removed else "would be removed"
    yield f"{len(found.going)} boxes and folders, {size(found.bytes)}, {verb}; {_whole(found.kept)} needed"
    if found.spared:
        spared = _whole(found.spared)
        yield f"{spared} spared, since a run that was cut short may go on from there; --unfinished takes it too"
    if not found.removed and (found.going or found.leftovers.count):
        yield "nothing was removed; say --yes to remove it"


def _sum(total: Sum) -> str:
    return f"{total.count:>7} {size(total.bytes):>10}"


def _whole(kinds: dict[str, Sum]) -> str:
    return f"{sum(each.count for each in kinds.values())} ({size(sum(each.bytes for each in kinds.values()))})"


def traced_lines(found: Traced) -> Iterator[str]:
    """Where something is, mixture by mixture."""
    yield f"asked for: {', '.join(found.asked)}"
    for sha in found.pictures:
        yield f"picture {sha}"
    for copy in found.copies:
        yield f"copy    {copy.sha256}, compared with {copy.of[:12]}: {copy.reason}"
    for mixture in found.mixtures:
        yield from _mixture_lines(mixture)
    for source, count in found.unused.items():
        yield f"source `{source}`: {count} samples hold it, read for no mixture that is known here"
    states = [each.state for each in found.mixtures]
    emitting = sum(each.emitted > 0 for each in found.mixtures)
    yield f"mixtures of the store that hold it: {states.count('here')}, of these emit it: {emitting}"
    if removed := states.count("removed"):
        yield f"mixtures that were removed and had read it: {removed}"
    if unknown := states.count("unknown"):
        yield f"mixtures that were removed, of which nobody knows what they read: {unknown}"


def _mixture_lines(mixture: FoundMixture) -> Iterator[str]:
    name = f"{mixture.recipe}.{mixture.mixture} {mixture.digest[:12]}"
    if mixture.state == "here":
        ends = ", ".join(f"{end} {count}" for end, count in mixture.ends.items())
        yield f"{name}: {ends or 'only copies'}; emitted {mixture.emitted} times ({mixture.box})"
    elif mixture.state == "removed":
        yield f"{name}: the mixture was removed from the store; the samples that it read hold it"
    else:
        yield f"{name}: not known; the samples that it read of {', '.join(mixture.gone)} were removed from the store"
    for row in mixture.rows[:_ROWS]:
        end = row.outcome or f"{row.verdict}{f' by {row.rule}' if row.rule else ''}"
        yield f"    {row.entry}  {row.key}  {end}, emitted {row.times}  ({'copy: ' if row.copied else ''}{row.why})"
    if len(mixture.rows) > _ROWS:
        yield f"    ... and {len(mixture.rows) - _ROWS} rows more, see --json"
    for export in mixture.exports:
        yield f"    exported as {export.format} to {export.folder} on {export.host}"


def withdrawn_lines(done: Withdrawn) -> Iterator[str]:
    """What a take-down wrote, and what it means."""
    yield from traced_lines(done.found)
    verb = "lifted" if done.lifted else "taken down"
    yield f"{done.written} of {len(done.targets)} {verb}: {', '.join(done.targets)}"
    recipes = sorted({each.recipe for each in done.found.mixtures if each.state == "here"})
    if recipes:
        words = ", ".join(f"`vlmix run build-sft-mix --recipe {name}`" for name in recipes)
        yield f"mixtures that are there stay as they are; make new ones: {words}"


def act_lines(acts: list[Act]) -> Iterator[str]:
    """What is taken down today."""
    for act in acts:
        of = f", came with {act.of}" if act.of else ""
        yield f"{act.at:%Y-%m-%d}  {act.target.words}  {act.reason} ({act.by}{of})"
    yield f"{len(acts)} take-downs"
