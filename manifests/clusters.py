"""Duplicate clusters of a stage: every member is verified against the kept one, so errors do not chain."""

from collections.abc import Callable

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars._typing import SchemaDict

from manifests.near import Evidence, Mask, Numbers, Pictures, Place, Samples
from manifests.near_text import near_texts
from manifests.recipe import Dedup
from manifests.visit import KEPT, NEAR_TEXT, NONE_KEPT, REASONS, Members, Shown, Visit

CLUSTERS: SchemaDict = {
    "key": pl.String,
    "cluster": pl.String,  # key of its first member: by source name, then in published order
    "duplicate_of": pl.String,  # key of the member that this one was held against; null for that member itself
    "distance": pl.UInt8,  # bits between the pictures that differ most; 0 = same hash; null without pictures
    "reason": pl.String,  # kept | none_kept | same_bytes | near_picture | mirrored_picture | same_text | near_text
    "likeness": pl.String,  # what the comparison of the pictures that differ most said; null where none was made
    "difference": pl.Float64,  # 0..2, of that comparison, four digits; null where no window was compared
    "similarity": pl.Float64,  # 0..1, of the texts where the reason is near_text, else null
    "value": pl.Float64,  # what `keep` goes by: pixels, or the score `by`; null where it goes by the order, or unknown
}
"""Members of clusters of two and more, sorted by cluster, kept member first, then key."""

Keys = Callable[[str, Numbers], pl.Series]
"""(source name, places among its samples) -> their keys."""


def find_clusters(rows: Samples, dedup: Dedup, evidence: Evidence, keys: Keys) -> pl.DataFrame:
    """Clusters among distinct samples.

    Samples are visited in order of preference (`prefer`, then `keep`, then source name and published order). Each is
    compared with the kept samples so far and joins the nearest that it duplicates, or is kept itself: a member is
    always within the radius of the kept one, and where `verify` is on the comparison of their pictures says that they
    are the same.

    Samples of which no other has the same questions are left out at the start; what is left is held in arrays, about
    120 bytes a sample with one picture and twice as much while it is sorted.

    Args:
        rows: the samples.
        dedup: level, distance and preference.
        evidence: asked for each pair of pictures once, and never without `verify`.
        keys: asked for members of clusters alone.

    Returns:
        A frame of schema `CLUSTERS`.
    """
    if dedup.level == "off":
        return pl.DataFrame(schema=CLUSTERS)
    company = _in_company(rows, dedup)
    rows = rows if company.all() else rows.at(company)
    rows, lists, pictures, value = _ordered(rows, _pictures(rows, evidence), dedup)
    visit = Visit(rows, lists, pictures, dedup)
    members = visit.until_known(evidence.compare)
    similarity = _near_texts(rows, visit.show, members, dedup, evidence)
    return _table(rows, keys, dedup, members, similarity=similarity, value=value)


def _ordered(
    rows: Samples, pictures: Pictures, dedup: Dedup
) -> tuple[Samples, Place, Pictures, NDArray[np.float64] | None]:
    """Samples in order of preference, where their pictures lie, these, and what was gone by, if not by the order."""
    value = pictures.pixels.astype(np.float64) if dedup.keep == "largest" else rows.value
    order = _preference(rows, value, dedup)
    lists = Place.of(pictures.counts).at(order)
    nothing = pictures.counts[:0]
    return (
        rows.at(order),
        lists,
        pictures._replace(counts=nothing, pixels=nothing),
        None if value is None else value[order],
    )


def dropped(clusters: pl.DataFrame) -> pl.Series:
    """Keys of the members that are not kept."""
    return clusters.filter(pl.col("reason") != "kept")["key"]


def _in_company(rows: Samples, dedup: Dedup) -> Mask:
    """(n,) bool: samples that another might duplicate, by their texts alone."""
    if dedup.level == "picture" or dedup.text:
        return np.ones(len(rows), np.bool_)
    return _repeated(rows.instruction) | _repeated(rows.text)


def _repeated(values: NDArray[np.uint64]) -> Mask:
    order = np.argsort(values)
    ordered = values[order]
    again = np.zeros(len(values) + 1, np.bool_)
    again[1:-1] = ordered[1:] == ordered[:-1]
    found = np.empty(len(values), np.bool_)
    found[order] = again[1:] | again[:-1]
    return found


