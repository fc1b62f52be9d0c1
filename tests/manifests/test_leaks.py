import polars as pl
import pytest

from manifests.leaks import ASKED, COMMON, LEAK_SCORES, LEAKS, decided, leak_scores, paired, strongest, weighed

HITS = {"key": pl.String, "message": pl.UInt32, "item": pl.UInt32, "gram": pl.UInt32, "hit": pl.Boolean}


def hits(held: list[bool], agrees: bool | None = None) -> pl.DataFrame:
    """One candidate whose benchmark text has these n-grams, held or not."""
    rows = [("a/train/0", 0, 0, gram, hit) for gram, hit in enumerate(held)]
    return pl.DataFrame(rows, HITS, orient="row").with_columns(agrees=pl.lit(agrees, pl.Boolean))


def seen(*counts: int) -> pl.DataFrame:
    """So many different texts hold each n-gram."""
    rows = [(gram, text) for gram, count in enumerate(counts) for text in range(count)]
    return pl.DataFrame(rows, {"gram": pl.UInt32, "of": pl.UInt64}, orient="row")


def measured(held: list[bool], here: list[int], there: list[int]) -> tuple[float, float]:
    row = weighed(hits(held), seen(*here), pl.Series(there, dtype=pl.UInt32)).row(0, named=True)
    return row["share"], row["evidence"]


@pytest.mark.parametrize(
    ("held", "here", "there", "expected"),
    [
        ([True, True, False, False], [1, 1, 0, 0], [1, 1, 1, 1], (0.5, 2.0)),
        # a form: what it has in common with others weighs less than what is its own
        ([True, True, False, False], [10, 10, 0, 0], [1, 1, 1, 1], (0.2 / 2.2, 0.2)),
        ([True, True, False, False], [1, 1, 0, 0], [10, 10, 1, 1], (0.2 / 2.2, 0.2)),
        # what everybody says weighs nothing
        ([True, True], [COMMON, COMMON], [1, 1], (0.0, 0.0)),
        ([True, True], [1, 1], [COMMON, 1], (1.0, 1.0)),
    ],
)
def test_a_phrase_weighs_by_how_many_have_it(
    held: list[bool], here: list[int], there: list[int], expected: tuple[float, float]
) -> None:
    assert measured(held, here, there) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("kind", "picture", "share", "evidence", "agrees", "leak"),
    [
        ("question", None, 0.7, 7.0, None, True),
        ("question", None, 0.7, 3.0, None, False),  # too little where no answer tells
        ("question", None, 0.7, 3.0, True, True),
        ("question", None, 0.5, 3.0, True, True),  # more words may differ where the answer is the same
        ("question", None, 0.5, 9.0, None, False),
        ("question", None, 1.0, 1.5, True, False),  # a phrase that many have
        ("question", "p", 1.0, 9.0, False, False),  # the same words about another picture, answered otherwise
        ("question", None, 1.0, 9.0, False, True),
        ("question", "p", 1.0, 9.0, None, True),
        ("answer", "p", 0.7, 3.0, None, True),
        ("answer", "p", 0.5, 9.0, None, False),
    ],
)
def test_what_is_a_leak(
    kind: str, picture: str | None, share: float, evidence: float, agrees: bool | None, leak: bool
) -> None:
    items = pl.DataFrame({"kind": [kind], "row": ["b/test/1"], "picture": pl.Series([picture], dtype=pl.String)})
    columns = {"key": "a/train/0", "message": 0, "item": 0, "share": share, "evidence": evidence}
    candidates = pl.DataFrame([columns], {**HITS, "share": pl.Float64, "evidence": pl.Float64}, strict=False)
    candidates = candidates.select(*columns).with_columns(agrees=pl.lit(agrees, pl.Boolean))
    found = decided(candidates, items)
    assert found.schema == LEAKS
    assert found.select("row", "kind", "share").rows() == ([("b/test/1", kind, share)] if leak else [])


@pytest.mark.parametrize(("number", "found"), [(ASKED, ASKED), (ASKED + 1, 0)])
def test_a_short_question_asked_of_many_pictures_is_nobodys(number: int, found: int) -> None:
    rows = [(f"a/train/{row}", 0, 77, row) for row in range(number)]
    schema = {"key": pl.String, "message": pl.UInt32, "pair": pl.UInt64, "of": pl.UInt64}
    pairs = pl.DataFrame({"pair": [77], "row": ["b/test/1"]}, {"pair": pl.UInt64, "row": pl.String})
    assert paired(pl.DataFrame(rows, schema, orient="row"), pairs).height == found


def leaks(*rows: tuple[str, str, str, str, float]) -> pl.DataFrame:
    names = ("benchmark", "key", "row", "kind", "distance")
    frame = pl.DataFrame(rows, dict.fromkeys(names, pl.String) | {"distance": pl.Float64}, orient="row")
    rest = [pl.lit(None, dtype).alias(name) for name, dtype in LEAKS.items() if name not in names]
    return frame.with_columns(rest).select("benchmark", *LEAKS)


def test_one_row_of_a_benchmark_stands_once_by_its_strongest_finding() -> None:
    found = leaks(
        ("x", "a", "1", "question", 0.0), ("x", "a", "1", "picture", 0.2), ("x", "a", "2", "question", 0.1)
    ).drop("benchmark")
    assert strongest(found).select("row", "kind").rows() == [("1", "picture"), ("2", "question")]


def test_scores_name_the_strongest_finding_of_all_benchmarks() -> None:
    found = leaks(
        ("first", "a", "f/1", "question", 0.0),
        ("second", "a", "s/2", "picture", 0.3),
        ("first", "b", "f/3", "question", 0.2),
        ("second", "b", "s/4", "question", 0.2),
    )
    keys = pl.Series(["c", "b", "a", "d"])
    scores = leak_scores(keys, found, pl.Series([False, False, False, True]))
    assert scores.select(*LEAK_SCORES).rows() == [
        (None, None, None, None),
        ("first", "question", "f/3", 0.2),
        ("second", "picture", "s/2", 0.3),
        (None, None, None, None),
    ]
    assert scores["leak_kind_state"].to_list() == ["not_applicable", None, None, "error"]
