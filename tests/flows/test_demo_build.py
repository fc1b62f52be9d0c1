"""The main job as a user meets it: the real command, the real publishers, the real download server."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest
from commands import DemoBuild, Vlmix

from flows.demo.publish import publish
from flows.mixes import Mix, find
from manifests.manifest import Counts, Manifest
from review.export import QUEUE_FILES
from shards.schema import NULL_STATES, VERDICTS
from shards.store import Store

pytestmark = [pytest.mark.integration, pytest.mark.long]

SUMMARY = {"mix", "manifest", "report", "digest", "steps", "totals", "domains", "stages", "warnings"} | {
    *("since", "record", "counters")
}


@pytest.fixture(scope="module")
def demo(demo: DemoBuild, tmp_path_factory: pytest.TempPathFactory) -> DemoBuild:
    """A copy of the finished demo for this module, which runs on it and locks it."""
    return demo.copy(tmp_path_factory.mktemp("own") / "store")


def mixes(demo: DemoBuild) -> dict[str, Mix]:
    return find(Store(demo.store), "demo")


def copy_of_publishers(demo: DemoBuild, to: Path) -> Path:
    shutil.copytree(demo.store / "demo", to / "demo")
    return to


def test_the_summary_document_is_as_promised(demo: DemoBuild) -> None:
    document = demo.document
    assert set(document) == SUMMARY
    assert set(document["steps"]) == {"executed", "cached"}
    assert [stage["stage"] for stage in document["stages"]] == ["warm-up", "sft"]
    assert document["mix"] == document["stages"][-1]["mix"]
    assert document["totals"] == document["stages"][-1]["totals"]
    for stage in document["stages"]:
        Counts.model_validate(stage["totals"]).check(stage["stage"])
        manifest = Manifest.model_validate_json(Path(stage["manifest"]).read_bytes())
        assert manifest.totals.model_dump() == stage["totals"]
        assert manifest.digest() == stage["digest"]


def test_a_second_run_does_no_work_twice(demo: DemoBuild, vlmix: Vlmix) -> None:
    again = vlmix("run", "build-sft-mix", "--store", demo.store, "--json").document
    assert again["steps"]["executed"] == 0
    assert again["steps"]["cached"] > 0
    assert again["digest"] == demo.document["digest"]


def test_other_folder_worker_count_and_hash_seed_give_the_same_bytes(
    demo: DemoBuild, vlmix: Vlmix, tmp_path: Path
) -> None:
    store = copy_of_publishers(demo, tmp_path / "elsewhere")
    done = vlmix(
        "run", "build-sft-mix", "--store", store, "--workers", "1", "--json", cwd=tmp_path, env={"PYTHONHASHSEED": "7"}
    )
    assert done.code == 0, done.err
    assert done.document["digest"] == demo.document["digest"]
    report = Path(done.document["report"]).read_bytes()
    assert report == Path(demo.document["report"]).read_bytes()


def test_every_verdict_and_null_state_occurs(demo: DemoBuild) -> None:
    verdicts = {verdict for mix in mixes(demo).values() for verdict in mix.decisions["verdict"].unique()}
    assert verdicts == set(VERDICTS)
    states = {
        state
        for mix in mixes(demo).values()
        for name in mix.scores.columns
        if name.endswith("_state")
        for state in mix.scores[name].drop_nulls().unique()
    }
    assert states == set(NULL_STATES)


@pytest.mark.parametrize(
    ("source", "pictures", "videos", "text"),
    [
        ("demo.pictures", 1, 0, False),
        ("demo.chat", 0, 0, True),
        ("demo.multi", 2, 0, True),
        ("demo.interleaved", 1, 0, True),
        ("demo.video", 0, 1, True),
    ],
)
def test_every_kind_of_sample_passes_the_whole_line(
    demo: DemoBuild, source: str, pictures: int, videos: int, text: bool
) -> None:
    found = next(mix for mix in mixes(demo).values() if any(entry.source == source for entry in mix.manifest.entries))
    ids = [entry.id for entry in found.manifest.entries if entry.source == source]
    written = found.decisions.filter(pl.col("entry").is_in(ids) & (pl.col("outcome") == "written"))
    samples = found.samples(written)
    assert samples.height > 0
    assert samples["images"].list.len().max() >= pictures
    assert samples["videos"].list.len().max() == videos
    plain = ["".join(turn["text"] for turn in turns).replace("<image>", "").strip() for turns in samples["messages"]]
    assert all(bool(one) == text for one in plain)


def test_the_table_counts_what_the_manifest_counts(demo: DemoBuild, vlmix: Vlmix, tmp_path: Path) -> None:
    out = tmp_path / "demo.parquet"
    assert vlmix("table", "demo", "--store", demo.store, "--out", out).code == 0
    table = pl.read_parquet(out)
    for stage in demo.document["stages"]:
        rows = table.filter(pl.col("stage") == stage["stage"])
        verdicts = dict(rows.group_by("verdict").len().iter_rows())
        assert {name: verdicts.get(name, 0) for name in VERDICTS} == {name: stage["totals"][name] for name in VERDICTS}
        assert rows["emitted"].sum() == stage["totals"]["emitted"]
    quarantine = pl.read_parquet(f"{out}.quarantine")
    assert quarantine.height == sum(stage["totals"]["quarantined"] for stage in demo.document["stages"])


def test_explain_tells_the_whole_story(demo: DemoBuild, vlmix: Vlmix) -> None:
    mix = mixes(demo)["sft"]
    duplicate = mix.decisions.filter((pl.col("outcome") == "duplicate") & (pl.col("entry") == "charts"))["key"][0]
    story = vlmix("explain", duplicate, "--store", demo.store, "--json").document
    entry = next(entry for entry in story["entries"] if entry["entry"] == "charts")
    assert entry["verdict"] == "keep" and entry["outcome"] == "duplicate" and entry["emitted"] == 0
    assert {member["key"] for member in entry["cluster"]} >= {duplicate}
    assert entry["states"]["human"] == "not_asked"
    assert next(rule for rule in entry["rules"] if rule["rule"] == "low_quality")["result"] == "exempt"
    for_people = vlmix("explain", duplicate, "--store", demo.store)
    assert "cluster" in for_people.out and "picture" in for_people.out


def test_explain_knows_quarantined_rows(demo: DemoBuild, vlmix: Vlmix) -> None:
    quarantine = mixes(demo)["sft"].quarantine()
    key, reason = quarantine.select("key", "reason").row(0)
    story = vlmix("explain", key, "--store", demo.store, "--json").document
    assert story["quarantine"]["reason"] == reason


def test_rows_dropped_by_cheap_rules_cost_no_model_call(demo: DemoBuild) -> None:
    mix = mixes(demo)["sft"]
    dropped = mix.decisions.filter(pl.col("rule") == "empty_answer").join(mix.scores, on="key")
    assert dropped.height > 0
    assert dropped["quality_state"].unique().to_list() == ["not_asked"]


def test_other_thresholds_need_no_model_call(demo: DemoBuild, vlmix: Vlmix) -> None:
    same = vlmix("decide", "demo", "--store", demo.store, "--json").document
    assert all(stage["before"] == stage["after"] for stage in same["stages"])
    stricter = vlmix("decide", "demo", "--store", demo.store, "--set", "rules.low_quality.when=quality < 9", "--json")
    sft = stricter.document["stages"][-1]
    assert sft["after"]["drop"] > sft["before"]["drop"]


def test_the_review_queue_holds_every_row_of_review(demo: DemoBuild, vlmix: Vlmix, tmp_path: Path) -> None:
    for to, name in QUEUE_FILES.items():
        out = tmp_path / to
        done = vlmix("review", "export", "demo", "--to", to, "--out", out, "--store", demo.store, "--json")
        assert done.code == 0, done.err
        wanted = sum(stage["totals"]["review"] for stage in demo.document["stages"])
        assert done.document["items"] == wanted
        assert (out / name).is_file()
    lines = (tmp_path / "jsonl" / "queue.jsonl").read_text().splitlines()
    assert len(lines) == wanted
    item = json.loads(lines[0])
    assert item["reasons"] and item["messages"]
    for picture in item["pictures"]:
        assert (tmp_path / "jsonl" / picture["file"]).stat().st_size > 0


def test_two_runs_on_one_store_do_not_mix(demo: DemoBuild, vlmix: Vlmix) -> None:
    with Store(demo.store).lock():
        done = vlmix("run", "build-sft-mix", "--store", demo.store)
    assert done.code == 1
    assert "in use by another run" in done.err and done.err.count("\n") == 1


def test_the_plan_document_is_as_promised(demo: DemoBuild, vlmix: Vlmix) -> None:
    document = vlmix("plan", "demo", "--store", demo.store, "--json").document
    first = document["entries"][0]
    assert set(first) == {"id", "stage", "source", "domain", "take", "repeat", "rows", "taken", "status", "reason"}
    assert [entry["id"] for entry in document["entries"]][:3] == ["captions", "chart_samples", "pictures"]
    assert document["rows"] == {
        "resolved": 450 + 70 + 30 + 700 + 60 + 350 + 500 + 200 + 200 + 200 + 350 + 60 + 10 + 40
    } | {
        "assumed": 0,
        "unresolved": 0,
    }


def test_one_source_stands_in_two_entries_of_a_stage(demo: DemoBuild) -> None:
    entries = [entry.source for entry in mixes(demo)["sft"].manifest.entries]
    assert entries.count("demo.charts") == 2


def test_lists_for_programs_are_one_document(demo: DemoBuild, vlmix: Vlmix) -> None:
    sources = vlmix("sources", "list", "--store", demo.store, "--json").document["sources"]
    assert {"demo.charts", "demo.pictures"} <= {source["name"] for source in sources}
    shown = vlmix("sources", "show", "demo.charts", "--store", demo.store, "--json").document
    assert shown["found"][0]["source"]["layout"] == "onevision"
    assert "loop" in vlmix("filters", "list", "--json").document["filters"]["loops"]
    assert Path(vlmix("report", "demo", "--store", demo.store, "--json").document["report"]).is_file()


def test_a_source_can_be_checked_before_it_enters_a_recipe(demo: DemoBuild, vlmix: Vlmix) -> None:
    found = vlmix("sources", "check", "demo.charts", "--store", demo.store, "--json")
    assert found.code == 0, found.err
    assert found.document["raw_rows"] == 700 and found.document["gate"] is None
    assert {defect["reason"]: defect["rows"] for defect in found.document["defects"]}["marker_mismatch"] == 4


def test_sources_that_cannot_be_had_say_why(demo: DemoBuild, vlmix: Vlmix) -> None:
    gone = vlmix("sources", "fetch", "nothing-like-it", "--store", demo.store)
    assert gone.code == 2 and gone.err.count("\n") == 1
    listed = vlmix("sources", "list", "--status", "unresolved", "--store", demo.store, "--json").document["sources"]
    refused = vlmix("sources", "fetch", listed[0]["name"], "--store", demo.store)
    assert refused.code == 2 and listed[0]["status_reason"] in refused.err


def test_the_table_as_csv(demo: DemoBuild, vlmix: Vlmix, tmp_path: Path) -> None:
    out = tmp_path / "demo.csv"
    assert vlmix("table", "demo.sft", "--store", demo.store, "--out", out).code == 0
    assert pl.read_csv(out, infer_schema_length=0).height == mixes(demo)["sft"].decisions.height
    assert vlmix("table", "demo.sft", "--store", demo.store, "--out", tmp_path / "demo.xlsx").code == 2


def test_the_report_shows_the_planted_defects(demo: DemoBuild) -> None:
    html = Path(demo.document["report"]).read_text()
    for words in ("Planted defects", "near_duplicate_picture", "should stay", "From rows read to rows emitted"):
        assert words in html
    assert "<script" not in html and 'src="http' not in html


def test_a_single_stage_reads_its_own_sources_only(vlmix: Vlmix, tmp_path: Path) -> None:
    publish(tmp_path / "demo", scale=0.1)
    done = vlmix("run", "build-sft-mix", "--stage", "warm-up", "--store", tmp_path, "--json")
    assert done.code == 0, done.err
    assert [stage["stage"] for stage in done.document["stages"]] == ["warm-up"]
    read = {path.name for path in (tmp_path / "shards").iterdir()}
    assert read == {"demo.captions", "demo.charts", "demo.pictures"}
    counts = vlmix("decide", "demo", "--set", "rules.refusal.then=review", "--store", tmp_path, "--json").document
    assert [stage["stage"] for stage in counts["stages"]] == ["warm-up"]
