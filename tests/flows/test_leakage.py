"""Benchmark rows planted in training data: indexed, found, counted, told, by the command line."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml
from commands import Done, Vlmix
from PIL import Image, ImageDraw, ImageFont, ImageOps

pytestmark = pytest.mark.integration

COLUMNS = {"user": ["q"], "assistant": ["a"], "images": ["i"]}
BENCHMARK = {
    "name": "rivers",
    "split": "test",
    "layout": "table",
    "layout_evidence": "real rows",
    "files": "rows.jsonl",
}

QUESTIONS = [
    ("Which river on the map reaches the sea north of the harbour town of Ostrava Bay?", "the Wendel river"),
    ("How many bridges cross the canal between the old mill and the customs house?", "seventeen stone bridges"),
    ("What is the title?", "Annual flow of the Wendel river at Brandt"),
    ("What is shown in the picture?", "a map"),
    (
        "Which of the four gauging stations reports the highest water level in spring?\nA. Brandt\nB. Ostrava\nC. Mill",
        "A",
    ),
    ("What is shown in the picture?", "a chart of rainfall"),
]


def photo(seed: int, size: tuple[int, int] = (360, 270)) -> Image.Image:
    """Soft shapes under fine ones."""
    rng = np.random.default_rng(seed)
    width, height = size
    layers = [rng.normal(0, 1, (height // step, width // step, 3)) for step in (4, 12, 45, 90)]
    weights = (6, 14, 30, 40)
    grown = [
        np.stack(
            [
                np.asarray(Image.fromarray(layer[..., band].astype(np.float32)).resize(size, Image.Resampling.BICUBIC))
                for band in range(3)
            ],
            axis=-1,
        )
        for layer in layers
    ]
    mixed = sum(weight * layer for weight, layer in zip(weights, grown, strict=True))
    return Image.fromarray(np.clip(128 + mixed, 0, 255).astype(np.uint8))


def captioned(image: Image.Image) -> Image.Image:
    """The picture above a strip with words."""
    strip = ImageOps.expand(image, (0, 0, 0, 24), fill="white")
    ImageDraw.Draw(strip).text(
        (8, image.height + 4), "Figure 7: as seen", font=ImageFont.load_default(14), fill="black"
    )
    return strip


def copies(image: Image.Image) -> dict[str, bytes]:
    """What happens to pictures on their way into training data."""
    width, height = image.size
    box = (0.07 * width, 0.02 * height, 0.98 * width, 0.92 * height)
    return {
        "jpeg": encoded(image, quality=35),
        "crop": encoded(image.crop(tuple(round(value) for value in box)), quality=85),
        "small": encoded(image.resize((200, 150), Image.Resampling.LANCZOS), quality=85),
        "gray": encoded(image.convert("L"), quality=85),
        "caption": encoded(captioned(image), quality=85),
        "mirror": encoded(ImageOps.mirror(image), quality=85),
    }


def encoded(image: Image.Image, **options: Any) -> bytes:
    target = io.BytesIO()
    image.save(target, "JPEG", **options)
    return target.getvalue()


def write_rows(folder: Path, rows: list[tuple[str, str, bytes | None]]) -> None:
    folder.mkdir(parents=True)
    lines = []
    for number, (question, answer, picture) in enumerate(rows):
        if picture is not None:
            (folder / f"{number}.jpg").write_bytes(picture)
        lines.append({"q": question, "a": answer, "i": f"{number}.jpg" if picture is not None else None})
    (folder / "rows.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))


ASIDE = "What might somebody say about this?"
"""A question that no benchmark asks."""

LEAKED: dict[str, tuple[str, str, bytes | None]] = {
    **{f"picture, {name}": (ASIDE, "Much.", data) for name, data in copies(photo(1)).items()},
    "picture and question": ("What is the title?", "Flow of a river.", copies(photo(2))["jpeg"]),
    "question, other words": (
        "Please tell me: which river on the map reaches the ocean north of the harbour town of Ostrava Bay",
        "It is the Wendel river.",
        encoded(photo(101), quality=85),
    ),
    "question with its options": (QUESTIONS[4][0].upper(), "Mill", encoded(photo(102), quality=85)),
    "short question, telling answer": (*QUESTIONS[2], encoded(photo(103), quality=85)),
}
CLEAN: dict[str, tuple[str, str, bytes | None]] = {
    "common question": (*QUESTIONS[3], encoded(photo(104), quality=85)),
    "same question, another answer": (QUESTIONS[1][0], "four", encoded(photo(105), quality=85)),
    "another title": ("What is the title?", "Monthly sales of bicycles in the north", encoded(photo(106), quality=85)),
    "text alone": ("Which river is the longest one of them all?", "Nobody knows that for sure.", None),
    **{f"photo {seed}": (ASIDE, "Much.", encoded(photo(seed), quality=85)) for seed in range(200, 230)},
}
ROWS = list((LEAKED | CLEAN).items())
KINDS = {
    **{name: "picture" for name in LEAKED if name.startswith("picture, ")},
    "picture and question": "picture_question",
    "question, other words": "question",
    "question with its options": "question",
    "short question, telling answer": "question",
}


class Made:
    """A store with an indexed benchmark and a finished build."""

    def __init__(self, root: Path, vlmix: Vlmix) -> None:
        self.root, self.vlmix, self.store = root, vlmix, root / "store"
        write_rows(root / "bench", [(q, a, encoded(photo(n), quality=92)) for n, (q, a) in enumerate(QUESTIONS)])
        (root / "own").mkdir()
        (root / "own" / "rivers.yaml").write_text(yaml.safe_dump({**BENCHMARK, "columns": COLUMNS}))
        write_rows(root / "train", [row for _, row in ROWS])

    def run(self, *words: str | Path) -> Done:
        return self.vlmix(*words, "--store", self.store, "--json", env={"VLMIX_CATALOG": str(self.root / "own")})

    def build(self, **fields: object) -> dict[str, Any]:
        source = {"layout": "table", "files": "rows.jsonl", "root": ".", "columns": COLUMNS}
        recipe = {"name": "small", "judge": "off", "dedup": {"level": "off"}, **fields}
        path = self.root / "train" / "small.yaml"
        path.write_text(yaml.safe_dump({**recipe, "entries": [{"id": "mine", "source": source}]}))
        done = self.run("run", "build-sft-mix", "--recipe", path)
        assert done.code == 0, done.err
        return done.document

    def scores(self, built: dict[str, Any]) -> dict[str, tuple[Any, ...]]:
        """Row name -> benchmark, kind, benchmark's row, distance."""
        table = pl.read_parquet(Path(built["mix"]) / "scores.parquet").sort("position")
        columns = ("leak_benchmark", "leak_kind", "leak_row", "leak_distance")
        return {name: row for (name, _), row in zip(ROWS, table.select(columns).iter_rows(), strict=True)}


