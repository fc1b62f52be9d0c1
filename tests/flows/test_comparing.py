"""Duplicates that are checked on the pictures: generated receipts, built by the real steps."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont, ImageOps

from flows.build import Built, build
from flows.comparing import comparison_box
from flows.deciding import decide
from flows.executor import LocalRunner, Runner, Steps, local_pool
from flows.explain import explain
from flows.mixes import Mix, find
from flows.rebuilding import rebuilt
from flows.run import checked, run_with
from flows.verifying import prove
from manifests.likeness import VERSION
from shards.store import Store

COLUMNS = {"user": ["q"], "assistant": ["a"], "images": ["i"]}


def receipt(shop: int, *, amount: str = "482.17") -> PillowImage.Image:
    """Lines of words with an amount each; the fourth amount may read otherwise."""
    rng = np.random.default_rng(shop)
    image = PillowImage.new("L", (300, 400), 250)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(16)
    draw.text((60, 12), f"Receipt of shop {shop}", font=font, fill=20)
    draw.rectangle((16, 36, *rng.integers((60, 42), (280, 50))), fill=int(rng.integers(40, 160)))
    for line in range(12):
        words = " ".join("".join(rng.choice(list("abdeghnoprstu"), rng.integers(3, 8))) for _ in range(2))
        price = amount if line == 3 else f"{rng.integers(100, 900)}.{rng.integers(10, 99)}"
        draw.text((16, 60 + 26 * line), words, font=font, fill=20)
        draw.text((220, 60 + 26 * line), price, font=font, fill=20)
    return image


def photo(seed: int) -> PillowImage.Image:
    """Soft shapes under fine ones."""
    rng = np.random.default_rng(seed)
    layers = [rng.normal(0, 1, (240 // step, 320 // step)) for step in (4, 10, 20, 80)]
    grown = [
        np.asarray(PillowImage.fromarray(layer).resize((320, 240), PillowImage.Resampling.BICUBIC)) for layer in layers
    ]
    mixed = sum(weight * layer for weight, layer in zip((8, 12, 18, 40), grown, strict=True))
    return PillowImage.fromarray(np.clip(128 + mixed, 0, 255).astype(np.uint8))


def encoded(image: PillowImage.Image, form: str = "PNG", **options: Any) -> bytes:
    target = io.BytesIO()
    image.save(target, form, **options)
    return target.getvalue()


def cropped(image: PillowImage.Image, share: float) -> PillowImage.Image:
    """Without a share of each side."""
    width, height = image.size
    box = (share * width, share * height, (1 - share) * width, (1 - share) * height)
    return image.crop(tuple(round(value) for value in box))


PICTURES = {
    "receipt": encoded(receipt(1)),
    "receipt again": encoded(receipt(1), "JPEG", quality=60),
    "receipt, one digit changed": encoded(receipt(1, amount="432.17")),
    "receipt, one digit changed, again": encoded(receipt(1, amount="432.17"), "JPEG", quality=70),
    "photo": encoded(photo(3)),
    "photo again": encoded(photo(3).resize((240, 180), PillowImage.Resampling.LANCZOS), "JPEG", quality=70),
    "photo without its rim": encoded(cropped(photo(3), 0.03)),
    "photo in a mirror": encoded(ImageOps.mirror(photo(3)), "JPEG", quality=80),
    "another photo": encoded(photo(4)),
}
"""What each row shows, in order; all rows ask and answer the same."""
NAMES = list(PICTURES)


def write_rows(folder: Path) -> None:
    folder.mkdir(parents=True)
    rows = []
    for number, data in enumerate(PICTURES.values()):
        (folder / f"{number}.img").write_bytes(data)
        rows.append({"q": "What is this?", "a": "Something that is described in some words.", "i": f"{number}.img"})
    (folder / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))


def build_rows(root: Path, runner: Runner | None = None, *, seed: int = 0, **dedup: object) -> tuple[Mix, Built]:
    """Build root/raw in root/store."""
    if not (root / "raw").is_dir():
        write_rows(root / "raw")
    source = {"layout": "table", "files": "*.jsonl", "root": ".", "columns": COLUMNS}
    fields = {"name": "small", "seed": seed, "judge": "off", "dedup": {"distance": 8, **dedup}}
    path = root / "raw" / "small.yaml"
    path.write_text(yaml.safe_dump({**fields, "entries": [{"id": "mine", "source": source, "domain": "chat"}]}))
    store = Store(root / "store")
    prepared = checked(str(path), store)
    with store.lock():
        built = build(prepared, store, runner or LocalRunner(None), lambda *_: None)
    return Mix(store, built.mixtures["sft"].box), built


def duplicates(mix: Mix) -> dict[str, tuple[str, str, str]]:
    """Picture of a duplicate -> that of the row it repeats, why, and what the comparison said."""
    rows = mix.clusters.filter(pl.col("duplicate_of").is_not_null())
    return {
        NAMES[int(key.rsplit("/", 1)[1])]: (NAMES[int(of.rsplit("/", 1)[1])], reason, likeness)
        for key, of, reason, likeness in rows.select("key", "duplicate_of", "reason", "likeness").iter_rows()
    }


EXPECTED = {
    "receipt again": ("receipt", "near_picture", "agrees"),
    "receipt, one digit changed, again": ("receipt, one digit changed", "near_picture", "agrees"),
    "photo again": ("photo", "near_picture", "agrees"),
    "photo without its rim": ("photo", "near_picture", "agrees"),
}


def test_copies_go_and_look_alikes_stay(tmp_path: Path) -> None:
    mix, built = build_rows(tmp_path)
    assert duplicates(mix) == EXPECTED
    counts = mix.manifest.totals
    assert (counts.duplicates, counts.written) == (len(EXPECTED), len(PICTURES) - len(EXPECTED))
    counts.check("small")
    assert built.steps["compare"].executed > 0 and built.steps["compare"].cached == 0


def test_without_verification_the_changed_digit_is_lost(tmp_path: Path) -> None:
    mix, built = build_rows(tmp_path, verify=False)
    assert {"receipt again", "receipt, one digit changed"} <= set(duplicates(mix))
    assert mix.clusters["likeness"].null_count() == mix.clusters.height
    assert built.steps["compare"] == Steps()
    assert not comparison_box(mix.store).path.exists()


def test_of_a_cluster_none_may_stay(tmp_path: Path) -> None:
    mix, _ = build_rows(tmp_path, keep="none")
    assert duplicates(mix) == EXPECTED
    kept = {"receipt", "receipt, one digit changed", "photo"}
    counts = mix.manifest.totals
    assert (counts.duplicates, counts.written) == (len(EXPECTED) + len(kept), len(PICTURES) - len(EXPECTED) - len(kept))
    counts.check("small")
    row = mix.clusters.filter(pl.col("reason") == "none_kept").sort("key")["key"][0]
    (entry,) = explain(row, [mix]).entries
    assert (entry.verdict, entry.outcome, entry.emitted) == ("keep", "duplicate", 0)
    assert [member["reason"] for member in entry.cluster] == ["none_kept", "near_picture"]
    assert rebuilt(mix).clusters.equals(mix.clusters)


def test_the_one_with_most_pixels_or_the_best_score_stays(tmp_path: Path) -> None:
    mix, _ = build_rows(tmp_path, keep="largest")
    assert duplicates(mix) == EXPECTED
    assert mix.clusters.filter(pl.col("reason") == "kept")["value"].max() == 300 * 400
    mix, _ = build_rows(tmp_path, keep="best", by="noise_floor")
    scores = dict(mix.scores.select("key", "noise_floor").iter_rows())
    for key, of, value in mix.clusters.select("key", "duplicate_of", "value").iter_rows():
        assert value == scores[key]
        assert of is None or scores[of] >= value
    assert mix.clusters["duplicate_of"].drop_nulls().len() == len(EXPECTED)


def test_the_manifest_names_the_comparison(tmp_path: Path) -> None:
    mix, _ = build_rows(tmp_path)
    assert mix.manifest.likeness == VERSION
    assert prove(mix, raw=False).problems == []
    mix, _ = build_rows(tmp_path, verify=False)
    assert mix.manifest.likeness is None


def test_a_mirrored_copy_goes_when_flips_are_the_same(tmp_path: Path) -> None:
    mix, _ = build_rows(tmp_path, flips="same")
    assert duplicates(mix) == EXPECTED | {"photo in a mirror": ("photo", "mirrored_picture", "agrees")}


def test_nothing_is_compared_twice(tmp_path: Path) -> None:
    _, first = build_rows(tmp_path)
    files = written(tmp_path)
    _, again = build_rows(tmp_path, seed=1)
    assert again.steps["compare"] == Steps(0, first.steps["compare"].executed)
    _, wider = build_rows(tmp_path, flips="same")
    assert wider.steps["compare"].cached == first.steps["compare"].executed
    assert wider.steps["compare"].executed > 0
    assert files.items() <= written(tmp_path).items()


def written(root: Path) -> dict[str, bytes]:
    folder = comparison_box(Store(root / "store")).path
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_mixture_is_made_again_from_the_comparisons_in_the_store(tmp_path: Path) -> None:
    mix, _ = build_rows(tmp_path)
    before = written(tmp_path)
    for pack in (tmp_path / "store" / "shards").rglob("pictures-*.arrow"):
        pack.unlink()
    assert rebuilt(mix).clusters.equals(mix.clusters)
    assert written(tmp_path) == before


def test_decide_compares_nothing_again(tmp_path: Path) -> None:
    build_rows(tmp_path)
    path = tmp_path / "raw" / "small.yaml"
    document = yaml.safe_load(path.read_text())
    document["rules"] = {"list": [{"name": "short", "when": "answer_chars < 3", "then": "drop"}]}
    path.write_text(yaml.safe_dump(document))
    store = Store(tmp_path / "store")
    run_with(checked(str(path), store), store, LocalRunner(None), None, lambda *_: None)
    for pack in (tmp_path / "store" / "shards").rglob("pictures-*.arrow"):
        pack.unlink()
    (stage,) = decide(str(path), store, ["rules.short.when=answer_chars < 4"]).stages
    assert stage.after.duplicates == stage.before.duplicates == len(EXPECTED)
    assert find(store, "small")["sft"].manifest.totals.duplicates == len(EXPECTED)


def test_any_number_of_workers_gives_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, _ = build_rows(tmp_path / "one")
    monkeypatch.setattr("flows.comparing.PAIRS_PER_JOB", 2)
    with local_pool(2) as pool:
        two, _ = build_rows(tmp_path / "two", LocalRunner(pool))
    assert two.manifest.digest() == one.manifest.digest()
    assert len(written(tmp_path / "two")) > len(written(tmp_path / "one"))


def test_explain_tells_what_was_compared(tmp_path: Path) -> None:
    mix, _ = build_rows(tmp_path)
    row = NAMES.index("receipt, one digit changed")
    key = next(key for key in mix.decisions["key"] if key.endswith(f"/{row}"))
    story = explain(key, [mix])
    said = {pair["reason"]: pair for pair in story.compared}
    assert set(said) == {"inside", "agrees"}
    assert not said["inside"]["same"] and str(said["inside"]["sentence"]).startswith("differ inside: ")
    assert [member["likeness"] for member in story.entries[0].cluster] == [None, "agrees"]
