"""`vlmix store`: list, clean up, find, take down, on stores of real builds."""

import hashlib
import io
import json
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from commands import DemoBuild, Vlmix
from PIL import Image as PillowImage
from PIL import ImageDraw
from s3_server import running

from flows.collecting import collect
from flows.executor import LocalRunner
from flows.exporting import export_all
from flows.inventory import inventory
from flows.mixes import Mix, find
from flows.reachability import Limits
from flows.run import Finished, checked, run_with
from flows.stocktaking import take_stock
from flows.tracing import picture_targets, question, trace
from flows.verifying import verify
from flows.withdrawing import withdraw
from shards.errors import GateError
from shards.store import Store

pytestmark = [pytest.mark.integration, pytest.mark.long]

PAGE = "https://pictures.example/page/3"


def drawn(number: int) -> PillowImage.Image:
    """A picture that differs from all others."""
    picture = PillowImage.new("RGB", (96, 64), (number * 11 % 256, 90, 200))
    pen = ImageDraw.Draw(picture)
    for place in range(6):
        left, top = (number * 7 + place * 13) % 70, (number * 5 + place * 17) % 40
        pen.rectangle((left, top, left + 18, top + 14), fill=((place * 40 + number * 3) % 256, number * 9 % 256, 30))
    return picture


def encoded(picture: PillowImage.Image, kind: str) -> bytes:
    target = io.BytesIO()
    picture.save(target, kind)
    return target.getvalue()


def write_raw(folder: Path) -> None:
    """Source `one`: 12 rows with a picture each, the last with those of rows 3 and 4. Source `two` has the bytes of
    picture 3 once, its pixels in another file once, and one of its own."""
    for name, pictures in (("one", [*range(12)]), ("two", [3, 3, 20])):
        (folder / name).mkdir(parents=True)
        rows: list[dict[str, object]] = []
        for place, number in enumerate(pictures):
            kind = "BMP" if name == "two" and place == 1 else "PNG"
            (folder / name / f"{place}.{kind.lower()}").write_bytes(encoded(drawn(number), kind))
            answer = f"the picture {name} {place} shows boxes in several colours, side by side"
            row = {"q": f"what does {name} {place} show?", "a": answer, "i": [f"{place}.{kind.lower()}"]}
            rows.append(row | ({"page": PAGE} if (name, place) == ("one", 5) else {"page": "none"}))
        if name == "one":
            rows.append(
                {"q": "compare", "a": "the two pictures differ in all colours", "i": ["3.png", "4.png"], "page": "none"}
            )
        (folder / name / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))


def write_recipe(folder: Path, *, least: int = 3) -> Path:
    columns = {"user": ["q"], "assistant": ["a"], "images": ["i"], "meta": ["page"]}
    entries = [
        {
            "id": name,
            "domain": "chat",
            "source": {"layout": "table", "files": f"{name}/*.jsonl", "root": name, "columns": columns},
        }
        for name in ("one", "two")
    ]
    rule = {"name": "short", "when": f"answer_words < {least}", "then": "drop"}
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump({"name": "small", "judge": "off", "rules": {"list": [rule]}, "entries": entries}))
    return path


