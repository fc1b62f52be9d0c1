"""Small files for the remaining kinds: several pictures, video, interleaved documents, a folder of pictures."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

from flows.demo import captions, defects
from flows.demo.charts import draw_chart, sample_chart
from flows.demo.defects import Planted, Truth, plan, scaled, stream, truths
from flows.demo.drawing import jpeg, png
from flows.demo.pages import sample_page
from flows.demo.scenes import Scene, draw_scene, sample_scene
from flows.demo.texts import Turn

QUOTAS = {
    "multi": {"marker_mismatch": 4, "loop_two_sentences": 2},
    "video": {"loop_zeros": 1},
    "interleaved": {"loop_sentence": 2},
}
ROWS = {"multi": 60, "video": 10, "interleaved": 40}
NUM_FOLDER = 30
Record = dict[str, object]


def publish_extras(root: Path, seed: int, scale: float) -> list[Truth]:
    """Write `extras/` below `root` and say what was planted."""
    home = root / "extras"
    (home / "images").mkdir(parents=True)
    found: list[Truth] = []
    for name, make in (("multi", _multi), ("video", _video), ("interleaved", _interleaved)):
        file = f"extras/{name}.{'jsonl' if name == 'interleaved' else 'json'}"
        quotas = scaled(QUOTAS[name], scale)
        n = defects.num_rows(ROWS[name], quotas, scale)
        planted = plan(stream(seed, file, "plan"), n, quotas)
        rows = [make(home, row, planted.get(row), stream(seed, file, row)) for row in range(n)]
        text = json.dumps(rows, ensure_ascii=False, indent=1)
        if name == "interleaved":
            text = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
        (root / file).write_text(text + "\n", "utf-8")
        found += truths("extras", file, planted)
    _folder(home / "folder", seed, max(2, round(NUM_FOLDER * scale)))
    return found


def _multi(home: Path, row: int, planted: Planted | None, rng: Random) -> Record:
    scenes = [sample_scene(rng) for _ in range(rng.choice((2, 2, 3)))]
    paths = [_save(home, f"multi_{row:03d}_{'abc'[i]}", scene) for i, scene in enumerate(scenes)]
    long = planted is not None and planted.defect == "loop_two_sentences"
    ask, reply = _describe_all(scenes, rng) if long else rng.choice((_describe_all, _most))(scenes, rng)
    reply = _spoiled(reply, planted, rng)
    markers = rng.choice((0, len(scenes) - 1)) if planted and planted.defect == "marker_mismatch" else len(scenes)
    value = "<image>\n" * markers + ask
    talk = [{"from": "human", "value": value}, {"from": "gpt", "value": reply}]
    return {"id": row, "image": paths, "metadata": {"dataset": "demo-multi", "split": "train"}, "conversations": talk}


def _describe_all(scenes: list[Scene], rng: Random) -> Turn:
    ask = rng.choice(("Describe each of the pictures.", "What do these pictures show?", "Compare the pictures."))
    order = ("first", "second", "third")
    parts = [f"The {o} picture shows {captions.listing(s)}." for o, s in zip(order, scenes, strict=False)]
    places = [scene.place for scene in scenes]
    end = "All of them belong to the same kind of place." if len(set(places)) == 1 else "They differ in their setting."
    return ask, " ".join([*parts, end])


def _most(scenes: list[Scene], rng: Random) -> Turn:
    name = rng.choice([thing.name for thing in scenes[0].things])
    counts = [len(scene.named(name)) for scene in scenes]
    numbers = ", ".join(captions.counted(name, n) for n in counts)
    ask = f"How many {captions.plural(name)} does each picture show, in the given order?"
    return ask, f"In the order of the pictures: {numbers}."


def _video(home: Path, row: int, planted: Planted | None, rng: Random) -> Record:
    scene = sample_scene(rng)
    move = rng.choice(("pans slowly to the right", "moves closer", "stays still", "rises above the ground"))
    ask = rng.choice(("Describe the clip.", "What happens in this video?", "Summarise what the video shows."))
    reply = _spoiled(f"{captions.caption(scene, rng)} The camera {move} until the clip ends.", planted, rng)
    talk = [{"from": "human", "value": f"<image>\n{ask}"}, {"from": "gpt", "value": reply}]
    return {"id": f"v_{row:04d}", "video": f"clips/{row:04d}.mp4", "conversations": talk, "data_source": "demo_video"}


def _interleaved(home: Path, row: int, planted: Planted | None, rng: Random) -> Record:
    """Parallel lists as in OBELICS: at each place either a text or a picture, the other is null."""
    page = sample_page(rng)
    texts: list[str | None] = [f"{page.title}\n\n{page.paragraphs[0]}"]
    images: list[str | None] = [None]
    for i, paragraph in enumerate(page.paragraphs[1:4]):
        scene = sample_scene(rng)
        path = _save(home, f"doc_{row:03d}_{i}", scene)
        texts += [None, f"{captions.caption(scene, rng)}\n\n{paragraph}"]
        images += [path, None]
    texts[-1] = _spoiled(texts[-1] or "", planted, rng)
    return {"id": f"doc-{row:04d}", "texts": texts, "images": images}


def _spoiled(text: str, planted: Planted | None, rng: Random) -> str:
    return text if planted is None or planted.defect not in defects.TEXT else defects.TEXT[planted.defect](text, rng)


def _save(home: Path, name: str, scene: Scene) -> str:
    """Write a picture; the path is relative to `extras/`."""
    (home / "images" / f"{name}.jpg").write_bytes(jpeg(draw_scene(scene)))
    return f"images/{name}.jpg"


def _folder(folder: Path, seed: int, n: int) -> None:
    folder.mkdir()
    for i in range(n):
        rng = stream(seed, "folder", i)
        if i % 3:
            (folder / f"scene_{i:03d}.jpg").write_bytes(jpeg(draw_scene(sample_scene(rng))))
        else:
            (folder / f"chart_{i:03d}.png").write_bytes(png(draw_chart(sample_chart(rng, rng))))
