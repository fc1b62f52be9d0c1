"""Two mixtures compared, entry by entry: rows, counts, rules, sources, and some of the rows that changed."""

from collections.abc import Sequence
from typing import Final, Literal

import polars as pl

from flows.difference import ChangedRow, Comparison, CountsChange, Difference, RowState, RuleChange, SourceChange
from flows.mixes import Mix, find
from manifests.manifest import Counts, DomainCounts, EntryReport, Manifest
from manifests.order import hash_keys
from shards.errors import UsageError
from shards.store import Store

SHOWN: Final = 20
"""Changed rows that are shown."""

ABSENT: Final = "absent"
"""Verdict of a row that a mixture does not know."""

_WORDS: Final = 12
_COLUMNS: Final = ("key", "position", "verdict", "rule", "outcome", "times")
_SETTINGS: Final = (
    *(
        "seed",
        "scale",
        "epochs",
        "judge",
        "prompts",
        "ask_when",
        "tokens",
        "dedup",
        "likeness",
        "targets",
        "assumptions",
    ),
    "takedown",
)


def diff(store: Store, before: str, after: str) -> Comparison:
    """Compare two folders, recipes or recipe.stages; single mixtures whatever their stages are called.

    Raises:
        UsageError: nothing finished of a name, or no stage that both have.
    """
    old, new = find(store, before), find(store, after)
    if len(old) == len(new) == 1:
        pairs = [(*old.values(), *new.values())]
        lost: list[str] = []
        added: list[str] = []
    else:
        # stages that share a mixture are compared once
        named = {(old[name].box.name, new[name].box.name): (old[name], new[name]) for name in old if name in new}
        pairs = list(named.values())
        lost, added = [name for name in old if name not in new], [name for name in new if name not in old]
    if not pairs:
        raise UsageError(f"`{before}` and `{after}` have no stage in common: {', '.join(old)}; {', '.join(new)}")
    stages = [compare(*pair) for pair in pairs]
    same = all(stage.same for stage in stages) and not lost and not added
    return Comparison(same=same, stages=stages, only_before=lost, only_after=added)


def compare(before: Mix, after: Mix, *, show: int = SHOWN) -> Difference:
    """Compare two mixtures; one entry of each is in memory at a time.

    Args:
        before: a mixture.
        after: another one.
        show: changed rows to show, with the beginnings of their texts; without any no shard is read.
    """
    old, new = before.manifest, after.manifest
    digests = (old.digest(), new.digest())
    entries: dict[str, CountsChange] = {}
    flow: dict[str, dict[str, int]] = {}
    rows = pl.DataFrame()
    changed = 0
    for name in dict.fromkeys([*after.entries, *before.entries]):
        joined = _joined(before, after, name)
        for was, becomes, count in joined.group_by("verdict", "verdict_after").len().sort(pl.all()).iter_rows():
            row = flow.setdefault(was, {})
            row[becomes] = row.get(becomes, 0) + count
        other = _changed(joined)
        changed += other.height
        entries[name] = _entry_change(before.entries.get(name), after.entries.get(name), _emitted(other))
        rows = _drawn(rows, other, name, digests, show)
    rules, sources, settings = _rules(old, new), _sources(old, new), _settings(old, new)
    counted = any(change.before != change.after for change in entries.values())
    return Difference(
        before=f"{old.recipe}.{old.mixture}",
        after=f"{new.recipe}.{new.mixture}",
        digests=digests,
        same=not (changed or counted or rules or sources or settings),
        totals=(old.totals, new.totals),
        entries=entries,
        domains=_domains(before, after, entries),
        settings=settings,
        rules=rules,
        sources=sources,
        flow=flow,
        changed=changed,
        rows=_shown(rows, before, after),
    )


def _joined(before: Mix, after: Mix, entry: str) -> pl.DataFrame:
    """Rows of an entry in both mixtures side by side, columns of the second one with `_after`."""
    old, new = (mix.decisions_of(entry, _COLUMNS) for mix in (before, after))
    renamed = new.rename({name: f"{name}_after" for name in _COLUMNS if name != "key"})
    # the same samples in the same order, unless a source changed
    if old["key"].equals(new["key"]):
        return old.hstack(renamed.drop("key"))
    return old.join(renamed, on="key", how="full", coalesce=True).with_columns(
        pl.col("verdict", "verdict_after").fill_null(ABSENT),
        pl.col("times", "times_after").fill_null(0),
    )


def _changed(joined: pl.DataFrame) -> pl.DataFrame:
    """Rows with another verdict, outcome or number of times; not taken is as good as absent."""
    same = [pl.col(name).eq_missing(pl.col(f"{name}_after")) for name in ("times", "outcome", "verdict")]
    neither = pl.all_horizontal(pl.col("verdict", "verdict_after").is_in(["not_taken", ABSENT]))
    return joined.filter(~(pl.all_horizontal(same) | neither))


def _emitted(changed: pl.DataFrame) -> dict[str, int]:
    was, becomes = pl.col("times") > 0, pl.col("times_after") > 0
    known = (pl.col("verdict") != ABSENT) & (pl.col("verdict_after") != ABSENT)
    counts = changed.select(
        (~was & becomes).sum().alias("added"),
        (was & ~becomes).sum().alias("removed"),
        (was & becomes & (pl.col("times") != pl.col("times_after"))).sum().alias("times"),
        (known & (pl.col("verdict") != pl.col("verdict_after"))).sum().alias("verdicts"),
    )
    return dict(counts.row(0, named=True))