def build(store: Store, recipe: Path) -> Finished:
    return run_with(checked(str(recipe), store), store, LocalRunner(None), None, lambda *_: None)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with raw files, and a store in which a recipe was built with two thresholds, the higher one first."""
    root = tmp_path_factory.mktemp("built")
    write_raw(root / "raw")
    for least in (30, 3):
        build(Store(root / "store"), write_recipe(root / "raw", least=least))
    return root


@pytest.fixture
def place(built: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    shutil.copytree(built, tmp_path / "place")
    return tmp_path / "place"


def mix_of(store: Store) -> Mix:
    return find(store, "small")["sft"]


def fates(mix: Mix) -> dict[str, tuple[str, str | None, int]]:
    rows = mix.decisions.select("key", "verdict", "rule", "times").iter_rows()
    return {key: (verdict, rule, times) for key, verdict, rule, times in rows}


def sha_of(place: Path, name: str) -> str:
    return hashlib.sha256((place / "raw" / name).read_bytes()).hexdigest()


def tree(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_a_list_counts_every_byte_of_the_store(built: Path) -> None:
    stocks = take_stock(Store(built / "store"))
    kinds = {each.kind: each for each in stocks.kinds}
    assert kinds["mixtures"].boxes == kinds["runs"].boxes == 2
    assert kinds["shards"].boxes == kinds["scans"].boxes == 2
    assert sum(each.idle + each.half for each in stocks.kinds) == 0
    there = sum(path.stat().st_size for path in (built / "store").rglob("*") if path.is_file() and path.name != ".lock")
    assert stocks.bytes == there


def test_after_a_clean_up_what_is_needed_costs_no_work_and_the_rest_comes_back_the_same(place: Path) -> None:
    store = Store(place / "store")
    before = tree(store.root)
    planned = collect(store, Limits(keep_last=1), remove=False)
    assert tree(store.root) == before
    assert {going.box.partition("/")[0] for going in planned.going} == {"mixtures", "runs"}
    done = collect(store, Limits(keep_last=1), remove=True)
    assert done.going == planned.going and done.bytes == sum(
        len(data) for name, data in before.items() if any(name.startswith(f"{going.box}/") for going in done.going)
    )
    again = build(store, write_recipe(place / "raw", least=3))
    assert again.summary.steps.executed == 0
    other = build(store, write_recipe(place / "raw", least=30))
    assert other.summary.steps.executed > 0
    after = tree(store.root)
    gone = [name for name in before if any(name.startswith(f"{going.box}/") for going in done.going)]
    # what the run says of itself has times in it
    same = [name for name in gone if name.startswith("mixtures/") or name.endswith(("run.json", "report.html"))]
    assert len(same) >= 8 and all(after[name] == before[name] for name in same)


def test_a_picture_is_found_by_its_bytes_its_pixels_and_its_file(place: Path) -> None:
    store = Store(place / "store")
    sha, other = sha_of(place, "one/3.png"), sha_of(place, "two/1.bmp")
    found = trace(store, question(sha256=sha))
    assert [each.state for each in found.mixtures] == ["here", "here"]
    listed = [{row.key for row in each.rows if not row.copied} for each in found.mixtures]
    assert listed[0] == listed[1] == {"one/train/3", "one/train/12", "two/train/0"}
    strict, loose = sorted(found.mixtures, key=lambda each: each.emitted)
    assert strict.ends == {"drop": 3} and strict.emitted == 0 and loose.emitted == 3
    by_file = trace(store, picture_targets(place / "raw" / "one" / "3.png"))
    assert by_file.pictures == sorted({sha, other})
    assert {row.key for row in by_file.mixtures[0].rows if not row.copied} == listed[0] | {"two/train/1"}
    assert trace(store, question(sha256="0" * 64)).mixtures == []


def test_an_address_a_sample_and_a_source_are_found(place: Path) -> None:
    store = Store(place / "store")
    by_url = trace(store, question(url=PAGE))
    assert {row.key for each in by_url.mixtures for row in each.rows} == {"one/train/5"}
    by_key = trace(store, question(key="two/train/2"))
    assert sorted(each.emitted for each in by_key.mixtures) == [0, 1]
    assert trace(store, question(key="two/train/77")).mixtures == []
    by_source = trace(store, question(source="one"))
    assert sorted(each.ends.items() for each in by_source.mixtures) == [[("drop", 13)], [("written", 13)]] or all(
        sum(each.ends.values()) == 13 for each in by_source.mixtures
    )
    assert trace(store, question(source="three")).mixtures == []


def test_what_was_removed_is_told_and_not_passed_over(place: Path) -> None:
    store, sha = Store(place / "store"), sha_of(place, "one/3.png")
    collect(store, Limits(keep_last=1), remove=True)
    found = trace(store, question(sha256=sha))
    assert sorted(each.state for each in found.mixtures) == ["here", "removed"]
    assert sorted(each.state for each in trace(store, question(source="one")).mixtures) == ["here", "removed"]
    # its samples are gone as well, so that nobody knows
    for box in (store.root / "shards" / "one").iterdir():
        (box / "index.json").unlink()
    found = trace(store, question(sha256=sha))
    states = {each.state: each for each in found.mixtures}
    assert states["removed"].gone == states["here"].gone == ["one"]
    for box in (store.root / "shards" / "two").iterdir():
        (box / "index.json").unlink()
    assert {each.state for each in trace(store, question(sha256=sha)).mixtures} == {"unknown"}


def test_exports_are_named(place: Path) -> None:
    store = Store(place / "store")
    export_all({"sft": mix_of(store)}, to="llava-next", out=place / "out")
    exported = [each.exports for each in trace(store, question(source="one")).mixtures if each.exports]
    assert [(note.format, note.folder) for notes in exported for note in notes] == [("llava-next", str(place / "out"))]


@pytest.mark.parametrize("given", [{"source": "two"}, {"key": "one/train/1"}, {"url": PAGE}])
def test_a_mixture_that_emits_what_was_taken_down_is_not_exported(place: Path, given: dict[str, str]) -> None:
    store = Store(place / "store")
    withdraw(store, question(sha256="0" * 64), reason="asked", by="me")
    # nothing of this mixture
    export_all({"sft": mix_of(store)}, to="llava-next", out=place / "first")
    withdraw(store, question(**given), reason="asked", by="me")
    with pytest.raises(GateError, match="taken down after it was made"):
        export_all({"sft": mix_of(store)}, to="llava-next", out=place / "second")
    assert not (place / "second").exists()
    build(store, place / "raw" / "small.yaml")
    export_all({"sft": mix_of(store)}, to="llava-next", out=place / "second")


def test_no_row_with_a_picture_that_is_taken_down_is_emitted_again(place: Path) -> None:
    store, sha = Store(place / "store"), sha_of(place, "one/3.png")
    old = mix_of(store)
    digest, before = old.manifest.digest(), fates(old)
    done = withdraw(store, question(sha256=sha), reason="rights holder", by="me")
    assert done.written == 1
    finished = build(store, place / "raw" / "small.yaml")
    new = mix_of(store)
    assert finished.summary.digest != digest
    assert new.manifest.takedown is not None and old.manifest.takedown is None
    after = fates(new)
    hit = {"one/train/3", "one/train/12", "two/train/0"}
    assert {key for key, (_, rule, _) in after.items() if rule == "taken_down"} == hit
    assert all(after[key] == ("drop", "taken_down", 0) for key in hit)
    # a row that was a duplicate of one of them is emitted in its place; no other changes
    freed = {key for key in after if key not in hit and after[key] != before[key]}
    assert all(before[key][2] == 0 < after[key][2] for key in freed)
    totals = new.manifest.totals
    assert totals.made == totals.keep + totals.drop and totals.drop == 3
    report = (finished.built.box.path / "report.html").read_text()
    assert "taken_down" in report and "what does one 3 show?" not in report
    # the old one can still be proven
    assert verify(store, str(old.box.path)).ok and verify(store, "small").ok
    assert sha not in set(
        new.samples(new.ids.join(new.decisions, on=["entry", "key"]))["images"].explode().struct.field("sha256")
    )


def test_pixels_and_a_source_and_an_address_are_taken_down_and_lifted(place: Path) -> None:
    store = Store(place / "store")
    digest = mix_of(store).manifest.digest()
    withdraw(store, picture_targets(place / "raw" / "two" / "1.bmp"), reason="rights holder", by="me")
    withdraw(store, question(url=PAGE), reason="page is gone", by="me")
    build(store, place / "raw" / "small.yaml")
    hit = {key for key, (_, rule, _) in fates(mix_of(store)).items() if rule == "taken_down"}
    assert hit == {"one/train/3", "one/train/12", "two/train/0", "two/train/1", "one/train/5"}
    withdraw(store, question(source="two"), reason="no licence", by="me")
    build(store, place / "raw" / "small.yaml")
    assert {key for key, (_, rule, _) in fates(mix_of(store)).items() if rule == "taken_down"} == hit | {"two/train/2"}
    withdraw(store, question(source="two"), reason="a licence was found", by="me", lift=True)
    withdraw(store, question(url=PAGE), reason="page is back", by="me", lift=True)
    withdraw(store, picture_targets(place / "raw" / "two" / "1.bmp"), reason="agreed", by="me", lift=True)
    assert build(store, place / "raw" / "small.yaml").summary.digest == digest


def test_copies_that_were_compared_go_with_a_picture(place: Path, tmp_path: Path) -> None:
    # the same question about a picture and a brighter copy of it, so that dedup compares the two
    folder, store = tmp_path / "near", Store(tmp_path / "near" / "store")
    folder.mkdir()
    picture = PillowImage.open(place / "raw" / "one" / "7.png").resize((384, 256))
    (folder / "a.png").write_bytes(encoded(picture, "PNG"))
    (folder / "b.png").write_bytes(encoded(picture.point(lambda value: min(255, value + 4)), "PNG"))
    rows = [{"q": "what is shown?", "a": "boxes in several colours", "i": [name]} for name in ("a.png", "b.png")]
    (folder / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    columns = {"user": ["q"], "assistant": ["a"], "images": ["i"]}
    source = {"layout": "table", "files": "*.jsonl", "root": ".", "columns": columns}
    recipe = folder / "near.yaml"
    recipe.write_text(yaml.safe_dump({"name": "near", "judge": "off", "entries": [{"id": "mine", "source": source}]}))
    build(store, recipe)
    mix = find(store, "near")["sft"]
    assert mix.clusters["reason"].to_list() == ["kept", "near_picture"]
    sha, copy = (hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in ("b.png", "a.png"))
    found = trace(store, question(sha256=sha))
    assert [each.sha256 for each in found.copies] == [copy]
    assert {row.key: row.copied for row in found.mixtures[0].rows} == {"mine/train/1": False, "mine/train/0": True}
    withdraw(store, question(sha256=sha), reason="rights holder", by="me")
    build(store, recipe)
    assert find(store, "near")["sft"].manifest.totals.written == 1
    withdraw(store, question(sha256=sha), reason="rights holder", by="me", copies=True)
    build(store, recipe)
    assert find(store, "near")["sft"].manifest.totals.written == 0


def test_a_picture_is_taken_down_by_the_address_it_came_from(
    small_demo: DemoBuild, vlmix: Vlmix, tmp_path: Path
) -> None:
    store = small_demo.copy(tmp_path / "store").store
    gathered = pl.concat([pl.read_parquet(path) for path in sorted(store.glob("pictures/*/*/gathered.parquet"))])
    urls = gathered.filter(pl.col("ref").str.starts_with("http"), pl.col("sha256").is_not_null())
    known: dict[str, Any] = {}
    for url in urls["ref"].to_list()[:20]:
        known = vlmix("store", "find", "--url", url, "--store", store, "--json").document
        if any(mixture["emitted"] for mixture in known["mixtures"]):
            break
    assert len(known["pictures"]) == 1
    done = vlmix("store", "takedown", "--url", url, "--reason", "asked", "--by", "me", "--store", store, "--json")
    assert done.code == 0 and done.document["targets"] == [f"url {url}", f"sha256 {known['pictures'][0]}"]
    run = vlmix("run", "build-sft-mix", "--store", store, "--json")
    assert run.code == 0, run.err
    after = vlmix("store", "find", "--url", url, "--store", store, "--json").document
    emitted = {mixture["digest"]: mixture["emitted"] for mixture in after["mixtures"]}
    assert emitted[run.document["stages"][-1]["digest"]] == 0 and any(emitted.values())


def test_the_command_line_says_what_to_do(place: Path, vlmix: Vlmix) -> None:
    store = ("--store", place / "store")
    gc = vlmix("store", "gc", "--keep-last", "1", *store)
    assert gc.code == 0 and "nothing was removed; say --yes to remove it" in gc.out
    assert vlmix("store", "gc", "--keep-last", "0", *store).code == 2
    assert vlmix("store", "find", *store).code == 2
    why = vlmix("store", "takedown", "--source", "one", *store)
    assert why.code == 2 and "--reason" in why.err
    assert vlmix("store", "takedown", "--source", "one", "--reason", "asked", *store).code == 0
    listed = vlmix("store", "takedown", *store, "--json").document
    assert [act["target"]["value"] for act in listed["takedowns"]] == ["one"]
    removed = vlmix("store", "gc", "--keep-last", "1", "--yes", *store, "--json").document
    assert removed["removed"] and set(removed["kinds"]) == {"runs", "mixtures"}
    assert vlmix("store", "ls", *store).code == 0


def test_a_store_at_a_url_is_cleaned_on_every_machine(built: Path, vlmix: Vlmix, tmp_path: Path) -> None:
    write = {least: write_recipe(built / "raw", least=least).read_text() for least in (30, 3)}
    recipes = {least: built / "raw" / f"at-{least}.yaml" for least in write}
    for least, path in recipes.items():
        path.write_text(write[least])
    with running(tmp_path / "port") as server:
        store = ("--store", server.store("clean"))
        one, two = (server.environment(tmp_path / name) for name in ("one", "two"))
        for least in (30, 3):
            run = vlmix("run", "build-sft-mix", "--recipe", recipes[least], *store, env=one)
            assert run.code == 0, run.err
        # the other machine has everything, too
        assert vlmix("run", "build-sft-mix", "--recipe", recipes[30], *store, env=two).code == 0
        assert vlmix("run", "build-sft-mix", "--recipe", recipes[3], *store, env=two).code == 0
        done = vlmix("store", "gc", "--keep-last", "1", "--yes", *store, "--json", env=one)
        assert done.code == 0, done.err
        gone = [going["box"] for going in done.document["going"]]
        assert sorted(box.split("/")[0] for box in gone) == ["mixtures", "runs"]
        assert not [name for box in gone for name in server.names(f"clean/{box}/")]
        again = vlmix("run", "build-sft-mix", "--recipe", recipes[3], *store, "--json", env=two)
        assert again.document["steps"]["executed"] == 0
        assert not [box for box in gone for folder in (tmp_path / "two").glob(f"*/{box}") if folder.is_dir()]
        found = vlmix("store", "find", "--source", "one", *store, "--json", env=server.environment(tmp_path / "three"))
        assert sorted(each["state"] for each in found.document["mixtures"]) == ["here", "removed"]
        assert vlmix("store", "gc", *store, "--json", env=two).document["going"] == []


def test_boxes_that_do_not_say_what_they_are_made_from_keep_all_of_their_sources(place: Path) -> None:
    store = Store(place / "store")
    before = set(inventory(store))
    for path in store.root.glob("*/*/*/index.json"):
        document = json.loads(path.read_bytes())
        document.pop("made_from", None)
        path.write_text(json.dumps(document))
    assert collect(store, Limits(unfinished=True), remove=True).going == []
    assert set(inventory(store)) == before
