"""The rows of a mixture that people are asked about, and what the rules say of every row without people."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
import pyarrow.parquet as pq
from polars._typing import SchemaDict

from flows.mixes import Mix
from flows.rebuilding import score_types
from manifests.order import hash_keys
from manifests.recipe import Rule
from manifests.rules import HUMAN_SCORES, TAKEN_DOWN, parse

BATCH_ROWS: Final = 1 << 17
"""Decisions in memory at once."""

NO_RULE: Final = "no_rule"
"""Stands for the rule in the stratum of rows that no rule speaks of."""

ROWS: Final = ("entry", "key", "position", "verdict", "rule", "reasons", "unknown")
"""Columns of the decisions that a queue needs."""


def rules_of(mix: Mix) -> list[Rule]:
    """The rules of a mixture, as written."""
    return [Rule.model_validate(rule) for rule in mix.manifest.rules]


def human_rules(mix: Mix) -> tuple[str, ...]:
    """Names of the rules that read what people say."""
    predicates = parse(rules_of(mix), score_types(mix))
    return tuple(each.rule.name for each in predicates if not HUMAN_SCORES.keys().isdisjoint(each.scores))


def strata(mix: Mix, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
    """Decisions about the rows that entries took, batch by batch, each with its stratum.

    A stratum is what the rules alone say, whatever people answered: the first true rule that reads no score of people,
    a colon, and `keep`, `drop`, `review` or `unscored`.

    Args:
        mix: a finished mixture.
        columns: of DECISIONS.

    Returns:
        Frames of at most `BATCH_ROWS` rows: the columns, `stratum` and `machine`, its verdict.
    """
    alone = RulesAlone.of(mix)
    read = list(dict.fromkeys([*columns, "verdict", "reasons", "unknown"]))
    for batch in pq.ParquetFile(mix.box.path / "decisions.parquet").iter_batches(BATCH_ROWS, columns=read):
        frame = pl.from_arrow(batch)
        assert isinstance(frame, pl.DataFrame)
        yield alone(frame).select(*columns, "stratum", "machine")


@dataclass(frozen=True, slots=True)
class RulesAlone:
    """What the rules of a mixture say without people: names of the rules that read them, and rule -> verdict."""

    human: tuple[str, ...]
    then: Mapping[str, str]

    @classmethod
    def of(cls, mix: Mix) -> "RulesAlone":
        """Those of a finished mixture."""
        return cls(human_rules(mix), {rule.name: rule.then for rule in rules_of(mix)})

    def __call__(self, decisions: pl.DataFrame) -> pl.DataFrame:
        """Decisions about rows that were taken, with `stratum` and `machine`; see `strata`."""
        others = pl.element().filter(~pl.element().is_in(pl.Series(self.human, dtype=pl.String).implode()))
        rule = pl.col("reasons").list.eval(others).list.first()
        lost = pl.col("unknown").list.eval(others).list.len() > 0
        default = pl.when(lost).then(pl.lit("unscored")).otherwise(pl.lit("keep"))
        verdict = rule.replace_strict(self.then, default=None, return_dtype=pl.String).fill_null(default)
        # what is taken down is shown to nobody
        asked = (pl.col("verdict") != "not_taken") & ~pl.col("reasons").list.contains(TAKEN_DOWN)
        taken = decisions.filter(asked).with_columns(verdict.alias("machine"))
        return taken.with_columns(pl.concat_str(rule.fill_null(NO_RULE), "machine", separator=":").alias("stratum"))


def chance(mix: Mix, rows: pl.DataFrame) -> pl.Series:
    """(n,) UInt64: the place of each decision (`entry`, `key`) in an order of chance, seeded by the recipe."""
    found = np.zeros(rows.height, dtype=np.uint64)
    for entry in rows["entry"].unique():
        own = (rows["entry"] == entry).to_numpy()
        found[own] = hash_keys(rows["key"].filter(pl.Series(own)), seed=mix.manifest.seed, entry=f"{entry}\0review")
    return pl.Series("draw", found, pl.UInt64)


def first_of_strata(mix: Mix, most: int | dict[str, int]) -> tuple[pl.DataFrame, dict[str, int]]:
    """The first rows of every stratum in the order of chance, and how many rows each stratum has.

    Args:
        mix: a finished mixture.
        most: rows of each stratum, or rows by stratum; none of strata that are not named.

    Returns:
        A frame of `ROWS`, `stratum`, `machine` and `draw`, and stratum -> rows.
    """
    limit = pl.lit(most) if isinstance(most, int) else pl.col("stratum").replace_strict(most, default=0)
    first = pl.DataFrame()
    counts: dict[str, int] = {}
    for frame in strata(mix, ROWS):
        for stratum, rows in frame["stratum"].value_counts().iter_rows():
            counts[stratum] = counts.get(stratum, 0) + rows
        drawn = frame.with_columns(chance(mix, frame))
        both = pl.concat([first, drawn]) if first.width else drawn
        ranked = pl.struct("draw", "entry", "key").rank("ordinal").over("stratum")
        first = both.filter(ranked <= limit)
    return first, counts


def asked_rows(mix: Mix, audit: int) -> pl.DataFrame:
    """The rows that a queue asks about: those in review, and drawn ones that nobody has answered.

    Returns:
        A frame of `entry`, `key`, `position`, `rule`, `reasons`, `unknown`, `asked`, `stratum`, `draw` (null for rows
        that are not drawn) and `probability`.
    """
    waiting = [frame.filter(pl.col("verdict") == "review") for frame in strata(mix, ROWS)]
    drawn, counts = first_of_strata(mix, audit) if audit else (None, {})
    asked = pl.when(pl.col("verdict") == "review").then(pl.lit("review")).otherwise("machine").alias("asked")
    columns = ["entry", "key", "position", "rule", "reasons", "unknown", "asked", "stratum", "draw", "probability"]
    nothing = [pl.lit(None, pl.UInt64).alias("draw"), pl.lit(1.0).alias("probability")]
    if drawn is None:
        return pl.concat(waiting).with_columns(asked, *nothing).select(columns) if waiting else _empty(columns)
    answered = pl.col("rule").is_in(list(human_rules(mix))).fill_null(False) & (pl.col("verdict") != "review")
    open_rows = drawn.filter(pl.col("machine") != "unscored", ~answered)
    share = audit / pl.col("stratum").replace_strict(counts, return_dtype=pl.Float64)
    sure = pl.when(pl.col("verdict") == "review").then(1.0).otherwise(share.clip(0, 1))
    drawn = open_rows.with_columns(asked, sure.alias("probability")).select(columns)
    rest = pl.concat(waiting).join(drawn, on=["entry", "key"], how="anti").with_columns(asked, *nothing)
    return pl.concat([drawn, rest.select(columns)])


def _empty(columns: Sequence[str]) -> pl.DataFrame:
    names = pl.List(pl.String)
    kinds: SchemaDict = {"reasons": names, "unknown": names, "position": pl.Int64, "draw": pl.UInt64}
    numbers: SchemaDict = {"probability": pl.Float64}
    return pl.DataFrame(schema={name: {**kinds, **numbers}.get(name, pl.String) for name in columns})


def numbered(rows: pl.DataFrame, ends: Sequence[int]) -> Iterator[tuple[int, pl.DataFrame]]:
    """Rows by the shard that holds them, in the order of shards; `ends` are the items up to and with each shard."""
    numbers = pl.Series("shard", np.searchsorted(np.array(ends), rows["position"].to_numpy(), side="right"))
    for (number,), part in rows.with_columns(numbers).group_by("shard", maintain_order=True):
        yield int(str(number)), part.drop("shard")


def shard_ends(items: Sequence[int]) -> list[int]:
    """Items up to and with each shard."""
    return list(itertools.accumulate(items))
