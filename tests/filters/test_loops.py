import itertools
import random

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.loops import Loops
from filters.texts import read_texts

WORDS = ["man", "stands", "near", "old", "bus", "while", "dogs", "look", "rain", "falls", "on", "grey", "street"]
WORDS += ["under", "seven", "lamps", "beside", "blue", "doors"]
UNIT = "The first sentence tells of a bus that waits, and the second one of a dog that runs across the yard."
LINES = "Row on, row on, across the silver bay,\nRow on, until the break of day.\nThe tide will bring us home."


def loops(batch):
    return Loops()(read_texts(batch))


def prose(count, seed=0):
    chooser = random.Random(seed)
    return " ".join(f"{chooser.choice(WORDS)}{chooser.randrange(1000)}" for _ in range(count))


def worst(batch_of_answers, text):
    return loops(batch_of_answers([text])).row(0, named=True)


@pytest.mark.parametrize("copies", [2, 3, 10])
@pytest.mark.parametrize("seed", [None, 0])
def test_the_span_is_the_loop(batch_of_answers, copies, seed):
    before = "" if seed is None else prose(30, seed) + " "
    found = worst(batch_of_answers, before + " ".join([UNIT] * copies))
    assert found["loop"] >= 0.5
    assert (found["loop_turn"], found["loop_start"], found["loop_period"]) == (1, len(before), len(UNIT) + 1)
    assert found["loop_chars"] == copies * (len(UNIT) + 1) - 1
    assert found["loop_copies"] == pytest.approx(copies, abs=0.02)
    assert found["loop_share"] == pytest.approx(found["loop_chars"] / (len(before) + found["loop_chars"]))


@pytest.mark.parametrize(
    ("text", "looping"),
    [
        (f"{UNIT} {UNIT}", True),
        (f"{UNIT}\n\n{UNIT}", True),
        (f"{UNIT} {UNIT} {prose(20)}", False),  # two copies, and it goes on
        (f"{UNIT} {UNIT} {UNIT} {prose(20)}", True),
        (f"{UNIT} {prose(20)} {UNIT}", False),  # it comes back, which is no loop
        (f"{UNIT} {UNIT} {UNIT[:50]}", True),
        ("\n\n".join([LINES] * 3), False),
        ("\n\n".join([LINES] * 6), True),
        ("\n\n".join([LINES] * 3) + "\n\n" + LINES[:60], True),  # the same verses, but it ran out
        ("\n".join(f"{n}. {UNIT}" for n in range(1, 9)), True),
        (" ".join(UNIT.replace("bus", word) for word in WORDS), True),
        ("\n".join(f"Step {n}: add {n * 7} to {n * n}, which is {n * n + 7 * n}." for n in range(40)), False),
        ("\n".join(f"{word}: {word[::-1]}" for word in WORDS), False),
        ("|---|---|---|", False),
        ("-" * 120 + "\n" + prose(40), False),  # a rule
        ("_" * 250, True),
        ("0, " * 40, False),
        ("0, " * 100, True),
        ("ha ha ha ha", False),
        ("E_R" * 100, True),
        ("\u0e01\u0e02\u0e04\u0e07\u0e08\u0e09" * 20, True),
        ("\u6c34\u5728\u6cb3\u91cc\u6d41\u5f97\u5f88\u5feb\u3002" * 2, False),  # nine characters are little
        ("\u6c34\u5728\u6cb3\u91cc\u6d41\u5f97\u5f88\u5feb\u3002" * 5, True),
    ],
)
def test_what_is_a_loop(batch_of_answers, text, looping):
    assert (worst(batch_of_answers, text)["loop"] >= 0.5) == looping


def test_a_question_that_names_the_number_may_have_its_copies(batch_of):
    answer = " ".join([UNIT] * 5)
    asked, unasked = ([("user", f"Say it {n} times."), ("assistant", answer)] for n in (5, 15))
    found = loops(batch_of(asked, unasked))["loop"]
    assert found[0] < found[1] == 1.0


def test_the_worst_answer_counts_and_questions_do_not(batch_of):
    loop = " ".join([UNIT] * 5)
    found = loops(
        batch_of(
            [("user", loop), ("assistant", "Yes."), ("user", "q"), ("assistant", loop), ("assistant", loop)],
            [("user", loop), ("assistant", "Yes.")],
            [("document", loop)],
        )
    )
    assert found["loop_turn"].to_list() == [3, -1, 0]
    assert found["loop"].to_list() == [1.0, 0.0, 1.0]


