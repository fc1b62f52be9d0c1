"""Kept samples for tests of dedup, written as rows, and what it may ask for about them."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from manifests.clusters import find_clusters
from manifests.near import Compare, Evidence, Numbers, Pair, Pictures, Samples
from manifests.near_text import TextRows
from manifests.recipe import Dedup


class Item(NamedTuple):
    """What dedup knows of one kept sample; the hashes of a flat picture are null."""

    key: str
    position: int  # in its source as published
    pictures: tuple[str, ...]  # a name of each
    hashes: tuple[int | None, ...]  # phash of each
    instruction: int
    text: int
    pixels: int
    inner: tuple[int | None, ...] = ()  # phash_inner of each; empty where no test asks
    mirrors: tuple[int | None, ...] = ()  # phash_mirror of each; empty where no test asks
    value: float | None = None  # of the score that the best go by


def sha(name: str) -> str:
    """SHA-256 of a picture with this name; the first digits keep the order of short names."""
    return name.encode().hex().ljust(32, "0")[:32] + hashlib.sha256(name.encode()).hexdigest()[:32]


def name(sha256: str) -> str:
    """The name of a picture by its SHA-256, of at most 16 characters."""
    return bytes.fromhex(sha256[:32]).rstrip(b"\0").decode()


class NoTexts:
    """Texts of samples, where nobody may ask for them."""

    def __call__(self, names: Sequence[str], source: NDArray[np.int32], row: Numbers) -> TextRows:
        """Never called."""
        raise AssertionError(f"nobody asked for near texts of {names}, {source}, {row}")


def evidence(items: Mapping[tuple[str, int], Item], compare: Compare, texts: object = None) -> Evidence:
    """Evidence about items by source name and place in it; `compare` speaks of pictures by name."""

    def pictures(source: str, rows: Numbers) -> Pictures:
        assert (np.diff(rows) > 0).all(), rows
        return pictures_of([items[source, row] for row in rows.tolist()])

    def named(pairs: Sequence[Pair]) -> Mapping[Pair, object]:
        plain = {pair: Pair(name(pair.left), name(pair.right), pair.mirrored) for pair in pairs}
        said = compare(list(plain.values()))
        return {pair: said[plain[pair]] for pair in pairs}

    return Evidence(pictures, named, texts or NoTexts())  # type: ignore[arg-type]  # compared and texts as given


def pictures_of(items: Sequence[Item]) -> Pictures:
    """The pictures of items in columns."""
    shown = [
        (
            [int(sha(picture)[at : at + 16], 16) for at in range(0, 64, 16)],
            # where no test asks, what lies inside is as the whole, and the mirror as far off as can be
            [whole or 0, _hash(item.inner, place, whole or 0), _hash(item.mirrors, place, ~(whole or 0) % 2**64)],
            whole is None,
        )
        for item in items
        for place, (picture, whole) in enumerate(zip(item.pictures, item.hashes, strict=True))
    ]
    return Pictures(
        np.array([len(item.pictures) for item in items], np.int64),
        np.array([item.pixels for item in items], np.int64),
        np.array([digest for digest, _, _ in shown], np.uint64).reshape(-1, 4),
        np.array([hashes for _, hashes, _ in shown], np.uint64).reshape(-1, 3),
        np.array([flat for _, _, flat in shown], np.bool_),
    )


def _hash(given: tuple[int | None, ...], place: int, usual: int) -> int:
    return (given[place] or 0) if given else usual


def clusters(items: Sequence[Item], dedup: Dedup, compare: Compare, texts: object = None) -> pl.DataFrame:
    """The clusters of items; a source holds them by position, those of one position by key."""
    ordered = sorted(items, key=lambda item: (item.key.partition("/")[0], item.position, item.key))
    source = [item.key.partition("/")[0] for item in ordered]
    names = tuple(sorted(set(source)))
    rows = [source[:place].count(each) for place, each in enumerate(source)]
    by_place = dict(zip(zip(source, rows, strict=True), ordered, strict=True))
    value = [np.nan if item.value is None else item.value for item in ordered]
    samples = Samples(
        names,
        np.array([names.index(each) for each in source], np.int32),
        np.array(rows, np.int64),
        np.array([item.instruction for item in ordered], np.uint64),
        np.array([item.text for item in ordered], np.uint64),
        np.array(value, np.float64) if dedup.score else None,
    )

    def keys(source: str, places: Numbers) -> pl.Series:
        return pl.Series([by_place[source, place].key for place in places.tolist()], dtype=pl.String)

    return find_clusters(samples, dedup, evidence(by_place, compare, texts), keys)
