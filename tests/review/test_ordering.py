"""What people see first, what goes together, and what quotas leave out."""

import random

import polars as pl
import pytest

from review.item import MOST_MATES
from review.likeness import grouped, question_of, template_of
from review.ordering import QueueOptions, ordered


def table(rows: list[dict[str, object]]) -> pl.DataFrame:
    usual: dict[str, object] = {
        "margin": None,
        "settles": 1,
        "template": "t",
        "entry": "e",
        "source": "s",
        "domain": "d",
        "rule": "r",
        "draw": None,
    }
    kinds = {"margin": pl.Float64, "settles": pl.Int32, "draw": pl.UInt64, "rule": pl.String}
    return pl.DataFrame([usual | row for row in rows], schema_overrides=kinds)


def keys(rows: pl.DataFrame, options: QueueOptions = QueueOptions()) -> str:  # noqa: B008  # frozen
    return "".join(ordered(rows, options)["key"])


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        # nearest first, those without a threshold last
        ([{"key": "c"}, {"key": "b", "margin": 0.5}, {"key": "a", "margin": 0.1}], "abc"),
        # within a step the answer that settles more
        ([{"key": "a", "margin": 0.11}, {"key": "b", "margin": 0.14, "settles": 9}], "ba"),
        ([{"key": "a", "margin": 0.11}, {"key": "b", "margin": 0.16, "settles": 9}], "ab"),
        # the like stand together
        (
            [{"key": key, "template": template, "settles": 2} for key, template in zip("abcd", "xyxy", strict=True)],
            "acbd",
        ),
        ([{"key": "b"}, {"key": "a"}], "ab"),
        # drawn rows take every second place while there are any
        ([*({"key": key} for key in "abcd"), {"key": "Z", "draw": 1}, {"key": "Y", "draw": 2**64 - 1}], "ZaYbcd"),
        ([{"key": "a"}, *({"key": key, "draw": place} for place, key in enumerate("XYZ"))], "XaYZ"),
    ],
)
def test_the_order_of_review(rows: list[dict[str, object]], expected: str) -> None:
    shuffled = list(rows)
    for seed in range(4):
        random.Random(seed).shuffle(shuffled)
        assert keys(table(shuffled)) == expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (QueueOptions(), "abcdef"),
        (QueueOptions(per_source=1), "af"),
        (QueueOptions(per_source=2), "abf"),
        (QueueOptions(per_rule=1), "ac"),
        (QueueOptions(per_domain=2), "ab"),
        (QueueOptions(per_source=2, per_rule=1), "a"),
    ],
)
def test_quotas_leave_out_what_stands_further_back(options: QueueOptions, expected: str) -> None:
    rows = [
        {"key": "a", "source": "s", "rule": "p"},
        {"key": "b", "source": "s", "rule": "p"},
        {"key": "c", "source": "s", "rule": "q"},
        {"key": "d", "source": "s", "rule": "q"},
        {"key": "e", "source": "s", "rule": "q"},
        {"key": "f", "source": "t", "rule": "p"},
    ]
    found = keys(table(rows), options)
    if options == QueueOptions(per_source=2, per_rule=1):
        # `b` is over the quota of its rule, so that `c` is the second of its source
        assert found == "ac"
    else:
        assert found == expected


def test_quotas_spare_drawn_rows() -> None:
    rows = [{"key": "a"}, {"key": "b"}, {"key": "Z", "draw": 1}]
    assert keys(table(rows), QueueOptions(per_source=1)) == "Za"


def talk(*texts: str) -> list[dict[str, str]]:
    return [{"role": role, "text": text} for role, text in zip(("user", "assistant") * 3, texts, strict=False)]


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        (talk("How many?", "There are 3."), talk("how  many?", "there are 1,200."), True),
        (talk("At 12:30", "x"), talk("At 9", "x"), True),
        (talk("How many?", "There are 3."), talk("How many?", "There are three."), False),
        (talk("a", "b"), talk("a b"), False),
        (talk("a", ""), talk("a"), False),
    ],
)
def test_texts_of_one_template_differ_in_numbers_only(
    left: list[dict[str, str]], right: list[dict[str, str]], same: bool
) -> None:
    assert (template_of(left) == template_of(right)) == same


def test_one_question_is_the_same_pictures_and_the_same_words() -> None:
    asked = question_of(talk("What?", "A cat."), ["aa"])
    assert asked == question_of(talk("what? ", "A dog."), ["aa"])
    assert asked not in (question_of(talk("Who?", "A cat."), ["aa"]), question_of(talk("What?", "A cat."), ["bb"]))
    assert question_of(talk("What?", "A cat."), []) is None


def test_an_answer_may_settle_a_template_and_a_cluster() -> None:
    rows = pl.DataFrame(
        [
            ("a", "t1", "q1", None),
            ("b", "t1", "q1", None),
            ("c", "t1", None, None),
            ("d", "t2", "q1", None),
            ("e", "t3", None, "known"),
            ("f", "t4", "q9", None),
        ],
        {"key": pl.String, "template": pl.String, "question": pl.String, "cluster": pl.String},
        orient="row",
    )
    found = {row["key"]: row for row in grouped(rows).iter_rows(named=True)}
    assert {key: row["cluster"] for key, row in found.items()} == dict(a="a", b="a", c=None, d="a", e="known", f=None)
    assert {key: row["settles"] for key, row in found.items()} == dict(a=4, b=4, c=3, d=3, e=1, f=1)
    assert {key: row["mates"] for key, row in found.items()} == dict(
        a=["b", "c", "d"], b=["a", "c", "d"], c=["a", "b"], d=["a", "b"], e=[], f=[]
    )


def test_no_more_mates_are_named_than_a_person_reads() -> None:
    many = pl.DataFrame({"key": [f"k{number:03}" for number in range(50)]}).with_columns(
        pl.lit("t").alias("template"),
        pl.lit(None, pl.String).alias("question"),
        pl.lit(None, pl.String).alias("cluster"),
    )
    found = grouped(many)
    assert set(found["settles"]) == {50}
    assert {len(mates) for mates in found["mates"]} == {MOST_MATES}
    assert all(key not in mates for key, mates in found.select("key", "mates").iter_rows())
