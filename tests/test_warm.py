"""A command that is a copy of a process with all imports says and does what one started afresh does."""

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import ROOT, Vlmix, environment
from warm import Warm

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    "arguments",
    [
        ("filters", "list", "--json"),
        ("plan", "nothing-like-it"),
        ("explain",),
        ("sources", "list", "--status", "unresolved", "--json"),
        ("report", "nothing", "--store", "no-such-store"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_copy_says_what_a_fresh_start_says(arguments: tuple[str, ...], vlmix: Vlmix, started_afresh: Vlmix) -> None:
    assert vlmix(*arguments) == started_afresh(*arguments)


def test_a_copy_has_its_own_folder_and_variables(vlmix: Vlmix, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"q": "Why?", "a": "Because."}\n')
    source = "{layout: table, files: rows.jsonl, columns: {user: [q], assistant: [a]}}"
    (tmp_path / "here.yaml").write_text(f"name: here\njudge: 'off'\nentries: [{{id: a, source: {source}}}]\n")
    run = ("run", "build-sft-mix", "--recipe", "here.yaml", "--json")
    done = vlmix(*run, cwd=tmp_path, env={"VLMIX_STORE": "elsewhere"})
    assert done.code == 0, done.err
    assert list((tmp_path / "elsewhere" / "runs" / "here").iterdir())
    again = vlmix(*run, cwd=tmp_path)
    assert again.code == 0 and again.document["digest"] == done.document["digest"]
    assert list((tmp_path / ".vlmix" / "runs" / "here").iterdir())


def test_a_signal_is_told_and_copies_run_at_once(warmed: Callable[[], Warm], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "executor.yaml")
    codes: list[int] = []

    def wait() -> None:
        # its settings come from a pipe that nobody writes to, so this one waits until it is killed
        arguments = ["run", "build-sft-mix", "--executor", "executor.yaml", "--store", "store"]
        given = {"cwd": tmp_path, "env": environment(), "out": tmp_path / "out", "err": tmp_path / "err"}
        codes.append(warmed().run(arguments, **given))

    thread = threading.Thread(target=wait)
    given = {"cwd": ROOT, "env": environment(), "out": tmp_path / "said", "err": tmp_path / "other"}
    assert warmed().run(["plan", "nothing-like-it"], **given) == 2
    thread.start()
    while not (waiting := [int(found.name) for found in Path("/proc").glob("[0-9]*") if _reads(found, tmp_path)]):
        assert thread.is_alive(), (tmp_path / "err").read_text()
    assert warmed().run(["plan", "nothing-like-it"], **given) == 2
    assert thread.is_alive()
    os.kill(max(waiting), signal.SIGKILL)
    thread.join()
    assert codes == [-signal.SIGKILL]


def _reads(process: Path, folder: Path) -> bool:
    """Whether a process stands in this folder."""
    try:
        return (process / "cwd").readlink() == folder
    except OSError:
        return False
