"""Parts of a native export: whole files of surviving rows, from which the trainer's own operators take."""

import re
from dataclasses import dataclass
from typing import Final, NamedTuple

import polars as pl

from flows.judge_counts import with_spared
from flows.mixes import Mix
from flows.parts import Wanted, free_name, in_turn
from flows.rebuilding import Stored, excluded_rows, score_types, stored
from flows.scoring import ASKABLE
from manifests.asking import waiting
from manifests.clusters import dropped
from manifests.exports.base import Part, Words
from manifests.exports.native import Flavour, NativeEntry, native_entries
from manifests.plan import PlannedStage
from manifests.recipe import Entry, Stage
from manifests.restore import stage_of
from manifests.take import bounds
from manifests.verdicts import decide

_ILLEGAL: Final[dict[Flavour, str]] = {"vila": r"[^A-Za-z0-9_.-]"}
_ILLEGAL_PATH: Final = r"[/\\:{}\x00-\x1f]"
"""Characters that cannot stand in the name of a set; a published name keeps the others."""

_TAKING: Final = frozenset({"first", "end", "random", "choose", "@"})


class NativePart(NamedTuple):
    """A line of the trainer's configuration and its file.

    `unplanned` rows of the file are not in the plan, since its take leaves them out: no dedup has seen them. Of these,
    `unjudged` ones would need a judge's score for a rule to speak, and `spared` ones would but for `ask_when`.
    """

    line: NativeEntry
    part: Part
    unplanned: int
    unjudged: int
    spared: int


@dataclass(frozen=True, slots=True)
class Survivors:
    """Rows of an entry's source that survive filtering, whether its take has them or not.

    They lie in the entry's slice, have the verdict `keep` by every rule that can be decided, and are no duplicates.
    `planned_only` leaves those out that the take leaves out.
    """

    mix: Mix
    stage: PlannedStage
    inputs: Stored
    entry: Entry
    planned_only: bool

    def __call__(self) -> pl.DataFrame:
        """(n, 4) frame in published order: key, planned, unjudged, spared (Boolean)."""
        whole = self.inputs.sources[str(self.entry.source)]
        source = with_spared(self.mix, whole, self.mix.manifest.ask_when)
        begin, end = bounds(self.entry.slice, source.published)
        decided = self.mix.decisions_of(self.entry.id, ["key", "verdict"])
        duplicates = dropped(self.mix.clusters)
        kept = pl.Series("kept", decide(source.scores, self.stage.predicates, self.entry).kept())
        rows = (
            source.scores.with_columns(
                kept, self._pending(whole.scores, "waits"), self._pending(source.scores, "pending")
            )
            .filter("kept", pl.col("position").is_between(begin, end, closed="left"))
            .filter(~pl.col("key").is_in(duplicates.implode()))
            .join(decided, on="key", how="left", maintain_order="left")
            .with_columns((pl.col("verdict") != "not_taken").alias("planned"))
            .select(
                "key",
                "planned",
                (~pl.col("planned") & pl.col("pending")).alias("unjudged"),
                (~pl.col("planned") & pl.col("waits") & ~pl.col("pending")).alias("spared"),
            )
        )
        return rows.filter("planned") if self.planned_only else rows

    def _pending(self, scores: pl.DataFrame, name: str) -> pl.Series:
        """Whether a rule waits for a judge that nobody asked: (n,) Boolean."""
        return pl.Series(name, waiting(scores, self.stage.predicates, self.entry, frozenset(ASKABLE)))


def native_parts(mix: Mix, flavour: Flavour) -> list[NativePart]:
    """The trainer's lines in order, each with a file of all surviving rows of what it stands for.

    Two lines of one name have one file where its rows are the same, otherwise the second has `_` behind its name.

    Raises:
        RecipeError: an entry that the trainer has no words for.
    """
    if not mix.manifest.entries:
        return []
    stage = stage_of(mix.manifest, score_types(mix), excluded_rows(mix))
    inputs = stored(mix, stage)
    entries = {entry.id: entry for entry in stage.entries}
    files: dict[str, tuple[int, int]] = {}
    found = []
    for line in native_entries(Stage(name=stage.name, entries=stage.entries), flavour):
        members = [entries[name] for name in line.entries]
        survivors = [Survivors(mix, stage, inputs, entry, _planned_only(line, entry)) for entry in members]
        rows = pl.concat([each() for each in survivors])
        left_out = rows.filter(~pl.col("planned"))["key"].to_list() if _has_list(line) else []
        readers = [Wanted(mix.shards(str(entry.source)), each) for entry, each in zip(members, survivors, strict=True)]
        part = Part(
            name=_file_name(line.name, rows, files, flavour),
            entry=members[0],
            times=1,
            rows=rows.height,
            read=in_turn(readers),
            words=Words(line.strategy, line.value, frozenset(left_out)),
        )
        planned, unjudged, spared = (int(rows[name].sum()) for name in ("planned", "unjudged", "spared"))
        found.append(NativePart(line, part, rows.height - planned, unjudged, spared))
    return found


def _file_name(published: str, rows: pl.DataFrame, files: dict[str, tuple[int, int]], flavour: Flavour) -> str:
    name = re.sub(_ILLEGAL.get(flavour, _ILLEGAL_PATH), "_", published)
    content = (rows.height, int(rows["key"].hash(seed=0).sum() or 0))
    # InternVL names a set by the file, and loses the first of two equal names
    if flavour != "internvl" and files.get(name.casefold()) == content:
        return name
    name = free_name(name, files)
    files[name.casefold()] = content
    return name


def _has_list(line: NativeEntry) -> bool:
    """Whether an exclusion list takes rows out of the file."""
    return line.strategy == "@" or "@" in line.value


def _planned_only(line: NativeEntry, entry: Entry) -> bool:
    """Whether the line says nothing of the entry's take, so that the file has to hold what it takes."""
    share = line.strategy == "repeat_time" and float(line.value) < 1
    takes = line.strategy in _TAKING or _has_list(line) or share
    return entry.take.kind != "all" and not takes
