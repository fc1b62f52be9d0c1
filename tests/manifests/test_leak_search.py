import numpy as np
import polars as pl
import pytest

from manifests.leak_search import HashTable


def brute(queries: np.ndarray, hashes: np.ndarray, owners: np.ndarray, radius: int, most: int) -> list[tuple[int, ...]]:
    rows = []
    for place, query in enumerate(queries.tolist()):
        best: dict[int, int] = {}
        for value, owner in zip(hashes.tolist(), owners.tolist(), strict=True):
            distance = (query ^ value).bit_count()
            if distance <= radius:
                best[owner] = min(distance, best.get(owner, 64))
        nearest = sorted((distance, owner) for owner, distance in best.items())[:most]
        rows += [(place, owner, distance) for distance, owner in nearest]
    return rows


def clustered(rng: np.random.Generator, number: int) -> np.ndarray:
    """Hashes of which many are near, as those of look-alike pictures are."""
    middles = np.random.default_rng(7).integers(0, 1 << 64, 12, dtype=np.uint64)
    hashes = rng.choice(middles, number)
    for _ in range(5):
        hashes ^= np.uint64(1) << rng.integers(0, 64, number, dtype=np.uint64)
    return hashes


@pytest.mark.parametrize("radius", [0, 3, 8, 11])
@pytest.mark.parametrize("most", [1, 3, 32])
def test_finds_what_all_pairs_find(radius: int, most: int) -> None:
    rng = np.random.default_rng(radius)
    hashes, owners = clustered(rng, 400), rng.integers(0, 60, 400).astype(np.uint32)
    queries = np.concatenate([clustered(rng, 150), hashes[:50] ^ np.uint64(0b101)])
    found = HashTable(hashes, owners, radius).nearest(queries, most)
    assert found.schema == {"query": pl.UInt32, "owner": pl.UInt32, "distance": pl.UInt8}
    assert found.rows() == brute(queries, hashes, owners, radius, most)


def test_blocks_of_queries_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    hashes, owners = clustered(rng, 300), np.arange(300, dtype=np.uint32)
    table, queries = HashTable(hashes, owners, 8), clustered(rng, 100)
    whole = table.nearest(queries, 4)
    monkeypatch.setattr("manifests.leak_search._BLOCK", 7)
    assert table.nearest(queries, 4).equals(whole)
    assert whole.height > 100


def test_nothing_in_nothing() -> None:
    none = np.empty(0, np.uint64)
    assert HashTable(none, np.empty(0, np.uint32), 8).nearest(np.arange(3, dtype=np.uint64), 4).is_empty()
    assert HashTable(np.arange(3, dtype=np.uint64), np.zeros(3, np.uint32), 8).nearest(none, 4).is_empty()
