import hashlib
import sys

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.folding import lower_table
from filters.text_hash import TextHash, normalise
from shards.schema import ROLES


def slow(turns, videos):
    """Both hashes by Python's own strings."""
    texts = [(role, normalise(text)) for role, text in turns]
    parts = ([*videos, *(text for role, text in texts if role != "assistant")], [*videos, *(text for _, text in texts)])
    digests = [hashlib.blake2b("\0".join(part).encode(), digest_size=8).digest() for part in parts]
    return tuple(int.from_bytes(digest, "big") for digest in digests)


PARTS = [
    "A",
    "b ",
    " ",
    "\n",
    "\x1c",
    "\x85",
    "\xa0",
    "\u3000",
    "<image>",
    "<video>",
    "<imag",
    "\u0130",
    "\u03a3",
    "\u0391",
]
PARTS += ["\u00c9", "\u023a", "\u1e9e", "\u2126", "\u212a", "\u6c34", "\U00010400", "\U0001f600", "\U00020000", "\x00"]
TEXT = st.lists(st.sampled_from(PARTS) | st.characters(exclude_categories=["Cs"])).map("".join)


@settings(deadline=None, max_examples=300)
@given(st.lists(st.lists(st.tuples(st.sampled_from(ROLES), TEXT), max_size=4), max_size=4))
def test_hashes_are_those_of_python(batch_of, chats):
    videos = [["a.mp4", "\u00e9.mp4"][: row % 3] for row in range(len(chats))]
    batch = batch_of(*chats).with_columns(videos=pl.Series(videos, dtype=pl.List(pl.String)))
    expected = [slow(turns, own) for turns, own in zip(chats, videos, strict=True)]
    assert TextHash()(batch).rows() == expected
    assert TextHash()(batch.slice(1)).rows() == expected[1:]


@pytest.mark.parametrize("around", ["{}", "a{}", "{}a", "a {} a"])
def test_every_character_is_folded_as_python_folds_it(batch_of, around):
    every = [chr(code) for code in range(0x20000) if not 0xD800 <= code < 0xE000]
    turns = [("user", around.format(char)) for char in every]
    texts = [normalise(text) for _, text in turns]
    digest = hashlib.blake2b("\0".join(texts).encode(), digest_size=8).digest()
    assert TextHash()(batch_of(turns))["instruction_hash"].item() == int.from_bytes(digest, "big")


def test_no_character_beyond_the_table_has_another_case():
    size = len(lower_table())
    assert all(chr(code).lower() == chr(code) and not chr(code).isspace() for code in range(size, sys.maxunicode + 1))
