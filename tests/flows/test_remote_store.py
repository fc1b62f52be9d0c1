"""Stores at s3://, on a real server of that protocol: same bytes, good and bad days, a run that is killed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from commands import ROOT, Vlmix, environment
from mixture_store import write_rows
from s3_server import S3, running

from shards.columns import PARTS

pytestmark = [pytest.mark.integration, pytest.mark.long]


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe of one local file with a judge, rules, pictures and dedup."""
    folder = tmp_path_factory.mktemp("recipe")
    write_rows(folder)
    columns = {"user": ["q"], "assistant": ["a"], "images": ["i"]}
    source = {"layout": "table", "files": "*.jsonl", "root": ".", "columns": columns}
    rules = [
        {"name": "short", "when": "answer_chars < 40", "then": "drop"},
        {"name": "poor", "when": "quality < 3", "then": "review"},
    ]
    entries = [{"id": "mine", "source": source, "domain": "chat", "repeat": 1.5}]
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump({"name": "small", "rules": {"list": rules}, "entries": entries}))
    return path


@pytest.fixture(scope="module")
def local(recipe: Path, vlmix: Vlmix, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the build says with a store in a folder."""
    done = vlmix("run", "build-sft-mix", "--recipe", recipe, "--store", tmp_path_factory.mktemp("local"), "--json")
    assert done.code == 0, done.err
    return done.document


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    with running(tmp_path_factory.mktemp("s3") / "port") as server:
        yield server


@pytest.fixture(scope="module")
def built(recipe: Path, s3: S3, vlmix: Vlmix, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the build says with store `built` at a URL."""
    build = ("run", "build-sft-mix", "--recipe", recipe, "--store", s3.store("built"), "--json")
    done = vlmix(*build, env=s3.environment(tmp_path_factory.mktemp("built")))
    assert done.code == 0, done.err
    return done.document


def test_same_digest_and_nothing_to_do_elsewhere(
    recipe: Path, local: dict[str, Any], built: dict[str, Any], s3: S3, vlmix: Vlmix, tmp_path: Path
) -> None:
    assert built["digest"] == local["digest"]
    build = ("run", "build-sft-mix", "--recipe", recipe, "--store", s3.store("built"), "--json")
    second = vlmix(*build, env=s3.environment(tmp_path / "two"))
    assert second.code == 0, second.err
    assert second.document["digest"] == local["digest"]
    assert second.document["steps"]["executed"] == 0
    exported = vlmix(
        *("export", "small", "--store", s3.store("built"), "--to", "llava-next", "--out", tmp_path / "out", "--json"),
        env=s3.environment(tmp_path / "three"),
    )
    assert exported.code == 0, exported.err
    written = sum(1 for path in (tmp_path / "out").rglob("*") if path.suffix == ".png")
    assert written > 0


@pytest.mark.parametrize(("writing", "reading"), [("slow_down", "internal"), ("cut", "cut")])
def test_bad_days_change_nothing(
    recipe: Path, local: dict[str, Any], s3: S3, vlmix: Vlmix, tmp_path: Path, writing: str, reading: str
) -> None:
    """Each fifth request fails while one machine makes everything, and while another brings it."""
    build = ("run", "build-sft-mix", "--recipe", recipe, "--store", s3.store(f"bad-{writing}"), "--json")
    with s3.failing(writing, 5):
        done = vlmix(*build, env=s3.environment(tmp_path / "cache"))
    assert done.code == 0, done.err
    assert done.document["digest"] == local["digest"]
    with s3.failing(reading, 5):
        again = vlmix(*build, env=s3.environment(tmp_path / "other"))
    assert again.code == 0, again.err
    assert again.document["steps"]["executed"] == 0


@pytest.mark.parametrize(
    "words",
    [
        ("decide", "RECIPE", "--set", "rules.short.when=answer_chars < 45"),
        ("explain", "mine/train/3"),
        ("filters", "show", "answer_chars", "--mix", "small"),
        ("verify", "small", "--no-raw"),
    ],
    ids=lambda words: words[0],
)
def test_commands_that_read_columns_say_what_they_say_of_a_folder(
    recipe: Path, local: dict[str, Any], built: dict[str, Any], s3: S3, vlmix: Vlmix, tmp_path: Path, words: tuple[str]
) -> None:
    """Here every table is large enough for its columns to be read by range."""
    command = [str(recipe) if word == "RECIPE" else word for word in words]
    whole = vlmix(*command, "--store", Path(local["mix"]).parents[2], "--json")
    assert whole.code == 0, whole.err
    columns = "import runpy, shards.columns as c; c.WHOLE_BYTES, c.WHOLE_SHARE, c._TAIL, c._GAP = 0, 1, 512, 0"
    run = f"{columns}; runpy.run_module('flows.cli', run_name='__main__')"
    by_columns = subprocess.run(
        [sys.executable, "-c", run, *command, "--store", s3.store("built"), "--json"],
        cwd=ROOT,
        env=environment(s3.environment(tmp_path)),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert json.loads(by_columns.stdout) == whole.document
    read = {path.name for path in tmp_path.rglob("mixtures/**/*scores.parquet*")}
    assert read == ({"scores.parquet"} if words[0] == "verify" else {f".scores.parquet{end}" for end in PARTS})


def test_files_that_cannot_be_read(recipe: Path, built: dict[str, Any], s3: S3, vlmix: Vlmix, tmp_path: Path) -> None:
    with s3.failing("internal", 1, "get"):
        done = vlmix(
            *("run", "build-sft-mix", "--recipe", recipe, "--store", s3.store("built")),
            env={**s3.environment(tmp_path), "AWS_MAX_ATTEMPTS": "1"},
        )
    assert done.code == 1
    assert is_one_message(done.err, "cannot read store `s3://mixes/built`")


@pytest.mark.parametrize(("of", "said"), [("list", "list"), ("put", "write"), ("delete", "remove")])
def test_requests_of_a_kind_that_fail_each_time(
    recipe: Path, local: dict[str, Any], s3: S3, vlmix: Vlmix, tmp_path: Path, of: str, said: str
) -> None:
    """One message from wherever it happens; what was finished is there, and the next run, elsewhere, ends well."""
    build = ("run", "build-sft-mix", "--recipe", str(recipe), "--store", s3.store(f"no-{of}"), "--workers", "1")
    cache = tmp_path / "cache"
    run = subprocess.Popen(
        [sys.executable, "-m", "flows.cli", *build],
        cwd=ROOT,
        env=environment({**s3.environment(cache), "AWS_MAX_ATTEMPTS": "1"}),
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    until(run, lambda: any(cache.rglob("scans/*/*/index.json")))
    with s3.failing("internal", 1, of):
        _, err = run.communicate(timeout=600)
    assert run.returncode == 1
    assert is_one_message(err, f"cannot {said} store `s3://mixes/no-{of}`")
    done = vlmix(*build, "--json", env=s3.environment(tmp_path / "elsewhere"))
    assert done.code == 0, done.err
    assert done.document["digest"] == local["digest"]


def is_one_message(err: str, begin: str) -> bool:
    """Whether a command said one line, which begins so and says that it is worth trying again."""
    end = "; what is finished is kept; run again when the store answers\n"
    return err.count("\n") == 1 and err.startswith(f"vlmix: {begin}: ") and err.endswith(end)


def test_a_server_that_is_gone_gets_one_message_and_the_next_run_ends_well(
    recipe: Path, local: dict[str, Any], vlmix: Vlmix, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    command = [sys.executable, "-m", "flows.cli", "run", "build-sft-mix"]
    with running(tmp_path / "port") as server:
        run = subprocess.Popen(
            [*command, "--recipe", str(recipe), "--store", server.store("gone")],
            cwd=ROOT,
            env=environment(server.environment(cache)),
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        until(run, lambda: any(cache.rglob("shards/*/*/index.json")))
        server.process.kill()
        _, said = run.communicate(timeout=600)
    assert run.returncode == 1
    assert said.count("\n") == 1, said
    assert "run again when the store answers" in said
    assert "s3://mixes/gone" in said
    with running(tmp_path / "port2") as server:
        done = vlmix(
            *("run", "build-sft-mix", "--recipe", recipe, "--store", server.store("gone"), "--json"),
            env=server.environment(tmp_path / "fresh"),
        )
        assert done.code == 0, done.err
        assert done.document["digest"] == local["digest"]


def test_a_killed_run_is_taken_up_on_another_machine(
    recipe: Path, local: dict[str, Any], s3: S3, vlmix: Vlmix, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    command = [sys.executable, "-m", "flows.cli", "run", "build-sft-mix", "--recipe", str(recipe)]
    run = subprocess.Popen(
        [*command, "--store", s3.store("killed")],
        cwd=ROOT,
        env=environment(s3.environment(cache)),
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    until(run, lambda: len(list(cache.rglob("scores/*/*/index.json"))) >= 2)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    done = vlmix(
        *("run", "build-sft-mix", "--recipe", recipe, "--store", s3.store("killed"), "--json"),
        env=s3.environment(tmp_path / "elsewhere"),
    )
    assert done.code == 0, done.err
    assert done.document["digest"] == local["digest"]
    assert done.document["steps"]["cached"] >= 2


@pytest.mark.parametrize(
    ("store", "taken_away", "said"),
    [
        ("s3://nowhere/mixes", (), "make the bucket, or name another with --store"),
        ("s3://mixes/x", ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "give credentials"),
    ],
)
def test_what_a_user_must_do(
    recipe: Path, s3: S3, vlmix: Vlmix, tmp_path: Path, store: str, taken_away: tuple[str, ...], said: str
) -> None:
    variables = {name: value for name, value in s3.environment(tmp_path).items() if name not in taken_away}
    done = vlmix("run", "build-sft-mix", "--recipe", recipe, "--store", store, env={**variables, "HOME": str(tmp_path)})
    assert done.code == 1
    assert said in done.err
    assert done.err.count("\n") == 1, done.err


def test_who_asks_must_be_known_and_allowed(recipe: Path, vlmix: Vlmix, tmp_path: Path) -> None:
    """A server that asks for names: strangers, somebody who may nothing, one who may read, one who may all."""
    build = ("run", "build-sft-mix", "--recipe", recipe, "--workers", "1", "--store")
    with running(tmp_path / "port", strangers=6) as server:  # the bucket, two people and what one of them may do
        nobody, reader = server.person("nobody"), server.person("reader", ["s3:Get*", "s3:List*"])
        for number, (keys, said) in enumerate(
            [
                ({"AWS_ACCESS_KEY_ID": "stranger"}, "give credentials where the client looks for them"),
                (nobody, "ask for the right to list, read and write below this prefix"),
                (reader, "ask for the right to list, read and write below this prefix"),
            ]
        ):
            environment = {**server.environment(tmp_path / str(number)), **keys}
            done = vlmix(*build, server.store("x"), env=environment)
            assert done.code == 1
            assert said in done.err
            assert done.err.count("\n") == 1, done.err


def until(run: subprocess.Popen[Any], happened: Any) -> None:
    while not happened():
        assert run.poll() is None, "the run ended before"
        time.sleep(0.02)
