"""Disks that are full or read-only, at every step: one message, nothing broken, and the next run ends well."""

import os
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import pytest
from commands import Vlmix
from tmpfs import Disk, mounted

from benchmarks.kill import write_recipe
from flows.executor import LocalRunner
from flows.exporting import export_all
from flows.mixes import find
from flows.run import checked, run_with
from review.answer import Answer, Journal
from shards.errors import StoreError
from shards.store import Store

pytestmark = pytest.mark.integration

SIZE: Final = 8 << 20
PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
KINDS: Final = ("scans", "shards", "scores", "likeness", "mixtures")
"""What a run tells of itself beside these says how long it took."""


class Quiet(NamedTuple):
    """A recipe, and a store where it was built on a disk with room."""

    recipe: Path
    store: Path
    digest: str


def build(recipe: Path | str, store: Path) -> str:
    """Build in this process; the digest of the run."""
    place = Store(store)
    return run_with(checked(str(recipe), place), place, LocalRunner(None), None, lambda *_: None).summary.digest


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Quiet:
    folder = tmp_path_factory.mktemp("quiet")
    recipe = write_recipe(folder / "raw", 200)
    # JSON is YAML; samples with the same picture are one, so that pictures are compared
    recipe.write_text(recipe.read_text().replace('"level": "pair"', '"level": "picture"'))
    return Quiet(recipe, folder / "store", build(recipe, folder / "store"))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with mounted(tmp_path / "disk", SIZE) as found:
        yield found


def files(store: Path) -> dict[str, bytes]:
    """Every file of boxes, with its bytes."""
    paths = [path for kind in KINDS for path in (store / kind).rglob("*") if path.is_file()]
    return {path.relative_to(store).as_posix(): path.read_bytes() for path in paths}


MESSAGE: Final = (
    r"cannot write `(.*)`: No space left on device; free space \([\d,]+ bytes are left.*\) "
    "or choose another store with --store; what is finished is kept"
)


class Case(NamedTuple):
    """What an earlier run has left of a store: all but these patterns. Bytes that are free, and what does not fit.

    Beside them there is room for the files `fits`.
    """

    gone: tuple[str, ...]
    room: int
    file: str
    fits: str = "none"


CASES: Final = {
    "scan": Case(("scans", "shards", "scores", "likeness", "mixtures", "runs"), 0, "scans/chat/*/refs.parquet"),
    "convert": Case(("shards", "scores", "likeness", "mixtures", "runs"), 0, "shards/chat/*/samples-*"),
    "pictures": Case(("shards/shown", "scores/shown", "likeness", "mixtures", "runs"), 8_192, "shards/shown/*/pict*"),
    "score": Case(("scores", "likeness", "mixtures", "runs"), 40_000, "scores/chat/*/part-*"),
    "judge": Case(("scores/*/*/asked-*", "likeness", "mixtures", "runs"), 0, "scores/chat/*/asked-*"),
    "compare": Case(("likeness", "mixtures", "runs"), 0, "likeness/pictures/*/*", "mixtures/*/*/scores.parquet"),
    "mix": Case(("mixtures", "runs"), 20_000, "mixtures/killed.sft/*/scores.parquet"),
    "report": Case(("runs",), 20_000, "runs/killed/*/*"),
}


def store_at(folder: Path, quiet: Quiet, gone: tuple[str, ...]) -> Path:
    """The store of a run that was stopped early."""
    shutil.copytree(quiet.store, folder / "store")
    for pattern in gone:
        for path in (folder / "store").glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return folder / "store"