@pytest.fixture(scope="module")
def made(vlmix: Vlmix, tmp_path_factory: pytest.TempPathFactory) -> Made:
    made = Made(tmp_path_factory.mktemp("leakage"), vlmix)
    done = made.run("scores", "leakage", "index", "rivers", "--folder", made.root / "bench")
    assert done.code == 0, done.err
    assert (done.document["rows"], done.document["pictures"], done.document["pairs"]) == (6, 6, 2)
    return made


@pytest.fixture(scope="module")
def built(made: Made) -> dict[str, Any]:
    return made.build(leakage={"benchmarks": ["rivers"]})


def test_what_is_leaked_is_found_and_nothing_else(made: Made, built: dict[str, Any]) -> None:
    found = {name: kind for name, (_, kind, _, _) in made.scores(built).items() if kind}
    assert found == KINDS


def test_a_finding_names_the_row_of_the_benchmark(made: Made, built: dict[str, Any]) -> None:
    scores = made.scores(built)
    assert scores["picture and question"][:3] == ("rivers", "picture_question", "rivers/test/2")
    assert scores["question, other words"][2] == "rivers/test/0"
    assert scores["question with its options"][2] == "rivers/test/4"
    assert 0 < scores["question, other words"][3] < 0.6
    assert scores["short question, telling answer"][3] == 0


