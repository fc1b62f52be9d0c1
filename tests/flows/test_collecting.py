"""What `store gc` removes, on random small stores: nothing that is needed, everything else, and no harm by a kill."""

import json
import os
import random
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest
from pydantic import BaseModel

from flows.collecting import collect
from flows.inventory import inventory
from flows.reachability import DAY, Limits, Made, kept_mixtures, kept_runs
from shards.errors import StoreError
from shards.files import write_bytes, write_text
from shards.removed import read_removed
from shards.store import Box, Store

NOW = 2_000_000_000.0
INGREDIENTS = {
    "pictures": ("scans",),
    "shards": ("scans", "pictures"),
    "scores": ("shards",),
    "leaks": ("shards", "leakage"),
}


class Index(BaseModel):
    """Of a box in these tests."""

    digest: str


class Whole(NamedTuple):
    """A random store: what each box was made from, and which runs there are, the oldest first."""

    of: dict[str, tuple[str, ...]]
    runs: dict[str, list[str]]
    growing: dict[str, tuple[str, ...]]
    half: list[str]


class Maker:
    """Makes the boxes of a random store."""

    def __init__(self, store: Store, seed: int) -> None:
        self.store, self.rng = store, random.Random(seed)
        self.made = Whole({}, {}, {}, [])
        self._numbers = iter(range(10_000))

    def add(self, kind: str, of: tuple[str, ...], label: str, *, indexed: bool = True) -> str:
        """A box of this kind; its table has a few bytes."""
        box = Box(self.store.root, f"{kind}/{label}/{next(self._numbers):020x}")
        write_bytes(box.path / "table", bytes(self.rng.randrange(1, 50)))
        if indexed:
            box.finish(Index(digest=box.name), of=[Box(self.store.root, name) for name in of])
            self.made.of[box.name] = of
        return box.name

    def of_kind(self, kind: str) -> list[str]:
        return [name for name in self.made.of if name.startswith(f"{kind}/")]

    def steps(self) -> None:
        """A few boxes of each step of the work, each made from random ones of the step before."""
        for label in ("a", "b", "c"):
            for kind, needs in (("scans", ()), ("leakage", ()), *INGREDIENTS.items()):
                for _ in range(self.rng.randrange(1, 4)):
                    self.add(kind, tuple(self.rng.choice(self.of_kind(need)) for need in needs), label)

    def ledgers(self) -> None:
        for _ in range(self.rng.randrange(1, 6)):
            about = self.rng.choice(self.of_kind("shards"))
            ledger = self.add("scores", (), "a", indexed=False)
            write_text(self.store.root / ledger / "about.json", json.dumps({"made_from": [about]}))
            self.made.growing[ledger] = (about,)

    def run(self, place: int) -> None:
        """A mixture, perhaps with a queue, and its run, which is older the smaller `place` is."""
        recipe = self.rng.choice(["r", "r.s", "t"])
        chosen = [name for name in self.made.of if name.split("/")[0] in INGREDIENTS and self.rng.random() < 0.3]
        mixture = self.add("mixtures", tuple(chosen), f"{recipe}.sft")
        document = {"recipe": recipe, "mixture": "sft", "entries": []}
        write_text(self.store.root / mixture / "manifest.json", json.dumps(document))
        if self.rng.random() < 0.7:
            queue = self.add("queues", (mixture,), recipe)
            self.made.growing[queue] = self.made.of.pop(queue)
        run = self.add("runs", (mixture,), recipe)
        self.made.runs.setdefault(recipe, []).append(run)
        _date(self.store, run, NOW - DAY * (100 - place))


def random_store(store: Store, seed: int) -> Whole:
    """Boxes of all kinds; each step of the work takes a random part of what was made before."""
    maker = Maker(store, seed)
    maker.steps()
    maker.ledgers()
    maker.made.half.extend(
        maker.add(maker.rng.choice(["shards", "mixtures", "runs"]), (), "a", indexed=False) for _ in range(3)
    )
    for place in range(maker.rng.randrange(2, 9)):
        maker.run(place)
    for name in (*maker.made.of, *maker.made.growing, *maker.made.half):
        if name not in maker.of_kind("runs"):
            _date(store, name, NOW - DAY * 200)
    return maker.made


def _date(store: Store, name: str, at: float) -> None:
    for path in (store.root / name).iterdir():
        os.utime(path, (at, at))


def expected(made: Whole, keep_last: int | None) -> set[str]:
    """Boxes that must stay, worked out on what was made and not on what lies on disk."""
    roots = {run for runs in made.runs.values() for run in (runs if keep_last is None else runs[-keep_last:])}
    for label in ("a", "b", "c"):
        roots.add(max(name for name in made.of if name.startswith(f"leakage/{label}/")))
    stay = set(roots)
    while more := {of for name in stay for of in made.of[name]} - stay:
        stay |= more
    return stay | {name for name, about in made.growing.items() if set(about) <= stay}