def test_markers_are_no_part_of_the_span(batch_of):
    found = loops(batch_of([("document", "<image>ab <image>" + " ".join([UNIT] * 3))]))
    assert found["loop_start"].item() == 3


@pytest.mark.parametrize(
    ("answers", "share"),
    [
        ([UNIT], 0.0),
        ([UNIT, UNIT], 1.0),
        ([UNIT, prose(20)], 0.0),
        ([UNIT, UNIT, prose(20, 1), UNIT], 0.6),
        (["Yes.", "Yes."], 0.0),
    ],
)
def test_answers_that_repeat_earlier_ones(batch_of, answers, share):
    turns = itertools.chain.from_iterable([("user", f"q{n}"), ("assistant", a)] for n, a in enumerate(answers))
    assert loops(batch_of(list(turns)))["turn_repeat_share"].item() == pytest.approx(share, abs=0.1)


def test_phrases_are_few_in_a_loop(batch_of_answers):
    texts = [prose(200), f"{prose(100)} {prose(100)}", " ".join([UNIT] * 50), ""]
    found = loops(batch_of_answers(texts))["lz_share"].to_list()
    assert found[0] == 1.0 and 0.4 < found[1] < 0.6 and found[2] < 0.05 and found[3] == 1.0


@settings(max_examples=60, deadline=None)
@given(st.permutations(WORDS), st.integers(12, 18), st.integers(2, 6), st.integers(0, 40))
def test_any_sentence_said_again_and_again_is_found_where_it_is(batch_of_answers, words, size, copies, before):
    unit = " ".join(words[:size])
    start = "".join(f"only{n} " for n in range(before))
    found = worst(batch_of_answers, start + " ".join([unit] * copies))
    assert (found["loop_start"], found["loop_period"]) == (len(start), len(unit) + 1)
    assert found["loop_chars"] == copies * (len(unit) + 1) - 1
    assert found["loop_copies"] == pytest.approx(copies, abs=0.03)
    assert found["loop"] > 0


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text("ab \n,1\u6c34", max_size=60), max_size=6))
def test_values_are_in_bounds(batch_of_answers, answers):
    found = loops(batch_of_answers(answers))
    for name in ("loop", "loop_share", "lz_share", "turn_repeat_share"):
        assert found[name].is_between(0, 1).all()
    ends = found["loop_start"] + found["loop_chars"]
    assert all(end <= len(text) for end, text in zip(ends, answers, strict=True))


def test_more_copies_never_lower_the_confidence(batch_of_answers):
    found = loops(batch_of_answers([" ".join([UNIT] * copies) for copies in range(1, 30)]))
    assert found["loop"].is_sorted()


def fibonacci(size):
    left, right = "a", "ab"
    while len(right) < size:
        left, right = right, right + left
    return right[:size]


@pytest.mark.parametrize(
    ("make", "looping"),
    [
        (lambda: "a" * 1_000_000, True),
        (lambda: "\x00" * 1_000_000, True),
        (lambda: "\u0301" * 1_000_000, True),
        (lambda: "\n" * 1_000_000, False),
        (lambda: "ab\n" * 300_000, True),
        (lambda: "".join(random.Random(0).choices("abcdefgh ", k=1_000_000)), False),
        (lambda: " ".join(random.Random(0).choices("ab", k=300_000)), None),
        (lambda: fibonacci(1_000_000), True),
        (lambda: " ".join(fibonacci(300_000)), True),
        (lambda: (UNIT + "\n") * 100_000, True),
    ],
)
def test_hostile_text(batch_of_answers, make, looping):
    found = worst(batch_of_answers, make())
    assert looping is None or (found["loop"] >= 0.5) == looping


def test_splitting_a_batch_changes_nothing(batch_of):
    chats = [[("user", "q"), ("assistant", t), ("assistant", t[::-1])] for t in (UNIT * 4, prose(50), "", LINES * 9)]
    batch = batch_of(*chats, *reversed(chats))
    rows = pl.concat([loops(batch.slice(row, 1)) for row in range(batch.height)])
    assert rows.equals(loops(batch))
