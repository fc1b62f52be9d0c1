"""Every export is read back by the package that it is for, in an environment of its own; see README.md."""

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from commands import ROOT, SHARED, DemoBuild, Vlmix, environment

from flows.exporting import ExportReport
from flows.mixes import Mix, find
from interop.environments import BASE, ENVIRONMENTS, CannotMakeError, make, packages, python
from interop.reading import Row, row
from manifests.exports.mds_file import write_mds
from shards.sample import ShardsIndex, read_samples, sample_path
from shards.store import Store

pytestmark = [pytest.mark.integration, pytest.mark.long]

HERE = Path(__file__).parent
REAL = SHARED / "data" / "real"

READERS = [
    ("webdataset", "webdataset"),
    ("hf", "datasets"),
    ("hf", "trl"),
    ("mds", "mosaicml-streaming"),
    ("instellavl-online", "mosaicml-streaming"),
    ("energon", "megatron-energon"),
    ("llamafactory", "llamafactory"),
]
"""Format, and the folder of the package that reads it."""

IN_PLACE = {"webdataset", "mds"}
"""Formats that leave every `<image>` where it is; the others put those of one group at the front."""


@dataclass(frozen=True)
class Mixture:
    """A finished mixture and what its rows must read like."""

    store: Path
    name: str

    def mix(self) -> Mix:
        (mix,) = find(Store(self.store), self.name).values()
        return mix


@pytest.fixture(scope="module", params=["demo", "real"])
def mixture(request: pytest.FixtureRequest, vlmix: Vlmix, tmp_path_factory: pytest.TempPathFactory) -> Mixture:
    if request.param == "demo":
        demo: DemoBuild = request.getfixturevalue("demo")
        return Mixture(demo.store, "demo.sft")
    if not REAL.is_dir():
        pytest.skip(f"NO REAL ROWS: {REAL} is not there, exports of the real-data mixture are not read back")
    folder = tmp_path_factory.mktemp("interop")
    recipe = folder / "real.yaml"
    recipe.write_text((ROOT / "tests/flows/real_data.yaml").read_text().replace("SHARED", str(REAL)))
    done = vlmix("run", "build-sft-mix", "--recipe", recipe, "--store", folder / "store", "--json")
    assert done.code == 0, done.err
    return Mixture(folder / "store", "real")


@cache
def interpreter(name: str) -> Path:
    """Of the environment that reads; ours where the package is among the development dependencies."""
    if name not in ENVIRONMENTS:
        return Path(sys.executable)
    try:
        make(name)
    except CannotMakeError as error:
        pytest.skip(f"NOT READ BACK: the environment `{name}` cannot be made on this machine: {error}")
    return python(name)


