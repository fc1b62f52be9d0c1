"""The journal keeps every answer once, whatever kills the writer."""

import os
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from review.answer import Answer, Choice, Journal, latest
from shards.errors import StoreError, UsageError
from shards.remote import attach, remote_of

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


def test_two_writers_know_of_each_other(tmp_path: Path) -> None:
    one, other = Journal(tmp_path), Journal(tmp_path)
    assert (one.append([answer(1)]), other.append([answer(2)]), one.append([answer(2), answer(3)])) == (1, 1, 1)
    assert (other.append([answer(1), answer(3)]), other.append([answer(4), answer(4)])) == (0, 1)
    assert [found.answer_id for found in one.read()] == ["a1", "a2", "a3", "a4"]


def test_a_live_journal_reads_only_what_is_new(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append([answer(1), answer(2)])
    whole = journal.path.read_bytes()
    with journal.path.open("r+b") as handle:
        handle.write(b"x" * 10)  # the first line is no answer any more
    assert journal.append([answer(2), answer(3)]) == 1
    with pytest.raises(StoreError, match="line 1"):
        Journal(tmp_path).append([answer(4)])
    journal.path.unlink()
    journal.path.write_bytes(whole[: whole.index(b"\n") + 1])  # mended by hand: another file
    assert journal.append([answer(1), answer(2)]) == 1


def test_answers_are_read_from_a_place_on(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    assert journal.read_after({}) == ([], {})
    journal.append([answer(1)])
    first, place = journal.read_after({})
    assert ([found.answer_id for found in first], journal.read_after(place)) == (["a1"], ([], place))
    journal.append([answer(2)])
    with journal.path.open("ab") as handle:
        handle.write(b'{"answer_id": "cut')
    more, end = journal.read_after(place)
    assert [found.answer_id for found in more] == ["a2"] and journal.read_after(end) == ([], end)


def test_many_threads_write_every_answer_once(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        written = list(pool.map(lambda number: journal.append([answer(number), answer(number + 1)]), range(60)))
    assert sum(written) == 61
    assert sorted(int(found.answer_id[1:]) for found in journal.read()) == list(range(61))


def test_the_last_answer_counts_and_undo_takes_it_back() -> None:
    told = [answer(1), answer(2, "drop"), answer(3, item=1), answer(4, "undo", item=1), answer(5, "drop", "bob")]
    assert {place: found.choice for place, found in latest(told).items()} == {
        ("ann", f"r{0:020x}"): "drop",
        ("bob", f"r{0:020x}"): "drop",
    }


def test_answers_are_at_the_url_before_they_are_given(tmp_path: Path) -> None:
    url = f"memory://{uuid.uuid4().hex}"
    attach(tmp_path / "a", url)
    attach(tmp_path / "b", url)
    Journal(tmp_path / "a" / "review").append([answer(1), answer(2)])
    there = remote_of(tmp_path / "b")
    assert there
    there.bring_state()
    assert [found.answer_id for found in Journal(tmp_path / "b" / "review").read()] == ["a1", "a2"]


def test_two_machines_write_beside_each_other(tmp_path: Path) -> None:
    url = f"memory://{uuid.uuid4().hex}"
    one, two = (tmp_path / name for name in ("a", "b"))
    journals = []
    for folder in (one, two):
        attach(folder, url)
        journals.append(Journal(folder / "review"))
    for number in range(6):
        # nobody looks at what the other one writes
        told = answer(number, item=number).model_copy(update={"at": MOMENT + timedelta(seconds=number)})
        assert journals[number % 2].append([told]) == 1
    for folder in (one, two):
        remote = remote_of(folder)
        assert remote
        remote.forget()
        remote.bring_state()
    ids = [[found.answer_id for found in journal.read()] for journal in journals]
    assert ids == [[f"a{number}" for number in range(6)]] * 2
    # a request that was sent to both is written once
    assert journals[0].append([answer(1, item=1), answer(6, item=6)]) == 1
    more, _ = journals[0].read_after({})
    assert len(more) == 7


def test_an_answer_given_while_files_are_brought_is_not_lost(tmp_path: Path) -> None:
    attach(tmp_path, f"memory://{uuid.uuid4().hex}")
    journal, remote = Journal(tmp_path / "review"), remote_of(tmp_path)
    assert remote
    journal.append([answer(1)])
    remote.entries("review")  # as listed before the next answer
    with journal.path.open("rb") as held:
        journal.append([answer(2)])
        remote.bring_state()
        assert os.fstat(held.fileno()).st_ino == journal.path.stat().st_ino
    assert [found.answer_id for found in journal.read()] == ["a1", "a2"]


def test_an_answer_that_the_url_does_not_take_is_not_written(tmp_path: Path) -> None:
    attach(tmp_path, "nosuch://nowhere")
    journal = Journal(tmp_path / "review")
    with pytest.raises(UsageError):
        journal.append([answer(1)])
    assert journal.read() == []