def pages(size: int) -> int:
    """Bytes that a file of a size takes of the disk."""
    return -(-size // PAGE_BYTES) * PAGE_BYTES


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_disk_that_is_full_at_a_step(quiet: Quiet, disk: Disk, case: Case) -> None:
    store = store_at(disk.folder, quiet, case.gone)
    disk.fill(but=case.room + sum(pages(path.stat().st_size) for path in quiet.store.glob(case.fits)))
    with pytest.raises(StoreError) as caught:
        build(quiet.recipe, store)
    said = re.fullmatch(
        "cannot write `(.*)`: No space left on device; (.*); what is finished is kept", str(caught.value)
    )
    assert said, caught.value
    assert Path(said[1]).relative_to(store).match(case.file)
    assert re.fullmatch(r"free space \(\S+ bytes are left.*\) or choose another store with --store", said[2])
    expected = files(quiet.store)
    assert {name: data for name, data in files(store).items() if "/part-" not in name}.items() <= expected.items()
    assert not list(store.rglob("*.tmp"))
    disk.make_room()
    assert build(quiet.recipe, store) == quiet.digest
    assert files(store) == expected


@pytest.mark.parametrize("room", [0, 20_000, 60_000])
def test_an_export_to_a_full_disk(quiet: Quiet, disk: Disk, room: int) -> None:
    mixes, out = find(Store(quiet.store), "killed"), disk.folder / "out"
    disk.fill(but=room)
    with pytest.raises(StoreError, match=r"cannot write .*No space left on device; .*free space"):
        export_all(mixes, to="llava-next", out=out)
    disk.make_room()
    export_all(mixes, to="llava-next", out=out)
    export_all(mixes, to="llava-next", out=disk.folder / "again")
    assert contents(out) == contents(disk.folder / "again")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


ANSWER: Final = Answer(
    answer_id="1",
    item="r" + "0" * 20,
    entry="mine",
    key="mine/1",
    seen="0" * 20,
    choice="keep",
    reviewer="ann",
    at=datetime(2026, 1, 1, tzinfo=UTC),
    via="page",
)


def test_an_answer_that_does_not_fit(disk: Disk) -> None:
    """Answers are longer than what is left of the last page of the file; those before stay whole."""
    answers = Journal(disk.folder / "store")
    said = [ANSWER.model_copy(update={"answer_id": f"{number:032x}", "note": "n" * 1500}) for number in range(9)]
    answers.append(said[:1])
    before = answers.path.read_bytes()
    disk.fill()
    with pytest.raises(
        StoreError, match="No space left on device; free space; the answer is not written, give it again"
    ):
        answers.append(said[1:])
    assert answers.path.read_bytes() == before
    disk.make_room()
    assert answers.append(said) == len(said) - 1
    assert Journal(disk.folder / "store").read() == said


def test_demo_publishers_on_a_full_disk(disk: Disk) -> None:
    with pytest.raises(StoreError, match=r"cannot write `.*/demo/publishers`: No space left on device; free space"):
        build("demo", disk.folder / "store")
    assert not list((disk.folder / "store").rglob("*.partial"))


@pytest.mark.parametrize("command", [("run", "build-sft-mix", "--recipe"), ("export", "killed", "--out")])
def test_a_disk_that_is_read_only(quiet: Quiet, disk: Disk, vlmix: Vlmix, command: tuple[str, ...]) -> None:
    """Said at the start, in one line."""
    store = store_at(disk.folder, quiet, ("mixtures", "runs")) if command[0] == "run" else quiet.store
    last = quiet.recipe if command[0] == "run" else disk.folder / "out"
    options = () if command[0] == "run" else ("--to", "llava-next")
    disk.allow("ro")
    done = vlmix(*command, last, *options, "--store", store)
    assert done.code == 1
    assert done.err.count("\n") == 1, done.err
    assert "Read-only file system" in done.err
    assert "executed" not in done.out


@pytest.mark.parametrize("kind", ["mixtures", "scores/shown", "review"])
def test_a_part_of_the_store_that_is_read_only(quiet: Quiet, tmp_path: Path, kind: str) -> None:
    """Said before any step, not after hours when that part is written."""
    store = store_at(tmp_path, quiet, ("mixtures", "runs"))
    (store / kind).mkdir(parents=True, exist_ok=True)
    shutil.rmtree(store / kind)
    with mounted(store / kind, SIZE) as disk:
        disk.allow("ro")
        with pytest.raises(StoreError, match=f"`{kind}` cannot be written; let it be written, or choose another"):
            build(quiet.recipe, store)
