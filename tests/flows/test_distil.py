"""A student from a mixture's ledgers to a recipe that uses it: what is learnt, held out, spared and said."""

import hashlib
import json
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from commands import Vlmix
from judges import Scripted

from filters.judges import prompt
from filters.judges.base import Judge
from filters.student import Student
from flows import distilling
from flows.copying import Copying, copying, copying_lines
from flows.distilling import distil, gather
from flows.executor import LocalRunner
from flows.mixes import Mix, find_one
from flows.run import Finished, checked, run_with
from manifests.manifest import JudgeCounts
from shards.errors import UsageError
from shards.files import file_sha256, fingerprint
from shards.store import Store

COUNT = 700
WORDS = ("river", "stone", "apple", "garden", "window", "letter", "winter", "market", "bridge", "silver", "candle")

Make = Callable[..., Finished]


def rows(count: int = COUNT) -> list[tuple[str, str]]:
    """Sentences of chance words; of ten, two hold filler text and one ends in the middle."""
    chance = random.Random(1)
    found = []
    for number in range(count):
        body = " ".join(chance.choices(WORDS, k=chance.randint(5, 60)))
        ends = (" Lorem ipsum dolor.", " Lorem ipsum dolor.", " and the", *("." for _ in range(7)))
        found.append((f"Write about case {number}.", f"The {body}{chance.choice(ends)}"))
    return found


def write_recipe(folder: Path, samples: list[tuple[str, str]], **more: Any) -> Path:
    data = [{"question": question, "answer": answer} for question, answer in samples]
    (folder / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in data))
    source = {"layout": "table", "files": "data.jsonl", "columns": {"user": ["question"], "assistant": ["answer"]}}
    written = {"name": "taught", "rules": {"extends": ["default"]}, "dedup": {"level": "off"}}
    written |= {"entries": [{"id": "mine", "source": source}], **more}
    (folder / "recipe.yaml").write_text(json.dumps(written))  # JSON is YAML
    return folder / "recipe.yaml"


def build(folder: Path, judge: Judge | None = None) -> Mix:
    store = Store(folder / "store")
    prepared = checked(str(folder / "recipe.yaml"), store)
    if judge is not None:
        prepared = replace(prepared, judge=judge)
    run_with(prepared, store, LocalRunner(None), None, lambda step, done: None)
    return find_one(store, "taught")


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a recipe, its store, graded by the embedded judge, and a student of it."""
    folder = tmp_path_factory.mktemp("taught")
    write_recipe(folder, rows())
    build(folder)
    distil("taught", Store(folder / "store"), folder / "student.npz", criterion="quality")
    return folder


@pytest.fixture
def copy(taught: Path, tmp_path: Path) -> Path:
    """The same folder, to be written to."""
    shutil.copytree(taught, tmp_path / "copy")
    return tmp_path / "copy"


def report(folder: Path) -> Copying:
    return Copying.model_validate(Student.of(folder / "student.npz").head.report)


def share(text: str, seed: int = 0) -> float:
    return int.from_bytes(hashlib.blake2b(f"{seed}/{text}".encode(), digest_size=8).digest(), "big") / 2**64


def guesses(folder: Path) -> pl.DataFrame:
    """Keys, grades, guesses and parts, from the mixture's tables and the student as a filter."""
    mix = find_one(Store(folder / "store"), "taught")
    samples = mix.samples(mix.decisions.select("entry", "key", "position"))
    found = Student.of(folder / "student.npz")(samples)
    scores = mix.scores.select("key", "text_hash", pl.col("quality").alias("grade"))
    assert scores["key"].equals(samples["key"])
    part = pl.Series("part", [share(str(text)) for text in scores["text_hash"]])
    return scores.hstack(found).with_columns(part).filter(pl.col("grade").is_not_null())


