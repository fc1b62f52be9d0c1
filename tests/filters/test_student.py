import io
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from filters import student
from filters.ngrams import BITS, distinct_ngrams
from filters.student import FORMAT, Head, Student, Weights, design, guess, measures, num_cells, versions, write_student
from flows.scoring import identity
from shards.errors import UsageError

Samples = Callable[..., pl.DataFrame]

CHATS = [
    [("user", "What is this?"), ("assistant", "A red bus.")],
    [("system", "Be brief."), ("user", "<image>\nHow many?"), ("assistant", "Seven."), ("assistant", "")],
    [("document", "First line.\nFirst line.\n<image> End.")],
    [("user", "Count zeros."), ("assistant", "0 0 0 000 00" * 50)],
    [("user", "q"), ("assistant", "\u6c34\u5728\u6cb3\u91cc\u6d41\u3002" * 30)],
    [("user", "q"), ("assistant", "\x00\x01 NUL \u0301\u0301 marks \U0001f600")],
    [("user", "q"), ("assistant", "word " * 5_000)],
]
NO_TEXT = [[], [("user", "<image>")]]


def made(batch: pl.DataFrame, **head: object) -> Weights:
    """Weights of every kind and size, with edges at values of the batch."""
    edges = tuple(np.unique(column[~np.isnan(column)])[1:3] for column in measures(batch).T)
    weights = np.random.default_rng(1).normal(scale=3, size=(1 << BITS) + num_cells(edges)).astype(np.float32)
    values = {
        "format": FORMAT,
        "criterion": "quality",
        "judge": "j",
        "prompts": {},
        "measures": versions(),
        "bias": 6.5,
        "half_width": 1.25,
        "seed": 0,
        "alpha": 1.0,
        "trained_on": "0" * 64,
        "report": {},
    }
    return Weights(Head.model_validate(values | head), weights, edges)


@pytest.fixture
def file(tmp_path: Path, batch_of: Samples) -> Path:
    write_student(tmp_path / "student.npz", made(batch_of(*CHATS)))
    return tmp_path / "student.npz"


@pytest.mark.parametrize(
    ("question", "answer", "count"),
    [
        ("", "", 0),
        ("", "one", 1),  # one word, no pair
        ("", "one two", 3),  # two words and their pair
        ("", "one two one two", 4),  # one, two, one two, two one
        ("one", "one", 2),  # the same word asked and said are two things
        ("one two one", "", 2),  # of questions words alone
        ("", "One ONE one", 2),  # case of ASCII is folded: one, one one
        ("", "\u00c9 \u00e9", 3),  # other case is not
        ("", "\u6c34\u6cb3", 3),  # Han characters are words
        ("", "<image> one", 1),
    ],
)
def test_distinct_words_and_pairs_are_counted(batch_of: Samples, question: str, answer: str, count: int) -> None:
    batch = batch_of([("user", question), ("assistant", answer)])
    edges = (np.zeros(0),) * measures(batch).shape[1]
    row = design(batch, edges)
    words = row[:, : 1 << BITS]
    assert words.nnz == count
    assert (words**2).sum() == pytest.approx(1.0 if count else 0.0)
    # every measure stands in its first cell, or in its second where it is null
    assert row.nnz == count + len(edges) and row.shape == (1, (1 << BITS) + 2 * len(edges))


def test_buckets_stay_the_same_or_the_format_is_raised() -> None:
    def codes(text: str):
        return np.frombuffer(text.encode("utf-32-le"), dtype="<u4"), np.array([0, len(text)])

    buckets, ends = distinct_ngrams(*codes("One two, \u6c34"), *codes("Why?"))
    assert FORMAT == 1 and ends.tolist() == [0, 6]
    assert buckets.tolist() == [78347, 154807, 199869, 156416, 143410, 159694]


def test_the_order_of_pairs_matters_and_that_of_words_does_not(batch_of: Samples) -> None:
    one, two = ([("user", "q"), ("assistant", text)] for text in ("red green", "green red"))
    edges = (np.zeros(0),) * measures(batch_of(one)).shape[1]
    rows = design(batch_of(one, two), edges)[:, : 1 << BITS].toarray() > 0
    assert (rows[0] & rows[1]).sum() == 3 and (rows[0] ^ rows[1]).sum() == 2


def test_measures_fall_into_their_cells(batch_of: Samples) -> None:
    texts = ["a" * 5, "a" * 10, "a" * 20]
    batch = batch_of(*[[("assistant", text)] for text in texts], [("user", "<image>")])
    names = list(student._NAMES)
    edges = tuple(np.array([10.0, 15.0]) if name == "answer_chars" else np.zeros(0) for name in names)
    place = (1 << BITS) + 2 * names.index("answer_chars")
    rows = design(batch, edges)[:, place : place + 4].toarray()
    # below 10, from 10 to 15, from 15 on, null
    assert (rows > 0).tolist() == np.eye(4, dtype=bool).tolist()


