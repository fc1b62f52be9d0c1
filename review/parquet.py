"""The review queue as a Parquet table, one row an item: for people who review in a notebook."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final

import polars as pl
import pyarrow.parquet as pq
from polars._typing import SchemaDict

from review.item import ReviewItem, shown
from shards.files import canonical_json

_REASON: Final = pl.Struct({"rule": pl.String, "predicate": pl.String})
_PICTURE: Final = pl.Struct(
    {"sha256": pl.String, "width": pl.Int32, "height": pl.Int32, "format": pl.String, "file": pl.String}
)

COLUMNS: Final[SchemaDict] = {
    "id": pl.String,
    "verdict": pl.String,  # to be filled in: keep | drop | skip, empty for not yet
    "reviewer": pl.String,
    "note": pl.String,
    "key": pl.String,
    "entry": pl.String,
    "source": pl.String,
    "domain": pl.String,
    "stage": pl.String,
    "asked": pl.String,
    "rule": pl.String,
    "reasons": pl.List(_REASON),
    "unknown": pl.List(_REASON),
    "margin": pl.Float64,
    "scores": pl.String,  # JSON object, as are the next
    "states": pl.String,
    "comparisons": pl.String,  # rule -> its comparisons
    "messages": pl.List(pl.Struct({"role": pl.String, "text": pl.String})),
    "pictures": pl.List(_PICTURE),
    "videos": pl.List(pl.String),
    "marks": pl.List(
        pl.Struct({"turn": pl.Int32, "start": pl.Int32, "end": pl.Int32, "what": pl.String, "period": pl.Int32})
    ),
    "cluster": pl.String,
    "template": pl.String,
    "settles": pl.Int32,
    "mates": pl.List(pl.String),
    "probability": pl.Float64,
    "seen": pl.String,  # what review.item.shown says
}

_BATCH: Final = 512
"""Items in memory at once."""


def write_parquet(path: Path, items: Iterable[ReviewItem]) -> None:
    """Write the queue, a batch of items in memory at a time."""
    schema = pl.DataFrame(schema=COLUMNS).to_arrow(compat_level=pl.CompatLevel.oldest()).schema
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for frame in _frames(iter(items)):
            writer.write_table(frame.to_arrow(compat_level=pl.CompatLevel.oldest()))


def _frames(items: Iterator[ReviewItem]) -> Iterator[pl.DataFrame]:
    while batch := list(islice(items, _BATCH)):
        yield pl.DataFrame([_row(item) for item in batch], COLUMNS, orient="row")


def _row(item: ReviewItem) -> dict[str, object]:
    document: dict[str, object] = item.model_dump(mode="json")
    told = {reason.rule: [each.model_dump() for each in reason.comparisons] for reason in item.reasons}
    reasons = {
        kind: [{"rule": reason.rule, "predicate": reason.predicate} for reason in getattr(item, kind)]
        for kind in ("reasons", "unknown")
    }
    texts = {name: canonical_json(document[name]) for name in ("scores", "states")}
    whole = document | reasons | texts | {"comparisons": canonical_json(told), "seen": shown(item)}
    return {name: whole[name] for name in COLUMNS}