def run(name: str, script: str, *arguments: str | Path) -> str:
    command = [str(interpreter(name)), "-W", "ignore", str(HERE / name / script), *map(str, arguments)]
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}
    variables = environment({"PYTHONPATH": str(HERE.parent), **offline})
    done = subprocess.run(command, capture_output=True, text=True, env=variables, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def rows_of(mix: Mix) -> Iterator[tuple[Row, int, bool]]:
    """Rows as they are stored, how often they are emitted, and whether they are running text."""
    for report in mix.manifest.entries:
        times = dict(mix.ids_of(report.id).select("key", "times").iter_rows())
        shards = mix.shards(report.source)
        for number in range(len(shards.index(ShardsIndex).shards)):
            frame = read_samples(sample_path(shards.path, number), ["key", "messages", "images"])
            for key, messages, images in frame.iter_rows():
                if key in times:
                    found = row(report.id, key, [as_read(message["text"]) for message in messages], [])
                    found["pictures"] = [image["sha256"] for image in images]
                    yield found, times[key], messages[0]["role"] == "document"


def as_read(stored: str) -> str:
    broken = re.sub(r"<\\(image|video)>", r"< \1>", stored)
    return re.sub(r"<\\(\\+)(image|video)>", r"<\1\2>", broken)


def comparable(found: Row, *, in_place: bool, keyed: bool) -> str:
    apart = in_place or len(set(found["places"])) > 1
    kept = {"places": found["places"] if apart else [], "key": found["key"] if keyed else None}
    return json.dumps(found | kept, sort_keys=True)


@pytest.mark.parametrize(("to", "reader"), READERS)
def test_the_package_gives_every_row_as_often_as_planned(
    mixture: Mixture, to: str, reader: str, vlmix: Vlmix, tmp_path: Path
) -> None:
    interpreter(reader)
    out = tmp_path / "export"
    variables = {"PYTHONPATH": f"{packages(reader)}:{packages(BASE)}"} if to == "energon" else {}
    done = vlmix("export", mixture.name, "--to", to, "--out", out, "--store", mixture.store, "--json", env=variables)
    (report,) = [ExportReport.model_validate(one) for one in done.document["exports"]]
    assert done.code == (1 if report.not_representable else 0), done.err

    lines = run(reader, "read.py", out, tmp_path / "cache").splitlines()
    found = [json.loads(line) for line in lines if line.startswith("{")]
    keyed = found[0]["key"] is not None
    shape = {"in_place": to in IN_PLACE, "keyed": keyed}
    read = Counter(comparable(one, **shape) for one in found)

    expected: Counter[str] = Counter()
    documents: Counter[str] = Counter()
    for one, times, document in rows_of(mixture.mix()):
        expected[comparable(one, **shape)] += times
        documents[one["entry"]] += times * document
    assert read - expected == Counter()
    written = Counter({entry.entry: entry.written for entry in report.entries})
    assert Counter(one["entry"] for one in found) == +(written - documents if reader == "trl" else written)


def test_an_energon_export_without_the_package_is_finished_by_its_script(
    demo: DemoBuild, vlmix: Vlmix, tmp_path: Path
) -> None:
    bin_folder = interpreter("megatron-energon").parent
    out = tmp_path / "export"
    done = vlmix(
        "export", "demo.warm-up", "--to", "energon", "--out", out, "--store", demo.store, "--skip-unrepresentable"
    )
    assert done.code == 0, done.err
    assert "prepare.sh" in done.err and "megatron-energon" in done.err
    path = f"{bin_folder}:/usr/bin:/bin"
    prepared = subprocess.run(
        ["sh", out / "prepare.sh"], capture_output=True, text=True, env={"PATH": path}, check=False
    )
    assert prepared.returncode == 0, prepared.stderr
    assert (
        run("megatron-energon", "read.py", out).count('"entry"')
        == json.loads((out / "export.json").read_text())["written"]
    )


def test_shards_have_the_bytes_of_the_package_s_own_writer(tmp_path: Path) -> None:
    samples = [(bytes([number]) * number * 7, f"t\u00e9xt {number}".encode()) for number in range(40)]
    assert write_mds(tmp_path / "ours", {"data": "bytes", "said": "str"}, samples, 2000) == len(samples)
    run("mosaicml-streaming", "rewrite.py", tmp_path / "ours", tmp_path / "theirs", "2000")
    ours = {path.name: path.read_bytes() for path in (tmp_path / "ours").iterdir()}
    assert len(ours) > 3
    assert ours == {path.name: path.read_bytes() for path in (tmp_path / "theirs").iterdir()}


def test_torch_gives_every_row_once_for_any_number_of_ranks_and_workers(demo: DemoBuild) -> None:
    (mix,) = find(Store(demo.store), "demo.sft").values()
    interpreter("torch")
    # ours is not installed there: it is seen with its dependencies, torch comes from the environment
    path = f"{ROOT}:{packages_of_ours()}"
    script = HERE / "torch" / "read.py"
    command = [str(python("torch")), "-W", "ignore", str(script), str(demo.store), mix.box.name]
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment({"PYTHONPATH": path}), check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr[-4000:]
    seen = json.loads(done.stdout)
    planned = {f"{entry}:{key}": times for entry, key, times in mix.ids.select("entry", "key", "times").iter_rows()}
    assert seen["counts"] == planned
    assert seen["same_order"] == [True] * 5
    assert seen["resumed"] == {f"{world}x{workers}": True for world in (1, 2, 4) for workers in (0, 2)}
    assert seen["stateful"] == {"0": True, "2": True}
    assert seen["other_epoch_differs"]
    total = sum(planned.values())
    assert total % 5
    assert sum(seen["keep"]) == total
    assert seen["drop"] == [total // 5] * 5
    assert seen["repeat"] == [total // 5 + 1] * 5
    assert {part["type"] for message in seen["sample"]["messages"] for part in message["content"]} <= {"text", "image"}


def packages_of_ours() -> str:
    return next(path for path in sys.path if path.endswith("site-packages"))
