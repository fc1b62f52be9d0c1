"""The publisher `pixmo`: Parquet with addresses only, in the shape of PixMo, and the pictures behind the addresses."""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq

from flows.demo import captions
from flows.demo.defects import Item, Make, Planted, Truth, build, num_rows, plan, scaled, stream, truths
from flows.demo.drawing import jpeg
from flows.demo.scenes import Scene, draw_scene, sample_scene
from flows.demo.server import FLAKY, GONE, HOST, LOST, MOVED

ROWS = {"cap": 450, "points": 200, "ask": 200}
POOL_SHARE = 0.88  # pictures per row of `cap`; the rest shares an address
QUOTAS: dict[str, dict[str, int]] = {
    "cap": {
        "near_duplicate_picture": 25,
        "exact_duplicate": 6,
        "corrupt_picture:truncated": 4,
        "corrupt_picture:garbage": 1,
        "corrupt_picture:not_a_picture": 1,
        "loop_sentence": 8,
        "loop_two_sentences": 2,
        "refusal": 2,
        "broken_score:n/a": 3,
        "broken_score:": 2,
        "broken_score:0,31": 1,
        "dead_link:404": 3,
        "dead_link:410": 2,
        "dead_link:html": 2,
        "flaky_ok:500 once": 2,
    },
    "points": {
        "dead_link:404": 4,
        "dead_link:410": 2,
        "dead_link:html": 1,
        "dead_link:wrong_sha256": 3,
        "flaky_ok:500 once": 2,
    },
    "ask": {
        "near_duplicate_picture": 5,
        "char_run": 3,
        "empty_answer": 4,
        "refusal": 3,
        "dead_link:404": 3,
        "dead_link:410": 1,
        "dead_link:html": 2,
        "dead_link:wrong_sha256": 2,
        "flaky_ok:500 once": 1,
    },
}
FOLDERS = {"404": LOST, "410": GONE, "html": MOVED, "500 once": FLAKY, "wrong_sha256": "upload"}
POINT = pa.struct({"x": pa.float64(), "y": pa.float64()})
TEXTS = {"image_url": pa.string(), "image_sha256": pa.string()}
SCHEMAS = {
    "cap": pa.schema(
        {
            "image_url": pa.string(),
            "caption": pa.string(),
            "transcripts": pa.list_(pa.string()),
            "clip_score": pa.string(),
        }
    ),
    "points": pa.schema(
        {
            **TEXTS,
            "points": pa.list_(POINT),
            "count": pa.int64(),
            "label": pa.string(),
            "collection_method": pa.string(),
        }
    ),
    "ask": pa.schema({**TEXTS, "question": pa.string(), "answer": pa.string()}),
}


def publish_pixmo(root: Path, seed: int, scale: float) -> list[Truth]:
    """Write `pixmo/` and `pixmo_www/` below `root` and say what was planted."""
    found: list[Truth] = []
    for name, full in ROWS.items():
        file = f"pixmo/{name}/train-00000-of-00001.parquet"
        quotas = scaled(QUOTAS[name], scale)
        n = num_rows(full, quotas, scale)
        planted = plan(stream(seed, file, "plan"), n, quotas)
        rows = [_row(root / "pixmo_www", name, seed, row, planted.get(row), n) for row in range(n)]
        (root / file).parent.mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(rows, SCHEMAS[name]), root / file)
        found += truths("pixmo", file, planted)
    return found


def _row(web: Path, name: str, seed: int, row: int, planted: Planted | None, n: int) -> dict[str, object]:
    """One row of one of the three tables, its picture put on the web."""
    source = row if planted is None or planted.original is None else planted.original
    number = _picture_number(name, source, n)
    item = build(_maker(seed, name, n), row, planted, stream(seed, name, row, "defect"))
    assert item.picture is not None
    path = _path(seed, name, row, number, planted)
    if path.split("/", maxsplit=1)[0] not in {LOST, GONE, MOVED}:
        (web / path).parent.mkdir(parents=True, exist_ok=True)
        (web / path).write_bytes(item.picture)
    wrong = planted is not None and planted.detail == "wrong_sha256"
    digest = sha256(item.picture + (b"!" if wrong else b"")).hexdigest()
    head: dict[str, object] = {"image_url": f"{HOST}/{path}", "image_sha256": digest}
    ((ask, reply),) = item.turns
    if name == "ask":
        return head | {"question": ask, "answer": reply}
    scene = _scene(seed, number)
    rng = stream(seed, name, source, "extra")
    if name == "points":
        return head | _points(scene, source, rng)
    speech = captions.transcripts(scene, rng)
    score = planted.detail if planted and planted.defect == "broken_score" else f"{rng.uniform(0.19, 0.38):.2f}"
    return {"image_url": f"{HOST}/{path}", "caption": reply, "transcripts": speech, "clip_score": score}


def _picture_number(name: str, row: int, n: int) -> int:
    """Which picture of the pool a row shows; `cap` goes round, the others ask twice or more about each."""
    if name == "cap":
        return row % max(1, round(n * POOL_SHARE))
    return row // 2 if name == "points" else n // 2 + row * 2 // 3


def _path(seed: int, name: str, row: int, number: int, planted: Planted | None) -> str:
    """Path behind the host. Rows whose bytes or behaviour differ from the pool get an address of their own."""
    own = sha256(f"{seed}/{name}/{row}".encode()).hexdigest()[:12]
    if planted is not None and planted.detail in FOLDERS:
        return f"{FOLDERS[planted.detail]}/{own}.jpg"
    if planted is not None and planted.defect in {"near_duplicate_picture", "corrupt_picture"}:
        return f"upload/{own}.jpg"
    return f"photos/{sha256(f'{seed}/{number}'.encode()).hexdigest()[:12]}.jpg"


def _maker(seed: int, name: str, n: int) -> Make:
    def make(row: int, variant: str) -> Item:
        number = _picture_number(name, row, n)
        scene = _scene(seed, number)
        rng = stream(seed, name, row, "text")
        if name == "cap":
            turn = ("", captions.caption(scene, rng))
        elif name == "points":
            turn = ("", "")
        else:
            # Rows that share a picture ask about different things: the order of kinds belongs to the picture.
            kinds = captions.ask_kinds(scene)
            stream(seed, "kinds", number).shuffle(kinds)
            turn = captions.scene_turn(scene, kinds[row % len(kinds)], rng)
        return Item(_picture(seed, number), (turn,))

    return make


@lru_cache(maxsize=1024)
def _scene(seed: int, number: int) -> Scene:
    return sample_scene(stream(seed, "scene", number))


@lru_cache(maxsize=1024)
def _picture(seed: int, number: int) -> bytes:
    return jpeg(draw_scene(_scene(seed, number)))


def _points(scene: Scene, row: int, rng: Random) -> dict[str, object]:
    """Every second row asks for one colour of a thing or for a thing that is not there."""
    names = list(dict.fromkeys(thing.name for thing in scene.things))
    name = rng.choice(names)
    found, label = scene.named(name), captions.plural(name)
    if row % 2 and rng.choice((True, False)):
        label, found = captions.plural(captions.absent(scene, rng)), []
    elif row % 2:
        colour = rng.choice(found).colour
        label, found = f"{colour} {name}", [thing for thing in found if thing.colour == colour]
    points = [{"x": round(thing.x * 100, 1), "y": round(thing.y * 100, 1)} for thing in found]
    method = rng.choice(("pointing", "counting"))
    return {"points": points, "count": len(points), "label": label, "collection_method": method}
