"""The journal keeps every answer once, whatever kills the writer."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from review.answer import Answer, Choice, Journal, latest
from shards.errors import StoreError

MOMENT = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)


def answer(number: int, choice: Choice = "keep", reviewer: str = "ann", item: int = 0) -> Answer:
    return Answer(
        answer_id=f"a{number}",
        item=f"r{item:020x}",
        entry="e",
        key=f"s/train/{item}",
        seen="0" * 20,
        choice=choice,
        reviewer=reviewer,
        at=MOMENT,
        via="page",
    )


def test_answers_come_back_in_order_and_a_repeated_act_once(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "new")
    assert journal.read() == []
    assert journal.append([answer(1), answer(2, "drop")]) == 2
    assert journal.append([answer(2, "drop"), answer(3, "skip")]) == 1
    assert [found.answer_id for found in journal.read()] == ["a1", "a2", "a3"]


@pytest.mark.parametrize("cut", [1, 10, 4096])
def test_a_cut_last_line_is_left_out_and_written_over(tmp_path: Path, cut: int) -> None:
    journal = Journal(tmp_path)
    journal.append([answer(1), answer(2).model_copy(update={"note": "x" * 4000})])
    whole = journal.path.read_bytes()
    journal.path.write_bytes(whole[:-cut])
    assert [found.answer_id for found in journal.read()] == ["a1"]
    journal.append([answer(3)])
    assert [found.answer_id for found in journal.read()] == ["a1", "a3"]


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append([answer(1)])
    with journal.path.open("ab") as handle:
        handle.write(b"{}\n")
    with pytest.raises(StoreError, match="line 2"):
        journal.read()


def test_the_last_answer_counts_and_undo_takes_it_back() -> None:
    told = [answer(1), answer(2, "drop"), answer(3, item=1), answer(4, "undo", item=1), answer(5, "drop", "bob")]
    assert {place: found.choice for place, found in latest(told).items()} == {
        ("ann", f"r{0:020x}"): "drop",
        ("bob", f"r{0:020x}"): "drop",
    }