def _pictures(rows: Samples, evidence: Evidence) -> Pictures:
    """The pictures of all samples, source by source."""
    bounds = np.searchsorted(rows.source, np.arange(len(rows.names) + 1)).tolist()
    parts = [
        evidence.pictures(name, rows.row[begin:end])
        for name, begin, end in zip(rows.names, bounds[:-1], bounds[1:], strict=True)
        if end > begin
    ]
    return Pictures.join(parts)


def _preference(rows: Samples, value: NDArray[np.float64] | None, dedup: Dedup) -> Numbers:
    """Places of the samples, those first that are rather kept."""
    columns: list[NDArray[np.generic]] = [rows.row, rows.source]
    if value is not None:
        columns.append(np.where(np.isnan(value), np.inf, -value))
    if dedup.prefer:
        ranks = [dedup.prefer.index(name) if name in dedup.prefer else len(dedup.prefer) for name in rows.names]
        columns.append(np.array(ranks, np.int64)[rows.source])
    return np.lexsort(columns)


def _near_texts(
    rows: Samples, show: Shown, members: Members, dedup: Dedup, evidence: Evidence
) -> NDArray[np.float64] | None:
    """Join samples without pictures whose texts are near, those of equal texts where the first of them goes.

    Returns:
        (n,) float64, how similar the texts of a sample and the one that it joins are; nan elsewhere. None
        where texts do not count.
    """
    if not dedup.text:
        return None
    alike = np.full(len(rows), np.nan)
    bare, first = show.lists.sizes == 0, show.first
    firsts = np.flatnonzero(bare & (first == np.arange(len(rows))))
    texts = evidence.texts(rows.names, rows.source[firsts], rows.row[firsts])
    found = near_texts(texts, dedup.text.similarity, same_numbers=dedup.text.same_numbers)
    alike[firsts] = found.similarity
    joined = np.flatnonzero(bare & ~np.isnan(alike[first]))
    members.kept[firsts] = firsts[found.kept]
    members.kept[joined] = members.kept[first[joined]]
    members.reasons[joined] = NEAR_TEXT
    alike[joined] = alike[first[joined]]
    return alike


def _table(
    rows: Samples, keys: Keys, dedup: Dedup, members: Members, **columns: NDArray[np.float64] | None
) -> pl.DataFrame:
    """Members of clusters as a frame of schema `CLUSTERS`; `columns` are of all samples, nan where null."""
    alone = np.bincount(members.kept, minlength=len(rows)) == 1
    places = np.flatnonzero(~alone[members.kept])
    kept = members.kept[places]
    reasons = np.where(kept == places, NONE_KEPT if dedup.keep == "none" else KEPT, members.reasons[places])
    distances = members.distances[places]
    said = [members.said.get(place) for place in places.tolist()]
    frame = pl.DataFrame(
        {
            "place": places,
            "kept": kept,
            "published": (rows.source[places].astype(np.int64) << 40) | rows.row[places],
            "key": _keys(rows.at(places), keys),
            "distance": pl.Series(distances, dtype=pl.UInt8, strict=False),
            "reason": pl.Series(REASONS, dtype=pl.String).gather(reasons),
            "likeness": pl.Series([each and each.reason for each in said], dtype=pl.String),
            "difference": pl.Series([each and each.difference for each in said], dtype=pl.Float64).round(4),
            **{name: _nullable(values, places) for name, values in columns.items()},
        }
    )
    joined = pl.col("place") != pl.col("kept")
    frame = frame.with_columns(
        pl.col("key").sort_by("published").first().over("kept").alias("cluster"),
        pl.when(joined).then(pl.col("key").sort_by(joined).first().over("kept")).alias("duplicate_of"),
    )
    return frame.sort("cluster", joined, "key").select(list(CLUSTERS)).cast(pl.Schema(CLUSTERS))


def _nullable(values: NDArray[np.float64] | None, places: Numbers) -> pl.Series:
    """Numbers of these samples, null for nan; no number of any where there are none."""
    return pl.Series(np.full(len(places), np.nan) if values is None else values[places], nan_to_null=True)


def _keys(rows: Samples, keys: Keys) -> pl.Series:
    """Keys of samples, source by source."""
    found = np.empty(len(rows), dtype=object)
    for place in np.unique(rows.source).tolist():
        own = np.flatnonzero(rows.source == place)
        found[own] = keys(rows.names[place], rows.row[own]).to_list()
    return pl.Series(found.tolist(), dtype=pl.String)