def test_the_figures_are_those_of_the_file_on_rows_held_out(taught: Path) -> None:
    found, table = report(taught), guesses(taught)
    test, aside = (
        table.filter(pl.col("part") >= 0.85),
        table.filter(pl.col("part").is_between(0.7, 0.85, closed="left")),
    )
    assert found.learnt + found.aside + found.figures.rows == table.height == COUNT
    assert (found.figures.rows, found.aside) == (test.height, aside.height)
    grade, made = test["grade"], test["student_quality"]
    assert found.figures.mae == pytest.approx((grade - made).abs().mean(), abs=1e-6)
    assert found.figures.agreement == pytest.approx(((grade >= 7) == (made >= 7)).mean(), abs=1e-6)
    misses = (aside["grade"] - aside["student_quality"]).abs().sort()
    assert found.half_width == pytest.approx(misses[-(-9 * (aside.height + 1) // 10) - 1], abs=1e-6)
    assert found.coverage == pytest.approx(((grade - made).abs() <= found.half_width).mean(), abs=1e-6)
    spared = test.filter(pl.col("student_quality_low") >= 7)
    (first, second, *_) = found.tails
    assert (first.when, first.keeps) == ("student_quality_low >= 7", True)
    assert first.saved == pytest.approx(spared.height / test.height, abs=1e-6)
    assert (first.changed, first.of) == ((spared["grade"] < 7).sum(), (grade < 7).sum())
    gone = test.filter(pl.col("student_quality_high") < 7)
    assert second.saved == pytest.approx(gone.height / test.height, abs=1e-6)
    assert second.changed == (gone["grade"] >= 7).sum()
    assert first.sources == {"mine": (test.height, spared.height, first.changed)}


def test_it_learns_what_words_can_tell(taught: Path) -> None:
    found = report(taught)
    assert found.figures.spearman is not None and found.figures.spearman > 0.5
    assert found.figures.auc is not None and found.figures.auc > 0.95
    assert found.figures.mae < found.mae_of_constant / 4
    assert found.figures.agreement > found.agreement_of_constant + 0.1
    assert sum(each.rows for each in found.bins) == found.figures.rows
    assert found.bins[0].below == 1.0 and found.bins[-1].below == 0.0
    assert found.keep_limit is not None


def test_the_same_rows_give_the_same_bytes(taught: Path, tmp_path: Path) -> None:
    store = Store(taught / "store")
    distil(str(taught / "recipe.yaml"), store, tmp_path / "again.npz", criterion="quality")
    assert (tmp_path / "again.npz").read_bytes() == (taught / "student.npz").read_bytes()
    distil("taught", store, tmp_path / "other.npz", criterion="quality", seed=1)
    assert (tmp_path / "other.npz").read_bytes() != (taught / "student.npz").read_bytes()


def test_the_same_text_is_never_learnt_and_held_out(tmp_path: Path) -> None:
    once = rows(400)
    write_recipe(tmp_path, [*once, *((question.upper(), answer + "  ") for question, answer in once)])
    mix = build(tmp_path)
    store = Store(tmp_path / "store")
    gathered = gather(store, [mix], "quality", "tiny-2", seed=0).frame
    assert gathered.height == 800
    by_text = gathered.join(mix.scores.select("key", "text_hash"), on="key").group_by("text_hash").agg("part")
    assert by_text.height == 400 and set(by_text["part"].list.len()) == {2}
    assert set(by_text["part"].list.n_unique()) == {1}
    distil("taught", store, tmp_path / "student.npz", criterion="quality")
    learnt = sorted(gathered.filter(pl.col("part") < 0.7)["key"])
    assert Student.of(tmp_path / "student.npz").head.trained_on == fingerprint(learnt)


def test_answers_of_earlier_mixtures_count(copy: Path, tmp_path: Path) -> None:
    # no row is asked in this mixture; the ledger of the same samples, judge and prompts holds all
    write_recipe(copy, rows(), judge={"backend": "tiny", "ask_when": {"quality": "answer_chars > 100000"}})
    mix = build(copy)
    assert mix.scores["quality"].null_count() == COUNT
    found = distil("taught", Store(copy / "store"), tmp_path / "student.npz", criterion="quality")
    assert found.figures == report(copy).figures
    assert found.ask_when == "answer_chars > 100000"
    assert "only rows where answer_chars > 100000" in "\n".join(copying_lines(found))


def test_more_rows_than_are_read_are_chosen_by_a_hash(
    taught: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distilling, "MOST_ROWS", 600)
    found = gather(Store(taught / "store"), [find_one(Store(taught / "store"), "taught")], "quality", "tiny-2", seed=0)
    keys = guesses(taught)["key"]
    assert found.frame["key"].to_list() == [key for key in keys if share(key) <= sorted(map(share, keys))[599]]
    assert found.batch.height == 600


@pytest.mark.parametrize(
    ("name", "criterion", "message"),
    [
        ("taught", "taste", "copies `quality` or `repetition`, not `taste`"),
        ("absent", "quality", "no mixture `absent`"),
        ("taught", "repetition", "gave 10 to all|nothing to learn"),
    ],
)
def test_what_cannot_be_distilled_is_said(
    taught: Path, tmp_path: Path, name: str, criterion: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        distil(name, Store(taught / "store"), tmp_path / "s.npz", criterion=criterion)
    assert not (tmp_path / "s.npz").exists()


@pytest.mark.parametrize(
    ("count", "more", "message"),
    [
        (60, {}, "graded 60 rows for `quality`; a student needs 500"),
        (60, {"judge": "off", "rules": {}}, "says `judge: off`"),
        (60, {"rules": {}}, "no rule of recipe `taught` asks its judge for `quality`"),
    ],
)
def test_too_little_to_learn_from_is_said(tmp_path: Path, count: int, more: dict[str, Any], message: str) -> None:
    write_recipe(tmp_path, rows(count), **more)
    build(tmp_path)
    with pytest.raises(UsageError, match=message):
        distil("taught", Store(tmp_path / "store"), tmp_path / "s.npz", criterion="quality")


def test_one_text_for_all_cannot_be_parted(tmp_path: Path) -> None:
    write_recipe(tmp_path, [("Say it.", "It is said.")] * 600)
    build(tmp_path, Counting(str(tmp_path / "log")))
    with pytest.raises(UsageError, match="too few different texts"):
        distil("taught", Store(tmp_path / "store"), tmp_path / "s.npz", criterion="quality")


class Mathematical(Scripted):
    """Grades 3 or 4 when asked about mathematics, and 8 when asked about anything else."""

    def __call__(self, requests):
        asked = [(each.prompt_id == "quality_mathematics", len(each.sample_text)) for each in requests]
        return [self._reply(f"grade={3 + size % 2 if mine else 8}", True) for mine, size in asked]


def test_answers_to_the_prompt_of_another_domain_do_not_count(tmp_path: Path) -> None:
    judge = Mathematical(str(tmp_path / "log"))
    path = write_recipe(tmp_path, rows(520))
    build(tmp_path, judge)
    text = json.loads(path.read_text())
    text["entries"][0]["judge_domain"] = "mathematics"
    path.write_text(json.dumps(text))
    mix = build(tmp_path, judge)
    found = gather(Store(tmp_path / "store"), [mix], "quality", judge.judge_id, seed=0).frame
    assert found.height == found["key"].n_unique() == 520
    assert set(found["grade"]) == {3.0, 4.0}


class Counting(Scripted):
    """Gives 7 and 8 in turn."""

    def __call__(self, requests):
        return [self._reply(f"grade={7 + place % 2}", True) for place in range(len(requests))]


def change_prompt(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(prompt.PROMPTS, folder / "prompts")
    path = folder / "prompts" / "quality_general.md"
    path.write_text(path.read_text() + "\nBe strict.\n")
    monkeypatch.setattr(prompt, "PROMPTS", folder / "prompts")
    prompt.load_prompt.cache_clear()


def test_a_changed_prompt_is_noticed(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_recipe(copy, rows(), judge={"backend": "tiny", "students": {"quality": "student.npz"}})
    try:
        change_prompt(copy, monkeypatch)
        with pytest.raises(UsageError, match="prompt `quality_general` has changed since the mixture was made"):
            distil("taught", Store(copy / "store"), copy / "s.npz", criterion="quality")
        with pytest.raises(UsageError, match="copies answers to another text of prompt `quality_general`"):
            checked(str(copy / "recipe.yaml"), Store(copy / "store"))
    finally:
        prompt.load_prompt.cache_clear()


def students(**more: Any) -> dict[str, Any]:
    return {"judge": {"backend": "tiny", "students": {"quality": "student.npz"}, **more}}


def test_a_recipe_spares_the_judge_and_says_so(copy: Path) -> None:
    before = find_one(Store(copy / "store"), "taught")
    doubtful = "student_quality_low < 7 AND student_quality_high >= 7"
    sure = {"name": "student_low", "when": "student_quality_high < 7", "then": "drop"}
    rules = {"extends": ["default"], "list": [sure]}
    write_recipe(copy, rows(), rules=rules, **students(ask_when={"quality": doubtful}))
    mix = build(copy)
    table = mix.scores.with_columns(mix.decisions["rule", "verdict"])
    asked = table.filter(pl.col("quality").is_not_null())
    assert 0 < asked.height < COUNT
    assert asked.height == table.filter(pl.sql_expr(doubtful)).height
    assert table.filter(pl.col("quality").is_null())["quality_state"].unique().to_list() == ["not_asked"]
    # the student's own rule drops rows before a call, as `low_quality` does after one
    dropped = table.filter(pl.col("rule") == "student_low")
    assert dropped.height == table.filter(pl.col("student_quality_high") < 7, pl.col("quality").is_null()).height > 50
    counts = mix.manifest.judged["quality"]
    assert counts == JudgeCounts(concerned=COUNT, spared=COUNT - asked.height, asked=asked.height, scored=asked.height)
    facts, found = mix.manifest.students["quality"], report(copy)
    assert facts.sha256 == file_sha256(copy / "student.npz")
    assert (facts.judge, facts.held_out, facts.agreement) == ("tiny-2", found.figures.rows, found.figures.agreement)
    assert (facts.half_width, facts.coverage_below) == (found.half_width, found.coverage_below)
    assert mix.manifest.ask_when == {"quality": doubtful}
    assert before.manifest.students == {}
    (page,) = {
        path.read_text() for path in (copy / "store" / "runs").rglob("report.html") if "student of" in path.read_text()
    }
    assert facts.sha256 in page and "one verdict for all" in page


def test_the_mixture_is_named_by_the_bytes_of_the_student(copy: Path) -> None:
    write_recipe(copy, rows(), **students())
    first = build(copy).box.name
    (copy / "elsewhere").mkdir()
    (copy / "student.npz").rename(copy / "elsewhere" / "other.npz")
    write_recipe(copy, rows(), judge={"backend": "tiny", "students": {"quality": "elsewhere/other.npz"}})
    assert build(copy).box.name == first
    distil("taught", Store(copy / "store"), copy / "elsewhere" / "other.npz", criterion="quality", seed=1)
    assert build(copy).box.name != first


def test_a_student_of_another_judge_is_refused(tmp_path: Path, copy: Path) -> None:
    write_recipe(
        tmp_path, [(question, f"{answer} grade={place % 5 + 4}") for place, (question, answer) in enumerate(rows())]
    )
    build(tmp_path, Scripted(str(tmp_path / "log")))
    found = distil("taught", Store(tmp_path / "store"), copy / "student.npz", criterion="quality")
    assert found.judge == "scripted-1" and found.figures.mae < found.mae_of_constant / 2
    write_recipe(copy, rows(), **students())
    with pytest.raises(UsageError, match=r"copies judge `scripted-1`, the recipe's is `tiny-2`; distil it again"):
        checked(str(copy / "recipe.yaml"), Store(copy / "store"))


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({"repetition": "student.npz"}, "guesses `quality`, the recipe names it for `repetition`"),
        ({"taste": "student.npz"}, "copies `quality` or `repetition`, not `taste`"),
        ({"quality": "absent.npz"}, r"absent.npz` is no file"),
        ({"quality": "data.jsonl"}, "cannot be read"),
        ({"quality": ""}, "at least 1 character"),
    ],
)
def test_a_wrong_student_stops_before_any_work(copy: Path, named: dict[str, str], message: str) -> None:
    write_recipe(copy, rows(), judge={"backend": "tiny", "students": named})
    with pytest.raises(UsageError, match=message):
        checked(str(copy / "recipe.yaml"), Store(copy / "store"))


def test_a_rule_may_read_guesses_only_where_a_student_makes_them(copy: Path) -> None:
    sure = {"name": "student_low", "when": "student_quality < 3", "then": "drop"}
    write_recipe(copy, rows(), rules={"extends": ["default"], "list": [sure]})
    with pytest.raises(UsageError, match="no filter writes score `student_quality`"):
        checked(str(copy / "recipe.yaml"), Store(copy / "store"))


def hundred(bad: int) -> pl.DataFrame:
    """Guesses a sixteenth apart, 100 kept aside and the same held out; the lowest `bad` are graded 2, others 9."""
    made = [place / 16 for place in range(100)]
    grades = [2.0] * bad + [9.0] * (100 - bad)
    return pl.DataFrame({"source": ["a", "b"] * 100, "grade": grades * 2, "guess": made * 2})


@pytest.mark.parametrize(
    ("bad", "limit", "changed"),
    [
        (8, None, None),  # one in ten of nine rows, the new one counted, is none
        (9, 0.5, 0),  # the largest guess of a bad row; those above it are spared
        (19, 1.07, 1),  # the second largest, 1.0625, rounded up
        (30, 1.69, 2),  # the third largest of 31 / 10 rounded down
    ],
)
def test_the_limit_to_keep_lets_a_tenth_of_the_bad_rows_pass(
    bad: int, limit: float | None, changed: int | None
) -> None:
    place = pl.int_range(200, eager=True)
    found = copying(
        hundred(bad),
        aside=(place < 100).to_numpy(),
        held_out=(place >= 100).to_numpy(),
        judge="j",
        criterion="quality",
        threshold=7,
        constant=5,
    )
    assert found.keep_limit == limit
    tails = [tail for tail in found.tails if tail.when.startswith("student_quality >") and ">=" not in tail.when]
    assert [(tail.changed, tail.of) for tail in tails] == ([] if limit is None else [(changed, bad)])


def test_the_command_prints_and_stores_the_figures(taught: Path, tmp_path: Path, vlmix: Vlmix) -> None:
    place = ("--out", tmp_path / "s.npz", "--store", taught / "store")
    done = vlmix("judge", "distil", "taught", *place, "--json")
    assert done.code == 0, done.err
    assert (tmp_path / "s.npz").read_bytes() == (taught / "student.npz").read_bytes()
    assert Copying.model_validate(done.document) == report(taught)
    text = vlmix("judge", "distil", "taught", *place).out
    for words in ("Spearman", "agreement", "a constant", "of those below 7", "student_quality_low >= 7", "mine: "):
        assert words in text
