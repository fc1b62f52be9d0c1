"""What every filter promises, whatever it measures."""

import dataclasses
import pickle

import polars as pl
import pytest

from filters import FILTERS, TEXT_FILTERS
from filters.answer import MESSAGES
from filters.texts import read_texts
from filters.tokens import TokenEstimate

PARAMETERS = {"native": {"name": "clip", "column": "clip_score"}}
CHATS = [
    [("user", "What is this?"), ("assistant", "A red bus.")],
    [
        ("system", "Be brief."),
        ("user", "<image>\nHow many?"),
        ("assistant", "Seven."),
        ("user", "Sure?"),
        ("assistant", ""),
    ],
    [("document", "<image>\nFirst line.\nFirst line.\n<image> End.")],
    [("user", "Count zeros."), ("assistant", "0 0 0 000 00" * 50)],
    [("user", "Loop."), ("assistant", "The same sentence again and again, word for word. " * 20)],
    [("user", "q"), ("assistant", "\u6c34\u5728\u6cb3\u91cc\u6d41\u3002" * 30)],
    [("user", "q"), ("assistant", "\x00\x00\x01 NUL and \u0301\u0301\u0301 marks \U0001f600")],
]
NO_TEXT = [[], [("user", "<image>")], [("document", "<image> \n <image>")]]
METAS = ['{"native": {"clip_score": "0.31"}}'] * len(CHATS)


@dataclasses.dataclass(frozen=True)
class OnBatch:
    """A filter of text, called with a batch like the others."""

    made: object

    reads = ("messages",)

    def __getattr__(self, name):
        if name == "made":  # while it is unpickled
            raise AttributeError(name)
        return getattr(self.made, name)

    def __call__(self, batch):
        return self.made(read_texts(batch))


def every_filter():
    own = [pytest.param(FILTERS[name](**PARAMETERS.get(name, {})), id=name) for name in FILTERS]
    return own + [pytest.param(OnBatch(kind()), id=name) for name, kind in TEXT_FILTERS.items()]


@pytest.fixture(params=every_filter())
def score(request):
    return request.param


def test_columns_and_height_are_as_declared(score, batch_of):
    found = score(batch_of(*CHATS, metas=METAS))
    assert found.height == len(CHATS)
    assert {name: found.schema[name] for name in score.writes} == dict(score.writes)
    extra = set(found.columns) - set(score.writes)
    assert extra <= {f"{name}_state" for name in score.writes}
    assert all(found.schema[name] == pl.String for name in extra)


def test_only_the_declared_columns_are_read(score, batch_of):
    batch = batch_of(*CHATS, metas=METAS)
    assert score(batch.select(score.reads)).equals(score(batch))


def test_an_empty_batch_keeps_the_schema(score, batch_of):
    found, none = score(batch_of(*CHATS, metas=METAS)), score(batch_of())
    assert none.schema == found.schema
    assert none.height == 0


def test_samples_with_text_have_no_null(score, batch_of):
    found = score(batch_of(*CHATS, metas=METAS)).select(*score.writes)
    documents = [name for name in found.columns if name.startswith("question_")]  # a document has no question
    assert found.drop(documents).null_count().sum_horizontal().item() == 0


def test_samples_without_text_have_null_text_scores(score, batch_of):
    if score.reads == ("messages",):
        found = score(batch_of(*NO_TEXT))
        # tokens are summed over a mixture: no text is no tokens, which is known
        nulls = 0 if isinstance(score.made, TokenEstimate) else len(NO_TEXT)
        assert found.null_count().row(0) == (nulls,) * found.width


def test_splitting_a_batch_changes_nothing(score, batch_of):
    batch = batch_of(*CHATS, *NO_TEXT, metas=METAS + ["{}"] * len(NO_TEXT))
    rows = pl.concat([score(batch.slice(row, 1)) for row in range(batch.height)])
    assert rows.equals(score(batch))


def test_reversing_a_batch_reverses_the_scores(score, batch_of):
    batch = batch_of(*CHATS, metas=METAS)
    assert score(batch.reverse()).equals(score(batch).reverse())


def test_calling_twice_and_pickled_gives_the_same(score, batch_of):
    batch = batch_of(*CHATS, metas=METAS)
    first = score(batch)
    assert score(batch).equals(first)
    again = pickle.loads(pickle.dumps(score))
    assert again == score and hash(again) == hash(score)
    assert again(batch).equals(first)


def test_filters_are_frozen_and_versioned(score):
    assert dataclasses.is_dataclass(score) and score.__dataclass_params__.frozen
    assert isinstance(score.version, int) and score.version >= 1


@pytest.mark.parametrize(
    "text", ["", " \n\t ", "a" * 1_000_000, "\x00" * 5_000, "\u0301" * 5_000, "\U0010ffff", "\u3000\u2028\u200b"]
)
def test_hostile_text_is_measured(score, batch_of, text):
    found = score(batch_of([("user", "q"), ("assistant", text)], metas=METAS[:1])).select(*score.writes)
    assert found.null_count().sum_horizontal().item() == 0


def test_score_names_are_unique_over_all_filters():
    names = [name for item in every_filter() for name in item.values[0].writes]
    assert len(names) == len(set(names))


def test_messages_dtype_is_the_schema_on_disk(batch_of):
    assert batch_of().schema["messages"] == MESSAGES
