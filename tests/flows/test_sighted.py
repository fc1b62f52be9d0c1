"""Rows asked with their pictures: which, in what portions, what is kept, and what a judge must be able to do."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from judges import Scripted
from pictures import noise

from filters.judges.base import Reply, Request
from filters.judges.likelihood import Likelihood
from flows import ledger
from flows.executor import LocalRunner
from flows.mixes import Mix, find_one
from flows.run import Finished, checked, run_with
from manifests.manifest import JudgeCounts
from shards.errors import GateError, RecipeError
from shards.store import Store

ROWS = ["one", "two apart", "none", "fails", "grade=1 cut", "silent mass=0.2"]
RULES = [
    {"name": "unlike", "when": "correspondence < 3", "then": "drop"},
    {"name": "unread", "when": "correspondence_cut", "then": "review"},
    {"name": "blind", "when": "blind_answerable > 0.5 AND visual_gain < 0.1", "then": "drop"},
]


@dataclass(frozen=True, slots=True)
class Looking:
    """Scripted, with eyes: the likelihood of a sample follows the number of its pictures."""

    log: str
    sees: str = "sight-2"

    @property
    def judge_id(self) -> str:
        return "looking"

    @property
    def foretells(self) -> bool:
        return True

    def __call__(self, requests: list[Request]) -> list[Reply]:
        self._write(requests)
        return Scripted(self.log + ".text")([replace(each, images=()) for each in requests])

    def likelihoods(self, requests: list[Request]) -> list[Likelihood]:
        self._write(requests)
        return [self._likelihood(each) for each in requests]

    def _likelihood(self, request: Request) -> Likelihood:
        if "fails" in request.sample_text and not Path(self.log).with_name("up").exists():
            return Likelihood("engine_error")
        return Likelihood("scored", 0.5 * len(request.images) - 0.5, 0.75, False)

    def _write(self, requests: list[Request]) -> None:
        with Path(self.log).open("a") as file:
            said = [each.sample_text.rpartition("\n")[2] for each in requests]
            sizes = [[len(image) for image in each.images] for each in requests]
            file.write(json.dumps([requests[0].prompt_id, said, sizes]) + "\n")


Make = Callable[..., Finished]


def recipe(folder: Path, rules: list[dict[str, str]] = RULES, **more: Any) -> Path:
    pictures = {"two apart": ("a.png", "b.png"), "none": ()}
    rows = []
    for place, text in enumerate(ROWS):
        names = pictures.get(text, ("a.png",))
        turns = [{"from": "human", "value": "<image>\n" * len(names) + "What is this?"}, {"from": "gpt", "value": text}]
        rows.append({"id": place, "image": list(names), "conversations": turns})
    (folder / "data.json").write_text(json.dumps(rows))
    (folder / "a.png").write_bytes(noise(1))
    (folder / "b.png").write_bytes(noise(2, 70, 30))
    entry = {"id": "mine", "source": {"layout": "llava", "files": "data.json", "root": "."}}
    written = {"name": "looked", "rules": {"list": rules}, "dedup": {"level": "off"}, "entries": [entry], **more}
    (folder / "recipe.yaml").write_text(json.dumps(written))  # JSON is YAML
    return folder / "recipe.yaml"


MODEL = {"backend": "vllm", "model": "weights", "options": {"max_images": 2}}


@pytest.fixture
def judge(tmp_path: Path) -> Looking:
    return Looking(str(tmp_path / "log"))


@pytest.fixture
def make(tmp_path: Path, judge: Looking) -> Make:
    def run(asked: Any = judge) -> Finished:
        place = Store(tmp_path / "store")
        prepared = replace(checked(str(tmp_path / "recipe.yaml"), place), judge=asked)
        return run_with(prepared, place, LocalRunner(None), None, lambda step, done: None)

    return run


def mix(tmp_path: Path) -> Mix:
    return find_one(Store(tmp_path / "store"), "looked")


def calls(judge: Looking) -> list[list[Any]]:
    return [json.loads(line) for line in Path(judge.log).read_text().splitlines()]


def test_rows_are_asked_with_their_pictures(make: Make, judge: Looking, tmp_path: Path) -> None:
    recipe(tmp_path, judge=MODEL)
    (tmp_path / "up").touch()
    make()
    one, other = (len(picture) for picture in (noise(1), noise(2, 70, 30)))
    graded, foretold = calls(judge)
    assert graded == [
        "correspondence",
        ["one", "two apart", "fails", "grade=1 cut", "silent mass=0.2"],
        [[one], [one, other], [one], [one], [one]],
    ]
    # dropped rows are not asked again; neither are those that a person will see
    assert foretold == [
        "likelihood",
        ["one", "two apart", "fails", "silent mass=0.2"],
        [[one], [one, other], [one], [one]],
    ]
    scores = mix(tmp_path).scores
    assert scores["correspondence"].to_list() == [8.0, 8.0, None, 8.0, 1.0, None]
    assert scores["correspondence_state"].to_list() == [None, None, "not_applicable", None, None, "no_answer"]
    assert scores["visual_gain"].to_list() == [0.0, 0.5, None, 0.0, None, 0.0]
    assert scores["visual_gain_state"].to_list() == [None, None, "not_applicable", None, "not_asked", None]
    assert scores["blind_answerable"].to_list() == [0.75, 0.75, None, 0.75, None, 0.75]
    assert mix(tmp_path).decisions["verdict"].to_list() == ["drop", "keep", "keep", "drop", "drop", "drop"]


def test_counts_and_names(make: Make, judge: Looking, tmp_path: Path) -> None:
    recipe(tmp_path, judge=MODEL)
    (tmp_path / "up").touch()
    make()
    manifest = mix(tmp_path).manifest
    assert manifest.judged == {
        "correspondence": JudgeCounts(concerned=6, decided=1, asked=5, scored=4, no_answer=1, cut=1),
        "likelihood": JudgeCounts(concerned=6, decided=2, asked=4, scored=4),
    }
    assert manifest.judge == "looking" and set(manifest.prompts) == {"correspondence", "likelihood", "pictures"}
    assert manifest.prompts["pictures"] == "sight-2"


def test_failed_calls_are_asked_again_and_nothing_else(make: Make, judge: Looking, tmp_path: Path) -> None:
    recipe(tmp_path, judge=MODEL)
    with pytest.raises(GateError, match="2 calls of the judge failed"):
        make()
    before = len(calls(judge))
    (tmp_path / "up").touch()
    make()
    assert [(name, said) for name, said, _ in calls(judge)[before:]] == [
        ("correspondence", ["fails"]),
        ("likelihood", ["fails"]),
    ]


def test_few_rows_are_in_memory_at_a_time(
    make: Make, judge: Looking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe(tmp_path, judge=MODEL)
    (tmp_path / "up").touch()
    monkeypatch.setattr(ledger, "SIGHTED_ROWS", 2)
    make()
    assert [len(said) for name, said, _ in calls(judge) if name == "correspondence"] == [2, 2, 1]
    files = [path for path in (tmp_path / "store" / "scores").rglob("asked-*.parquet")]
    assert sorted(pl.read_parquet(path).height for path in files) == [4, 5]


def test_another_way_to_show_pictures_asks_again_about_pictures_only(
    make: Make, judge: Looking, tmp_path: Path
) -> None:
    fits = {"name": "fits", "when": "relevance < 3", "then": "drop"}
    recipe(tmp_path, [fits, *RULES], judge=MODEL)
    (tmp_path / "up").touch()
    make()
    before = len(calls(judge))
    make(replace(judge, sees="sight-3"))
    assert [name for name, _, _ in calls(judge)[before:]] == ["correspondence", "likelihood"]


def test_a_mixture_has_the_scores_that_its_rules_read(make: Make, judge: Looking, tmp_path: Path) -> None:
    recipe(tmp_path, judge=MODEL)
    (tmp_path / "up").touch()
    make()
    columns = set(mix(tmp_path).scores.columns)
    assert {"quality", "correspondence_spread", "likelihood_cut"} <= columns
    assert not columns & {"relevance", "visual_dependency", "visual_dependency_state"}


@pytest.mark.parametrize(
    ("settings", "rule", "message"),
    [
        ("tiny", "relevance < 3", "rule `r` asks for relevance, of which the judge `tiny` knows nothing"),
        ("tiny", "visual_gain < 0", "rule `r` asks for likelihood, of which the judge `tiny` knows nothing"),
        ({"backend": "vllm", "model": "m"}, "visual_dependency < 3", "needs a judge that sees pictures"),
        ({"backend": "vllm", "model": "m"}, "blind_answerable > 0.5", "needs a judge that sees pictures"),
        (
            {"backend": "http", "model": "m", "urls": ["http://x"], "options": {"tokenizer": "t"}},
            "correspondence_mass < 0.5",
            "needs a judge that sees pictures",
        ),
        (
            {
                "backend": "http",
                "model": "m",
                "urls": ["http://x"],
                "options": {"tokenizer": "t", "max_images": 2, "api": "chat"},
            },
            "visual_gain < 0",
            "needs `api: token_ids`",
        ),
        ({**MODEL, "options": {"max_images": -1}}, "correspondence < 3", "max_images"),
        ("off", "correspondence < 3", "judge: off"),
    ],
)
def test_a_judge_that_cannot_do_it_is_refused_before_any_work(
    tmp_path: Path, settings: Any, rule: str, message: str
) -> None:
    path = recipe(tmp_path, [{"name": "r", "when": rule, "then": "drop"}], judge=settings)
    with pytest.raises(RecipeError, match=message):
        checked(str(path), Store(tmp_path / "store"))