def test_rows_keep_their_verdicts_and_are_counted(built: dict[str, Any]) -> None:
    assert built["totals"]["keep"] == len(ROWS)
    leakage = json.loads(Path(built["manifest"]).read_text())["leakage"]["rivers"]
    kinds = list(KINDS.values())
    counts = {kind: {"found": kinds.count(kind), "written": kinds.count(kind)} for kind in set(kinds)}
    assert leakage["entries"] == {"mine": counts}
    assert (leakage["rows"], leakage["pictures"]) == (6, 6)
    report = Path(built["report"]).read_text()
    assert "Benchmarks" in report and "rivers" in report


def test_explain_says_what_decided(made: Made, built: dict[str, Any]) -> None:
    names = [name for name, _ in ROWS]
    story = made.run("explain", f"mine/train/{names.index('picture and question')}").document
    (leak,) = story["leaks"]
    assert (leak["benchmark"], leak["row"], leak["kind"]) == ("rivers", "rivers/test/2", "picture_question")
    assert leak["reason"].startswith("picture: ") and leak["bits"] <= 8
    words = made.vlmix("explain", f"mine/train/{names.index('question, other words')}", "--store", made.store).out
    assert "question of rivers/test/0" in words and "the same answer" in words


def test_the_index_holds_no_word_of_the_benchmark(made: Made) -> None:
    assert not list((made.store / "leakage").glob(".making/*"))
    held = b"".join(path.read_bytes() for path in (made.store / "leakage").rglob("*") if path.is_file())
    assert len(held) > 10_000
    for word in (b"Wendel", b"wendel", b"bridges", b"gauging"):
        assert word not in held


def test_the_rule_set_sends_findings_to_people(made: Made, built: dict[str, Any]) -> None:
    again = made.build(leakage={"benchmarks": ["rivers"]}, rules={"extends": ["leakage"]})
    assert again["totals"]["review"] == len(LEAKED)
    assert again["digest"] != built["digest"]
    assert made.build(leakage={"benchmarks": ["rivers"]})["steps"]["executed"] == 0


def test_another_index_makes_another_mixture(made: Made, built: dict[str, Any], tmp_path: Path) -> None:
    write_rows(tmp_path / "later", [(q, a, None) for q, a in QUESTIONS])
    assert made.run("scores", "leakage", "index", "rivers", "--folder", tmp_path / "later").code == 0
    later = made.build(leakage={"benchmarks": ["rivers"]})
    assert later["mix"] != built["mix"]
    kinds = {name: row[1] for name, row in made.scores(later).items() if row[1]}
    # without pictures a question is what the benchmark has, whatever the answer
    asked = {name: kind for name, kind in KINDS.items() if kind == "question"}
    assert kinds == asked | {"same question, another answer": "question"}
    assert made.run("scores", "leakage", "index", "rivers", "--folder", made.root / "bench").code == 0
    assert made.build(leakage={"benchmarks": ["rivers"]})["mix"] == built["mix"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"leakage": {"benchmarks": ["nowhere"]}}, "run `vlmix scores leakage index nowhere`"),
        ({"leakage": {"benchmarks": ["rivers", "rivers"]}}, "benchmark `rivers` stands twice"),
        ({"rules": {"extends": ["leakage"]}}, "name the benchmarks"),
    ],
)
def test_a_recipe_that_cannot_work_is_told_before_any_work(made: Made, fields: dict[str, object], said: str) -> None:
    with pytest.raises(AssertionError, match="vlmix: ") as caught:
        made.build(**fields)
    assert said in str(caught.value)
