import hashlib

import polars as pl
from hypothesis import example, given, settings
from hypothesis import strategies as st

from manifests.order import hash_keys, hash_order, ranks

WORD = 2**64


def murmur64a(data: bytes, seed: int) -> int:
    """MurmurHash64A, line by line as its author wrote it in C, on Python's integers."""
    m, r = 0xC6A4A7935BD1E995, 47
    h = seed ^ (len(data) * m % WORD)
    blocks = len(data) // 8
    for block in range(blocks):
        k = int.from_bytes(data[8 * block : 8 * block + 8], "little")
        k = k * m % WORD
        k ^= k >> r
        k = k * m % WORD
        h ^= k
        h = h * m % WORD
    tail = data[8 * blocks :]
    if tail:
        h ^= int.from_bytes(tail, "little")
        h = h * m % WORD
    h ^= h >> r
    h = h * m % WORD
    h ^= h >> r
    return h


def series(names: list[str]) -> pl.Series:
    return pl.Series("key", names, pl.String)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(max_size=40), max_size=8), st.integers(0, 10**6), st.text(max_size=5))
@example(["", "\x00", "\x00" * 8, "\u6c34" * 3, "\U0001f600\u00e9", "s/train/0", "s/train/00"], 0, "")
def test_keys_are_hashed_as_published(names: list[str], seed: int, entry: str) -> None:
    start = int.from_bytes(hashlib.blake2b(f"{seed}\0{entry}".encode(), digest_size=8).digest(), "big")
    expected = [murmur64a(name.encode(), start) for name in names]
    assert hash_keys(series(names), seed=seed, entry=entry).tolist() == expected
    # a part of a longer column and a column in chunks start elsewhere in memory
    longer = pl.concat([series(["before"]), series(names), series(["behind"])], rechunk=False)
    assert hash_keys(longer, seed=seed, entry=entry).tolist()[1:-1] == expected
    assert hash_keys(longer.rechunk().slice(1, len(names)), seed=seed, entry=entry).tolist() == expected


def test_the_order_is_pinned() -> None:
    """A change of the hash changes every random mixture ever made."""
    names = series([f"s/train/{row}" for row in range(8)])
    assert hash_order(names, seed=7, entry="a").tolist() == [2, 1, 3, 0, 7, 5, 6, 4]


def test_seed_and_entry_are_kept_apart() -> None:
    names = series([f"s/train/{row}" for row in range(100)])
    assert hash_order(names, seed=1, entry="1").tolist() != hash_order(names, seed=11, entry="").tolist()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=5), unique=True, max_size=20), st.randoms(use_true_random=False))
def test_hash_order_is_a_permutation_that_row_order_does_not_change(names: list[str], random: object) -> None:
    found = hash_order(series(names), seed=0, entry="a").tolist()
    assert sorted(found) == list(range(len(names)))
    shuffled = random.sample(names, len(names))  # type: ignore[attr-defined]  # hypothesis draws random.Random
    again = hash_order(series(shuffled), seed=0, entry="a").tolist()
    assert dict(zip(shuffled, again, strict=True)) == dict(zip(names, found, strict=True))


def test_equal_hashes_stand_in_the_order_given() -> None:
    assert ranks(hash_keys(series(["b", "a", "b"]), seed=0, entry="a")).tolist() in ([0, 2, 1], [1, 0, 2])
