import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.answer import answers, has_text
from filters.texts import read_texts
from shards.schema import ROLES

PARTS = [
    "text without a marker in all of 32 bytes ",
    "a",
    " ",
    "\n",
    "<image>",
    "<video>",
    "<",
    ">",
    "\u00e9",
    "\u6c34",
    "\U0001f600",
    "\u3000",
]
TEXT = st.lists(st.sampled_from(PARTS)).map("".join)
CHATS = st.lists(st.lists(st.tuples(st.sampled_from(ROLES), TEXT), max_size=4), max_size=5)


def decoded(texts):
    return ["".join(map(chr, texts.codes[a:b])) for a, b in zip(texts.starts, texts.starts[1:], strict=False)]


@settings(deadline=None)
@given(CHATS)
def test_flat_arrays_say_what_the_messages_say(batch_of, chats):
    batch = batch_of(*chats)
    texts = read_texts(batch)
    assert decoded(texts) == texts.strings.to_list()
    flat = [(row, role) for row, turns in enumerate(chats) for role, _ in turns]
    assert list(zip(texts.sample.tolist(), (ROLES[role] for role in texts.role), strict=True)) == flat
    assert texts.applies.tolist() == batch.select(has_text()).to_series().to_list()
    found = batch.select(answers()).to_series().to_list()
    owned = texts.sample[texts.answers].tolist()
    mine = [
        [
            text
            for row, text in zip(owned, np.array(decoded(texts), dtype=object)[texts.answers], strict=True)
            if row == n
        ]
        for n in range(len(chats))
    ]
    assert [expected for expected in found if expected not in (None, [""])] == [
        own for own, expected in zip(mine, found, strict=True) if expected not in (None, [""])
    ]


def test_a_slice_of_a_batch_reads_the_same(batch_of):
    batch = batch_of([("user", "one")], [("user", "two"), ("assistant", "\u6c34")], [], [("document", "<image> four")])
    assert decoded(read_texts(batch.slice(1, 3))) == ["two", "\u6c34", " four"]
    assert read_texts(batch.slice(1, 0)).codes.size == 0


@pytest.mark.parametrize(
    ("how", "expected"), [("max", [5, 0, None, 2]), ("min", [-1, 0, None, 2]), ("sum", [4, 0, None, 2])]
)
def test_values_of_messages_to_values_of_samples(batch_of, how, expected):
    question, answer = ("user", "q"), ("assistant", "a")
    texts = read_texts(batch_of([question, answer, question, answer], [question], [], [("document", "d")]))
    found = texts.per_sample(np.array([5, -1, 2]), texts.answers, how, pl.Int32)
    assert found.dtype == pl.Int32 and found.to_list() == expected


def test_no_values_at_all(batch_of):
    texts = read_texts(batch_of([("user", "q")], []))
    assert texts.per_sample(np.zeros(0), texts.answers, "max", pl.Float64, empty=1.0).to_list() == [1.0, None]