def test_guesses_are_sums_over_what_is_there(file: Path, batch_of: Samples) -> None:
    batch = batch_of(*CHATS)
    held = made(batch)
    rows = design(batch, held.edges)
    expected = np.clip(rows.toarray() @ held.weights.astype(float) + 6.5, 0, 10)
    assert guess(rows, held.weights, 6.5) == pytest.approx(expected)
    found = Student.of(file)(batch)
    assert found["student_quality"].to_list() == pytest.approx(expected)
    assert len(set(expected)) > 3
    assert found["student_quality_low"].to_list() == pytest.approx(np.clip(expected - 1.25, 0, 10))
    assert found["student_quality_high"].to_list() == pytest.approx(np.clip(expected + 1.25, 0, 10))


def test_the_contract_of_filters_holds(file: Path, batch_of: Samples) -> None:
    score, batch = Student.of(file), batch_of(*CHATS, *NO_TEXT)
    found = score(batch.select(score.reads))
    assert found.schema == pl.Schema(score.writes) and found.height == batch.height
    assert score(batch_of()).schema == found.schema
    assert found.null_count().row(0) == (2, 2, 2) and found[: len(CHATS)].null_count().row(0) == (0, 0, 0)
    again = pickle.loads(pickle.dumps(score))
    assert again == score and hash(again) == hash(score) and again(batch).equals(found)


def test_a_batch_may_be_cut_anywhere(file: Path, batch_of: Samples) -> None:
    score, batch = Student.of(file), batch_of(*CHATS, *NO_TEXT, *CHATS)
    for size in (1, 2, 5):
        parts = [score(batch[start : start + size]) for start in range(0, batch.height, size)]
        assert pl.concat(parts).equals(score(batch))
    assert score(batch.reverse()).equals(score(batch).reverse())


def test_the_output_is_named_by_the_bytes_and_not_by_their_place(file: Path) -> None:
    score = Student.of(file)
    assert identity(score) == identity(replace(score, path="elsewhere"))
    assert identity(score) != identity(replace(score, sha256="0" * 64))


def test_equal_students_are_equal_files_of_plain_numbers(file: Path, tmp_path: Path, batch_of: Samples) -> None:
    write_student(tmp_path / "again.npz", made(batch_of(*CHATS)))
    assert (tmp_path / "again.npz").read_bytes() == file.read_bytes()
    write_student(tmp_path / "other.npz", made(batch_of(*CHATS), bias=6.0))
    assert (tmp_path / "other.npz").read_bytes() != file.read_bytes()
    with np.load(file, allow_pickle=False) as stored:
        assert {name: stored[name].dtype.kind for name in stored.files} == {
            **{"head": "u", "weights": "f", "edges": "f", "sizes": "i"}
        }


def array(values: object) -> bytes:
    out = io.BytesIO()
    np.save(out, np.array(values))
    return out.getvalue()


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04broken", array([1.0]), array([None])])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "other.npz").write_bytes(content)
    with pytest.raises(UsageError, match=r"other.npz` cannot be read: it is no file of `vlmix judge distil`"):
        Student.of(tmp_path / "other.npz")


def test_a_missing_or_cut_file_is_named(file: Path) -> None:
    with pytest.raises(UsageError, match=r"absent.npz` is no file"):
        Student.of(file.with_name("absent.npz"))
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(UsageError, match="cannot be read"):
        Student.of(file)


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ({"format": FORMAT + 1}, "another version of format; distil"),
        ({"measures": {**versions(), "Turns": 99}}, "another version of Turns; distil"),
        ({"measures": {name: each for name, each in versions().items() if name != "Lengths"}}, "version of Lengths"),
    ],
)
def test_other_features_are_refused(tmp_path: Path, batch_of: Samples, head: dict[str, object], message: str) -> None:
    write_student(tmp_path / "old.npz", made(batch_of(*CHATS), **head))
    with pytest.raises(UsageError, match=message):
        Student.of(tmp_path / "old.npz")


def test_weights_that_do_not_fit_are_refused(tmp_path: Path, batch_of: Samples) -> None:
    whole = made(batch_of(*CHATS))
    write_student(tmp_path / "short.npz", whole._replace(weights=whole.weights[:-1]))
    with pytest.raises(UsageError, match="do not fit its features"):
        Student.of(tmp_path / "short.npz")


def test_a_file_that_changes_in_use_is_noticed(file: Path, batch_of: Samples) -> None:
    score = replace(Student.of(file), sha256="1" * 64)
    with pytest.raises(UsageError, match="has changed while it was in use"):
        score(batch_of(*CHATS))