def _drawn(drawn: pl.DataFrame, changed: pl.DataFrame, entry: str, digests: tuple[str, str], show: int) -> pl.DataFrame:
    """The first of all changed rows so far, in the order of a hash that the two mixtures seed."""
    hashes = hash_keys(changed["key"], seed=0, entry="/".join((*digests, entry)))
    own = changed.with_columns(pl.lit(entry).alias("entry"), pl.Series("drawn", hashes))
    few = own.bottom_k(show, by="drawn")
    return pl.concat([drawn, few] if drawn.width else [few]).bottom_k(show, by="drawn")


def _shown(rows: pl.DataFrame, before: Mix, after: Mix) -> list[ChangedRow]:
    """Rows as they are shown, by entry and place, with the beginning of their text."""
    if rows.is_empty():
        return []
    found: list[ChangedRow] = []
    texts = _texts(before, rows, "position") | _texts(after, rows, "position_after")
    placed = rows.with_columns(pl.coalesce("position_after", "position").alias("place"))
    for row in placed.sort("entry", "place", "key").iter_rows(named=True):
        place = (row["entry"], row["key"])
        states = [
            RowState(**{name: row[name + suffix] for name in ("verdict", "rule", "outcome", "times")})
            for suffix in ("", "_after")
        ]
        found.append(ChangedRow(entry=place[0], key=place[1], before=states[0], after=states[1], text=texts.get(place)))
    return found


def _texts(mix: Mix, rows: pl.DataFrame, position: str) -> dict[tuple[str, str], str]:
    """First words of each row that this mixture has at a position, and whose shard is in the store."""
    there = [name for name, entry in mix.entries.items() if mix.shards(entry.source).done]
    wanted = rows.select("entry", "key", pl.col(position).alias("position")).drop_nulls("position")
    wanted = wanted.filter(pl.col("entry").is_in(there))
    if wanted.is_empty():
        return {}
    samples = mix.samples(wanted).drop_nulls("messages")
    return {
        (entry, key): _beginning([message["text"] for message in messages])
        for entry, key, messages in samples.select("entry", "key", "messages").iter_rows()
    }


def _beginning(texts: Sequence[str]) -> str:
    words = " ".join(texts).split(maxsplit=_WORDS)
    return " ".join([*words[:_WORDS], "..."] if len(words) > _WORDS else words)


def _entry_change(before: EntryReport | None, after: EntryReport | None, rows: dict[str, int]) -> CountsChange:
    return CountsChange(
        before=before.counts if before else None,
        after=after.counts if after else None,
        repeat_before=before.repeat_exact if before else None,
        repeat_after=after.repeat_exact if after else None,
        **rows,
    )


def _domains(before: Mix, after: Mix, entries: dict[str, CountsChange]) -> dict[str, CountsChange]:
    old, new = before.manifest.domains, after.manifest.domains
    found: dict[str, CountsChange] = {}
    for name in sorted({*old, *new}):
        was, becomes = old.get(name), new.get(name)
        # an entry that moved to another domain counts for the one it is in now
        own = [
            change
            for entry, change in entries.items()
            if (after.entries.get(entry) or before.entries[entry]).domain == name
        ]
        found[name] = CountsChange(
            before=_plain(was) if was else None,
            after=_plain(becomes) if becomes else None,
            repeat_before=was.repeat if was else None,
            repeat_after=becomes.repeat if becomes else None,
            added=sum(change.added for change in own),
            removed=sum(change.removed for change in own),
            times=sum(change.times for change in own),
            verdicts=sum(change.verdicts for change in own),
        )
    return found


def _plain(counts: DomainCounts) -> Counts:
    return Counts(**{name: getattr(counts, name) for name in Counts.model_fields})


def _rules(old: Manifest, new: Manifest) -> list[RuleChange]:
    was = {str(rule["name"]): rule for rule in old.rules}
    becomes = {str(rule["name"]): rule for rule in new.rules}
    common = [name for name in becomes if name in was]
    places = {name: place for place, name in enumerate(name for name in was if name in becomes)}
    found: list[RuleChange] = []
    for place, name in enumerate(dict.fromkeys([*common, *becomes, *was])):
        one, other = was.get(name), becomes.get(name)
        change: Literal["added", "removed", "changed", "moved"] = "changed"
        if one is None or other is None:
            change = "added" if one is None else "removed"
        elif one == other:
            if places[name] == place:
                continue
            change = "moved"
        found.append(RuleChange(rule=name, change=change, before=one, after=other))
    return found


def _sources(old: Manifest, new: Manifest) -> list[SourceChange]:
    was, becomes = ({entry.source: (entry.revision, entry.shards) for entry in each.entries} for each in (old, new))
    return [
        SourceChange(source=name, before=was.get(name), after=becomes.get(name))
        for name in sorted({*was, *becomes})
        if was.get(name) != becomes.get(name)
    ]


def _settings(old: Manifest, new: Manifest) -> list[str]:
    """Fields that differ, and operators of entries that do."""
    fields = [name for name in _SETTINGS if getattr(old, name) != getattr(new, name)]
    own = {entry.id: (entry.entry, entry.licence) for entry in old.entries}
    return fields + [
        f"entry {entry.id}"
        for entry in new.entries
        if entry.id in own and own[entry.id] != (entry.entry, entry.licence)
    ]
