import pickle

import polars as pl
import pytest

from filters.text_bands import HASHES_PER_BAND, NUM_BANDS, TextBands

CHATS = [
    [("user", "What is this?"), ("assistant", "A red bus.")],
    [("system", "Be brief."), ("user", "How many?"), ("assistant", "Seven."), ("user", "Sure?"), ("assistant", "")],
    [("document", "First line.\nFirst line.\nEnd.")],
    [("user", "<image>\nHow many?"), ("assistant", "Seven.")],
    [("user", "q"), ("assistant", "\u6c34\u5728\u6cb3\u91cc\u6d41\u3002" * 30)],
    [("user", "q"), ("assistant", "\x00\x00\x01 NUL and \u0301\u0301 marks \U0001f600")],
    [("user", "def f(x):\n    return x + 1"), ("assistant", "def f(x): return x+1")],
    [("user", " \n")],
    [],
]
NULL = [False, False, False, True, False, False, False, True, True]


def test_samples_with_pictures_and_without_words_have_no_bands(batch_of):
    found = TextBands()(batch_of(*CHATS))
    assert dict(found.schema) == dict(TextBands.writes)
    assert all(found[name].is_null().to_list() == NULL for name in found.columns)
    assert (found != 0).select(pl.all_horizontal(pl.all().fill_null(True)).all()).item()


def test_samples_with_videos_have_no_bands(batch_of):
    batch = batch_of([("user", "Say it.")], [("user", "Say it.")])
    batch = batch.with_columns(videos=pl.Series([["clip.mp4"], []], dtype=pl.List(pl.String)))
    assert TextBands()(batch)["band_00"].is_null().to_list() == [True, False]


@pytest.mark.parametrize("rows", [1, 4, len(CHATS)])
def test_splitting_and_reversing_a_batch_changes_nothing(batch_of, rows):
    batch, made = batch_of(*CHATS), TextBands()
    whole = made(batch)
    assert pl.concat([made(batch.slice(start, rows)) for start in range(0, batch.height, rows)]).equals(whole)
    assert made(batch.reverse()).reverse().equals(whole)
    assert pickle.loads(pickle.dumps(made))(batch.select(made.reads)).equals(whole)


def test_an_empty_batch_keeps_the_schema(batch_of):
    found = TextBands()(batch_of())
    assert found.height == 0 and dict(found.schema) == dict(TextBands.writes)


@pytest.mark.parametrize("text", ["a" * 1_000_000, "\x00" * 5_000, "\u0301" * 5_000, "\U0010ffff", "\u200b"])
def test_hostile_text_has_bands(batch_of, text):
    assert TextBands()(batch_of([("user", "q"), ("assistant", text)])).null_count().sum_horizontal().item() == 0


@pytest.mark.parametrize(("similarity", "chance"), [(0.8, 0.998), (0.7, 0.93), (0.5, 0.28)])
def test_the_chance_of_a_shared_band_is_as_told(similarity, chance):
    assert 1 - (1 - similarity**HASHES_PER_BAND) ** NUM_BANDS == pytest.approx(chance, abs=0.005)


def test_the_values_are_the_same_on_every_machine(batch_of):
    # ours, pinned: another value needs another `version`
    found = TextBands()(batch_of(CHATS[0]))
    assert found.select("band_00", "band_20").row(0) == (10967085909761110954, 6091364716236570251)
