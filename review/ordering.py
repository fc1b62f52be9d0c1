"""The order in which people see a queue: most information first, with a random sample in between."""

from collections import Counter
from collections.abc import Iterator
from itertools import zip_longest
from typing import Annotated, Final

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

STEPS: Final = 20
"""Margins within a twentieth of the threshold are equally near, so that the number of rows an answer settles decides.
Ours."""

_Limit = Annotated[int, Field(ge=1)] | None


class QueueOptions(BaseModel):
    """What a queue holds.

    `audit` rows are drawn at random from every stratum, which is a rule (or none) with what it says; with 0 only rows
    in review are asked about. `per_source`, `per_rule` and `per_domain` are the most rows in review from one source,
    one deciding rule and one domain; a sample that is drawn counts for none of them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    audit: Annotated[int, Field(ge=0)] = 0
    per_source: _Limit = None
    per_rule: _Limit = None
    per_domain: _Limit = None


def ordered(table: pl.DataFrame, options: QueueOptions) -> pl.DataFrame:
    """The rows that people are to see, in order.

    Rows in review stand by how near they are to a threshold (in steps of 1/`STEPS` of it, those without one last), then
    by how many rows an answer may settle, then next to their like. The drawn ones take every second place until there
    are no more of them, so that early answers already say how good the rules are, and nobody sees which they are.

    Args:
        table: (n, ...) frame with `margin` (Float64 or null), `settles`, `template`, `key`, `entry`, `source`,
            `domain`, `rule` (String or null) and `draw` (UInt64, null for rows that are not drawn): drawn rows stand
            by it, in the order of chance.
        options: quotas.

    Returns:
        The rows that quotas leave, without `draw`.
    """
    step = (pl.col("margin") * STEPS).floor()
    near = table.filter(pl.col("draw").is_null()).sort(
        step,
        "settles",
        "template",
        "margin",
        "key",
        "entry",
        descending=[False, True, False, False, False, False],
        nulls_last=True,
    )
    drawn = table.filter(pl.col("draw").is_not_null()).sort("draw", "key", "entry")
    near = near.filter(pl.Series(list(_within(near, options)), dtype=pl.Boolean))
    places = [place for pair in zip_longest(*_places(drawn.height, near.height)) for place in pair if place is not None]
    return pl.concat([drawn, near])[places].drop("draw")


def _places(drawn: int, near: int) -> tuple[range, range]:
    return range(drawn), range(drawn, drawn + near)


def _within(near: pl.DataFrame, options: QueueOptions) -> Iterator[bool]:
    """Whether each row is within all quotas, given the rows before it that are."""
    limits = (options.per_source, options.per_rule, options.per_domain)
    counted: tuple[Counter[str | None], ...] = (Counter(), Counter(), Counter())
    for names in near.select("source", "rule", "domain").iter_rows():
        parts = list(zip(counted, names, limits, strict=True))
        fits = all(limit is None or counts[name] < limit for counts, name, limit in parts)
        if fits:
            for counts, name, _ in parts:
                counts[name] += 1
        yield fits
