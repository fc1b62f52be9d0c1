import polars as pl
import pytest

from filters.answer import answers, has_text
from filters.texts import read_texts


@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        ([("user", "q"), ("assistant", "a"), ("user", "r"), ("assistant", "b")], ["a", "b"]),
        ([("document", "one <image> two")], ["one  two"]),
        ([("user", "q")], [""]),
        ([("user", "q"), ("assistant", "")], [""]),
        ([("system", "s")], [""]),
        ([("user", "<image>"), ("assistant", "")], [""]),
        ([("user", "<image>")], None),
        ([("user", " <video>\n")], None),
        ([("document", "<image><image>")], None),
        ([], None),
    ],
)
def test_answers(batch_of, turns, expected):
    frame = batch_of(turns).select(answers().alias("answers"), has_text().alias("has_text"))
    assert frame.row(0) == (expected, expected is not None)


def test_code_points_are_those_of_the_answers(batch_of):
    said = ["a\U0001f600", "", "\u6c34\x00"]
    texts = read_texts(batch_of(*[[("user", "q"), ("assistant", text)] for text in said], []))
    own = [texts.codes[texts.starts[row] : texts.starts[row + 1]].tolist() for row in texts.answers]
    assert [code for codes in own for code in codes] == [ord(character) for text in said for character in text]
    assert [len(codes) for codes in own] == [2, 0, 2]
    assert texts.sample[texts.answers].tolist() == [0, 1, 2]
    assert texts.applies.tolist() == [True, True, True, False]


def test_a_sample_has_the_value_of_its_worst_answer(batch_of):
    batch = batch_of([("user", "q"), ("assistant", "aaa"), ("user", "r"), ("assistant", "b")], [], [("document", "c")])
    texts = read_texts(batch)
    sizes = (texts.starts[1:] - texts.starts[:-1])[texts.answers]
    assert texts.per_sample(sizes, texts.answers, "max", pl.Int32).to_list() == [3, None, 1]
