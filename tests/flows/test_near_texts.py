"""Near copies of texts through a whole build: planted ones go, rows that only look alike stay."""

import json
import random
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from PIL import Image as PillowImage

from filters.text_bands import TextBands
from flows.executor import LocalRunner
from flows.explain import explain
from flows.mixes import Mix, find
from flows.run import checked, run_with
from manifests.load import load_recipe
from shards.errors import UsageError
from shards.store import Store

pytestmark = pytest.mark.integration

DISTINCT = 60
Row = dict[str, str]


def prose(rng: random.Random, words: int) -> list[str]:
    return ["".join(rng.choices("abcdefghij", k=rng.randint(3, 8))) for _ in range(words)]


def row(question: list[str] | str, answer: list[str] | str, **more: str) -> Row:
    joined = {"q": question, "a": answer}
    return {name: part if isinstance(part, str) else " ".join(part) for name, part in joined.items()} | more


def planted() -> dict[str, list[Row]]:
    """Rows by what they are; the rows of `copies` copy the first of `distinct`, in their order."""
    rng = random.Random(7)
    texts = [(prose(rng, 30), prose(rng, 80)) for _ in range(DISTINCT)]
    copies = []
    for place, (question, answer) in enumerate(texts[:10]):
        changed = [*answer[:40], "changed", *answer[41:]] if place % 2 else [*answer, "indeed", "."]
        copies.append(row(" ".join(question).upper(), changed))
    passage, form = prose(rng, 120), prose(rng, 60)
    return {
        "distinct": [row(*text) for text in texts],
        "copies": copies,
        "asked of one passage": [row([*passage, *prose(rng, 6)], "yes") for _ in range(3)],
        "other numbers": [row(f"{' '.join(passage[:60])} take {number} away", "as said") for number in range(4)],
        "a form": [row([*form[:30], *prose(rng, 2), *form[30:]], "positive") for _ in range(8)],
        "short": [row("yes ?", "yes"), row("no ?", "no"), row("yes", "yes")],
        "other scripts": [
            row("\u6c34\u5728\u6cb3\u91cc" * 9, "\u6d41" * 40),
            row("\u6c34\u5728\u6cb3\u91cc" * 9 + "\u3002", "\u6d41" * 41),
        ],
        "with a picture": [row(texts[0][0], [*texts[0][1], "more"], i="p.png")],
    }


@pytest.fixture(scope="module")
def rows() -> dict[str, list[Row]]:
    return planted()


def build(root: Path, rows: dict[str, list[Row]], dedup: dict[str, Any], *, name: str = "near") -> Mix:
    raw = root / "raw"
    if not raw.is_dir():
        raw.mkdir(parents=True)
        PillowImage.linear_gradient("L").resize((64, 64)).save(raw / "p.png")
        lines = [json.dumps(each) for group in rows.values() for each in group]
        middle = len(lines) // 2  # copies stand in the other source
        (raw / "one.jsonl").write_text("\n".join(lines[:middle]))
        (raw / "two.jsonl").write_text("\n".join(lines[middle:]))
    columns = {"user": ["q"], "assistant": ["a"], "images": ["i"]}
    entries = [
        {"id": each, "source": {"layout": "table", "files": f"{each}.jsonl", "root": ".", "columns": columns}}
        for each in ("one", "two")
    ]
    path = raw / f"{name}.yaml"
    path.write_text(yaml.safe_dump({"name": name, "judge": "off", "dedup": dedup, "entries": entries}))
    store = Store(root / "store")
    run_with(checked(str(path), store), store, LocalRunner(None), None, lambda *_: None)
    return find(store, name)["sft"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("near")


@pytest.fixture(scope="module")
def mix(root: Path, rows: dict[str, list[Row]]) -> Mix:
    return build(root, rows, {"text": {"similarity": 0.8}})


def keys(rows: dict[str, list[Row]], group: str) -> list[str]:
    order = [name for name, group_rows in rows.items() for _ in group_rows]
    middle = len(order) // 2
    places = [place for place, name in enumerate(order) if name == group]
    return [f"one/train/{place}" if place < middle else f"two/train/{place - middle}" for place in places]


def clusters(mix: Mix) -> pl.DataFrame:
    return pl.read_parquet(mix.box.path / "clusters.parquet")


def test_planted_copies_are_dropped_and_nothing_else(mix: Mix, rows: dict[str, list[Row]]) -> None:
    members = clusters(mix).filter(pl.col("reason") == "near_text")
    found = dict(members.select("key", "duplicate_of").iter_rows())
    scripts = keys(rows, "other scripts")
    expected = dict(zip(keys(rows, "copies"), keys(rows, "distinct"), strict=False))
    assert found == {**expected, scripts[1]: scripts[0]}
    assert members["similarity"].is_between(0.8, 1).all()
    decisions = pl.read_parquet(mix.box.path / "decisions.parquet")
    assert set(decisions.filter(pl.col("outcome") == "duplicate")["key"]) == set(found)


def test_rows_are_accounted_for(mix: Mix, rows: dict[str, list[Row]]) -> None:
    total = mix.manifest.totals
    total.check("totals")
    number = sum(map(len, rows.values()))
    assert (total.read, total.keep) == (number, number)
    assert total.duplicates == len(rows["copies"]) + 1
    assert total.emitted == number - total.duplicates


def test_explain_says_how_similar_a_copy_is(mix: Mix, rows: dict[str, list[Row]]) -> None:
    copy, kept = keys(rows, "copies")[1], keys(rows, "distinct")[1]
    cluster = {member["key"]: member for member in explain(copy, [mix]).entries[0].cluster}
    assert set(cluster) == {copy, kept}
    assert cluster[kept]["reason"] == "kept"
    assert cluster[copy]["reason"] == "near_text" and cluster[copy]["duplicate_of"] == kept
    # 76 shingles of five words in 80, of which five hold the changed word
    assert cluster[copy]["similarity"] == pytest.approx(71 / 81, abs=1e-4)


@pytest.mark.parametrize(
    ("text", "more"),
    [
        ({"similarity": 0.95}, -6),  # copies with a word changed are less alike
        ({"similarity": 0.8, "same_numbers": False}, 3),
        (None, -11),
    ],
)
def test_the_recipe_says_what_near_is(
    root: Path, mix: Mix, rows: dict[str, list[Row]], text: dict[str, Any] | None, more: int
) -> None:
    other = build(root, rows, {"text": text} if text else {}, name="other")
    assert other.manifest.totals.duplicates == mix.manifest.totals.duplicates + more


def test_without_near_texts_no_bands_are_made(tmp_path: Path, rows: dict[str, list[Row]]) -> None:
    def tables(root: Path) -> list[str]:
        return [path.name for path in root.rglob("index.json") if TextBands.__name__ in path.read_text()]

    build(tmp_path, rows, {})
    assert tables(tmp_path) == []
    build(tmp_path, rows, {"text": {}}, name="near_again")
    assert len(tables(tmp_path)) == 2


@pytest.mark.parametrize("dedup", ["{text: {similarity: 0.5}}", "{text: {similarity: 1.1}}", "{text: {words: 5}}"])
def test_a_similarity_that_bands_do_not_find_is_refused(tmp_path: Path, dedup: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(f"name: bad\ndedup: {dedup}\nentries: [{{id: a, source: b}}]\n")
    with pytest.raises(UsageError, match="text"):
        load_recipe(str(path))
