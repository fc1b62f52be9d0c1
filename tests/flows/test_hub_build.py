"""A catalogue source from a hub on this machine to a finished mixture, through the real command line."""

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from commands import Vlmix
from hub_server import HubServer, serve
from PIL import Image

pytestmark = pytest.mark.integration

REPO = "lmms-lab/LLaVA-OneVision-Data"
CONFIG = "iconqa(cauldron,llava_format)"
SOURCE = "llava_onevision.iconqa"

TURN = pa.struct([("from", pa.string()), ("value", pa.string())])
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        ("conversations", pa.list_(TURN)),
        ("data_source", pa.string()),
    ]
)


def picture(number: int) -> bytes:
    buffer = io.BytesIO()
    Image.linear_gradient("L").rotate(number * 11).resize((90 + number, 80)).save(buffer, "PNG")
    return buffer.getvalue()


def write(path: Path, rows: int) -> None:
    made = [
        {
            "id": str(number),
            "image": {"bytes": picture(number), "path": None},
            "conversations": [
                {"from": "human", "value": f"<image>\nHow bright is picture {number}?"},
                {"from": "gpt", "value": f"It turns from dark to bright at {number * 11} degrees."},
            ],
            "data_source": CONFIG,
        }
        for number in range(rows)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(made, SCHEMA), path)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "hub.yaml"
    path.write_text(f"name: hub\nentries:\n  - {{id: icons, source: {SOURCE}, domain: chart}}\n")
    return path


def environment(server: HubServer) -> dict[str, str]:
    return {"HF_ENDPOINT": server.url, "HF_TOKEN": "hf_secret"}


def test_from_the_hub_to_a_mixture_and_again_without_the_hub(vlmix: Vlmix, recipe: Path, tmp_path: Path) -> None:
    root, store = tmp_path / "hub", tmp_path / "store"
    write(root / REPO / CONFIG / "train-00000-of-00001.parquet", rows=7)
    (root / REPO / "other").mkdir()
    (root / REPO / "other" / "train-00000-of-00001.parquet").write_bytes(b"never asked for")
    run = ("run", "build-sft-mix", "--recipe", recipe, "--store", store, "--json")
    with serve(root) as server:
        first = vlmix(*run, env=environment(server))
        assert first.code == 0, first.err
        assert first.document["totals"]["emitted"] == 7
        assert not server.bodies("other/train-00000-of-00001.parquet")
    again = vlmix(*run, env={"HF_ENDPOINT": "http://127.0.0.1:9"})
    assert again.code == 0, again.err
    assert again.document["digest"] == first.document["digest"] and again.document["steps"]["executed"] == 0
    written = b"".join(path.read_bytes() for path in store.rglob("*") if path.is_file())
    assert b"hf_secret" not in written


def test_a_branch_that_moved_is_used_only_when_asked_for(vlmix: Vlmix, recipe: Path, tmp_path: Path) -> None:
    root, store = tmp_path / "hub", tmp_path / "store"
    name = f"{CONFIG}/train-00000-of-00001.parquet"
    write(root / REPO / name, rows=3)
    run = ("run", "build-sft-mix", "--recipe", recipe, "--store", store, "--json")
    with serve(root) as server:
        env = environment(server)
        assert vlmix(*run, env=env).document["totals"]["read"] == 3
        write(tmp_path / "newer.parquet", rows=5)
        server.push(REPO, {name: (tmp_path / "newer.parquet").read_bytes()})
        assert vlmix(*run, env=env).document["totals"]["read"] == 3
        assert vlmix(*run, "--update", env=env).document["totals"]["read"] == 5


def test_fetch_says_what_is_missing(vlmix: Vlmix, tmp_path: Path) -> None:
    (tmp_path / "hub" / REPO).mkdir(parents=True)
    (tmp_path / "hub" / REPO / "README.md").write_text("empty")
    with serve(tmp_path / "hub") as server:
        done = vlmix("sources", "fetch", SOURCE, "--store", tmp_path / "store", env=environment(server))
    assert done.code == 1
    assert SOURCE in done.err and REPO in done.err and done.err.count("\n") == 1
