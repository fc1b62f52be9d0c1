import polars as pl
import pytest

from filters.answer import answers, code_points, has_text


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
    texts = ["a\U0001f600", "", "\u6c34\x00"]
    points = code_points(batch_of(*[[("user", "q"), ("assistant", text)] for text in texts], []))
    assert points.codes.tolist() == [ord(character) for text in texts for character in text]
    assert points.starts.tolist() == [0, 2, 2, 4]
    assert points.owner.tolist() == [0, 1, 2]
    assert points.applies.tolist() == [True, True, True, False]


def test_a_sample_has_the_value_of_its_worst_answer(batch_of):
    batch = batch_of([("user", "q"), ("assistant", "aaa"), ("user", "r"), ("assistant", "b")], [], [("document", "c")])
    points = code_points(batch)
    frame = points.worst_frame({"size": pl.Int32}, (points.starts[1:] - points.starts[:-1])[None, :])
    assert frame["size"].to_list() == [3, None, 1]