def names(store: Store) -> set[str]:
    return set(inventory(store))


@pytest.mark.parametrize("keep_last", [None, 1, 2])
@pytest.mark.parametrize("seed", range(12))
def test_what_is_needed_stays_and_the_rest_goes(tmp_path: Path, seed: int, keep_last: int | None) -> None:
    store = Store(tmp_path)
    made = random_store(store, seed)
    before, limits = names(store), Limits(keep_last=keep_last)
    planned = collect(store, limits, remove=False, now=NOW)
    assert names(store) == before
    done = collect(store, limits, remove=True, now=NOW)
    stay = expected(made, keep_last)
    assert names(store) == stay
    assert {going.box for going in done.going} == before - stay
    assert planned.going == done.going and planned.bytes == done.bytes
    again = collect(store, limits, remove=True, now=NOW)
    assert again.going == [] and names(store) == stay
    assert sum(kind.count for kind in again.kept.values()) == len(stay)


class _KilledError(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize("seed", range(4))
def test_a_kill_at_any_removal_is_made_good_by_the_next_run(tmp_path: Path, seed: int) -> None:
    limits, number = Limits(keep_last=1), 0
    made = random_store(Store(tmp_path / "whole"), seed)
    while True:
        store = Store(shutil.copytree(tmp_path / "whole", tmp_path / str(number)))
        stay, left = expected(made, 1), number

        def die(box: str, store: Store = store) -> None:
            nonlocal left
            if left == 0:
                # between the index and the other files of the box
                (store.root / box / "index.json").unlink(missing_ok=True)
                raise _KilledError
            left -= 1

        try:
            collect(store, limits, remove=True, tell=die, now=NOW)
        except _KilledError:
            held = inventory(store)
            whole = {name for name, box in held.items() if box.whole}
            assert stay <= held.keys()
            # no complete box lacks what it was made from
            assert all(set(made.of.get(name, ())) <= whole for name in whole)
            collect(store, limits, remove=True, now=NOW)
            assert names(store) == stay
            number += 1
        else:
            break
    assert number > 5


def test_the_work_of_a_run_that_was_cut_short_stays(tmp_path: Path) -> None:
    store = Store(tmp_path)
    made = random_store(store, 1)
    fresh = Box(store.root, "shards/new/" + "f" * 20)
    write_bytes(fresh.path / "samples-00000.arrow", b"half")
    os.utime(fresh.path / "samples-00000.arrow", (NOW, NOW))
    done = collect(store, Limits(), remove=True, now=NOW)
    assert fresh.path.is_dir() and done.spared["shards"].count == 1
    assert names(store) == expected(made, None) | {fresh.name}
    collect(store, Limits(unfinished=True), remove=True, now=NOW)
    assert not fresh.path.exists()


def test_a_mixture_that_no_run_names_stays_until_limits_let_it_go(tmp_path: Path) -> None:
    maker = Maker(Store(tmp_path), 2)
    maker.steps()
    maker.run(0)
    shards = maker.of_kind("shards")[0]
    alone = maker.add("mixtures", (shards,), "r.sft")
    document = {"recipe": next(iter(maker.made.runs)), "mixture": "sft", "entries": []}
    write_text(tmp_path / alone / "manifest.json", json.dumps(document))
    for name in (alone, *maker.made.of):
        if not name.startswith("runs/"):
            _date(maker.store, name, NOW - DAY * 200)
    collect(maker.store, Limits(), remove=True, now=NOW)
    assert {alone, shards} <= names(maker.store)
    collect(maker.store, Limits(keep_last=1), remove=True, now=NOW)
    assert alone not in names(maker.store)


def test_temporary_files_of_the_dead_go_and_are_counted_before(tmp_path: Path) -> None:
    store = Store(tmp_path)
    write_bytes(tmp_path / "shards" / "a" / ".x.00000000-1-1.tmp", b"123")  # of another machine, just written
    write_bytes(tmp_path / "shards" / "a" / ".y.7.tmp", b"12345")
    planned = collect(store, Limits(), remove=False)
    assert (planned.leftovers.count, planned.leftovers.bytes) == (1, 5)
    assert len(list(tmp_path.rglob("*.tmp"))) == 2
    collect(store, Limits(), remove=True)
    assert [path.name for path in tmp_path.rglob("*.tmp")] == [".x.00000000-1-1.tmp"]


def test_parts_beside_the_table_that_was_made_of_them_go(tmp_path: Path) -> None:
    maker = Maker(Store(tmp_path), 2)
    maker.steps()
    maker.run(0)
    collect(maker.store, Limits(), remove=True)
    kept = next(name for name in sorted(names(maker.store)) if name.startswith("scores/"))
    write_bytes(tmp_path / kept / "part-00000.parquet", b"12345")
    planned = collect(maker.store, Limits(), remove=False)
    assert (planned.leftovers.count, planned.leftovers.bytes) == (1, 5)
    whole = names(maker.store)
    collect(maker.store, Limits(), remove=True)
    assert names(maker.store) == whole
    assert not list(tmp_path.rglob("part-*"))


def test_what_people_gave_is_never_touched(tmp_path: Path) -> None:
    store = Store(tmp_path)
    random_store(store, 3)
    given = ("review/answers.jsonl", "imported/a/x.parquet", "sources.lock", "mirrors/m.json", "takedown/1.jsonl")
    for name in given:
        write_text(tmp_path / name, "{}" if name == "sources.lock" else "")
    collect(store, Limits(keep_last=1, unfinished=True), remove=True, now=NOW)
    assert all((tmp_path / name).is_file() for name in given)


def test_raw_files_of_old_commits_go(tmp_path: Path) -> None:
    store = Store(tmp_path)
    random_store(store, 3)
    old, locked, used = "a" * 40, "b" * 40, "c" * 40
    for commit in (old, locked, used):
        write_bytes(tmp_path / "raw" / "owner--name" / commit / "rows.jsonl", b"12")
        os.utime(tmp_path / "raw" / "owner--name" / commit / "rows.jsonl", (NOW - DAY * 200,) * 2)
    write_text(tmp_path / "sources.lock", json.dumps({"owner/name": {"main": locked}}))
    mixture = next(
        path for path in (tmp_path / "mixtures").glob("*/*/manifest.json") if path.with_name("index.json").is_file()
    )
    entries = [{"source": "a", "shards": "0" * 20, "revision": used}]
    write_text(mixture, json.dumps({"recipe": "r", "mixture": "sft", "entries": entries}))
    done = collect(store, Limits(), remove=True, now=NOW)
    assert done.kinds["raw"].count == 1 and done.kinds["raw"].bytes == 2
    assert {path.name for path in (tmp_path / "raw" / "owner--name").iterdir()} == {locked, used}


def test_removed_mixtures_are_written_down(tmp_path: Path) -> None:
    store = Store(tmp_path)
    random_store(store, 5)
    before = {name for name, held in inventory(store).items() if held.whole and held.kind == "mixtures"}
    collect(store, Limits(keep_last=1), remove=True, now=NOW)
    gone = {
        name: each for name, each in read_removed(store.root).items() if name.startswith("mixtures/") and each.digest
    }
    assert gone.keys() == before - names(store)
    assert all(each.mixture == "sft" for each in gone.values())


def test_a_mixture_that_is_not_understood_stops_everything(tmp_path: Path) -> None:
    store = Store(tmp_path)
    random_store(store, 5)
    before = names(store)
    for path in (tmp_path / "mixtures").glob("*/*/manifest.json"):
        path.write_text("{")
    with pytest.raises(StoreError, match="nothing was removed"):
        collect(store, Limits(keep_last=1), remove=True, now=NOW)
    assert names(store) == before


def test_a_store_in_use_is_left_alone(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.lock(), pytest.raises(StoreError, match="in use"):
        collect(store, Limits(), remove=True)


RUNS = [Made(f"runs/r/{place}", "r", NOW - place * DAY) for place in range(5)]


@pytest.mark.parametrize(
    ("limits", "kept"),
    [
        (Limits(), 5),
        (Limits(keep_last=2), 2),
        (Limits(keep_last=0), 1),
        (Limits(days=2.5), 3),
        (Limits(days=0), 1),
        (Limits(keep_last=1, days=2.5), 3),
        (Limits(keep_last=4, days=2.5), 4),
    ],
)
def test_limits_keep_the_last_runs(limits: Limits, kept: int) -> None:
    others = [Made("runs/s/0", "s", 0.0)]
    assert kept_runs([*others, *RUNS], limits, NOW) == {run.box for run in RUNS[:kept]} | {"runs/s/0"}


def test_a_mixture_without_a_run_stays_while_it_may_be_of_one_cut_short() -> None:
    mixtures = [
        Made("old", "r", NOW - 9 * DAY),
        Made("new", "r", NOW + 1),
        Made("other", "q", 0.0),
        Made("named", "r", 0),
    ]
    named = {RUNS[0].box: ["named"]}
    assert kept_mixtures(mixtures, RUNS, named, Limits()) == {"old", "new", "other"}
    assert kept_mixtures(mixtures, RUNS, named, Limits(keep_last=1)) == {"new", "other"}
