"""Ratings that others published, joined to the samples of a source as scores `imported_NAME`."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import polars as pl
from pydantic import BaseModel

from shards.errors import UsageError
from shards.files import file_sha256, write_table, write_text
from shards.sample import read_all
from shards.store import Store

PREFIX: Final = "imported_"
_READ: Final[Mapping[str, Callable[[Path], pl.DataFrame]]] = {
    ".jsonl": pl.read_ndjson,
    ".csv": pl.read_csv,
    ".parquet": pl.read_parquet,
    ".json": pl.read_json,
}
_NAME: Final = re.compile("[a-z][a-z0-9_]{0,60}")
_ID: Final = "id"


class Imported(BaseModel):
    """What an import joined; kept beside its table."""

    score: str
    source: str
    file: str
    """Name of the file it came from, without its folder."""
    by: str
    """`key`, or the field of `meta` that the file's ids were joined to."""
    ratings: int
    """Rows of the file with an id and a rating."""
    unused: int
    """Ratings of which no sample has the id."""
    samples: int
    covered: int
    ambiguous: int
    """Samples that share their native id with another one, and therefore get no rating."""
    coverage: float
    """`covered / samples`."""
    sha256: str
    """Of the table."""


def import_scores(
    file: Path, store: Store, *, source: str, name: str, rating: str, identifier: str, native: str | None
) -> Imported:
    """Join a rating file to the samples of a source; the next build has `imported_NAME` as a score.

    Args:
        file: .jsonl, .json, .csv or .parquet.
        store: holds the source's samples from an earlier build.
        source: name.
        name: of the score, without `imported_`.
        rating: column with numbers, or with lists of them, of which the smallest counts (FineVision rates each turn).
        identifier: column with keys of samples, or with native ids.
        native: field of `meta` that holds native ids; None where the column holds keys.

    Raises:
        UsageError: a name, file or column that is not understood, an id that is rated twice, or a source never read.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"score `{name}`: expected lower-case letters, digits and `_`")
    ratings = _ratings(file, rating, identifier)
    samples = _samples(store, source, native)
    single = samples.filter(pl.col(_ID).is_not_null() & pl.col(_ID).is_unique())
    found = single.join(ratings, on=_ID, how="inner", maintain_order="left").select("key", "rating")
    shared = samples.filter(pl.col(_ID).is_not_null() & ~pl.col(_ID).is_unique())
    path = _path(store, source, name)
    write_table(path, found)
    imported = Imported(
        score=PREFIX + name,
        source=source,
        file=file.name,
        by=f"meta.{native}" if native else "key",
        ratings=ratings.height,
        unused=ratings.join(samples, on=_ID, how="anti").height,
        samples=samples.height,
        covered=found.height,
        ambiguous=shared.join(ratings, on=_ID, how="semi").height,
        coverage=round(found.height / samples.height, 6) if samples.height else 0,
        sha256=file_sha256(path),
    )
    write_text(path.with_suffix(".json"), imported.model_dump_json(indent=1) + "\n")
    return imported


def read_table(path: Path) -> pl.DataFrame:
    """A table from a .jsonl, .json, .csv or .parquet file.

    Raises:
        UsageError: another name, or a file that is not understood.
    """
    if path.suffix not in _READ:
        raise UsageError(f"`{path}`: expected a name that ends in {', '.join(_READ)}")
    try:
        return _READ[path.suffix](path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise UsageError(f"`{path}` is not understood: {str(error).partition(chr(10))[0]}") from error


def _path(store: Store, source: str, name: str) -> Path:
    return store.root / "imported" / source / f"{name}.parquet"


def _ratings(file: Path, rating: str, identifier: str) -> pl.DataFrame:
    """Columns `id` (String, distinct) and `rating` (Float64), neither null."""
    table = read_table(file)
    for column in (rating, identifier):
        if column not in table.columns:
            raise UsageError(f"`{file}` has no column `{column}`; found {', '.join(table.columns)}")
    value = pl.col(rating).list.min() if isinstance(table.schema[rating], pl.List) else pl.col(rating)
    ids = pl.col(identifier).cast(pl.String).alias(_ID)
    try:
        ratings = table.select(ids, value.cast(pl.Float64).alias("rating")).drop_nulls()
    except pl.exceptions.PolarsError as error:
        raise UsageError(f"`{file}`: column `{rating}` does not hold numbers") from error
    doubles = ratings.filter(~pl.col(_ID).is_unique())
    if doubles.height:
        raise UsageError(f"`{file}` rates `{doubles[_ID][0]}` more than once; leave one rating for each")
    return ratings.filter(pl.col("rating").is_finite())


def _samples(store: Store, source: str, native: str | None) -> pl.DataFrame:
    """Columns `key` and `id` of a source's samples, as the latest build read them."""
    box = store.latest("shards", source)
    if box is None:
        raise UsageError(f"source `{source}` was never read into `{store.root}`; build a recipe with it first")
    frame = pl.concat(list(read_all(box.path, ["key", "meta"])))
    found = pl.col("key") if native is None else pl.col("meta").str.json_path_match(f"$.{native}")
    return frame.select("key", found.alias(_ID))


def imported_names(store: Store) -> tuple[str, ...]:
    """Scores imported for any source, sorted."""
    return tuple(sorted({PREFIX + path.stem for path in (store.root / "imported").glob("*/*.parquet")}))


def imported_digests(store: Store, source: str) -> dict[str, str]:
    """SHA-256 of each imported table of a source, by score."""
    tables = sorted((store.root / "imported" / source).glob("*.json"))
    found = [Imported.model_validate_json(path.read_bytes()) for path in tables]
    return {each.score: each.sha256 for each in found}


def imported_scores(store: Store, source: str, keys: pl.Series, names: tuple[str, ...]) -> pl.DataFrame:
    """Imported scores of samples.

    Returns:
        (n, 2 x names) frame in the order of `keys`: each score (Float64) and its state, `not_asked` where nobody rated.
    """
    columns = []
    for name in names:
        path = _path(store, source, name.removeprefix(PREFIX))
        table = (
            pl.read_parquet(path) if path.is_file() else pl.DataFrame(schema={"key": pl.String, "rating": pl.Float64})
        )
        rated = pl.DataFrame({"key": keys}).join(table, on="key", how="left", maintain_order="left")["rating"]
        state = pl.when(rated.is_null()).then(pl.lit("not_asked"))
        columns.append(pl.select(rated.alias(name), state.alias(f"{name}_state")))
    return pl.concat(columns, how="horizontal") if columns else pl.DataFrame()
