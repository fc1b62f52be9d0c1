"""The published systems as recipes, held to their public configurations and to sums that others published."""

import csv
from pathlib import Path

import pytest

from flows.build import prepare
from flows.scoring import filter_set
from manifests.exports.native import Flavour, native_entries
from manifests.load import RECIPES, load_recipe
from manifests.plan import Plan, SourceFacts, plan
from manifests.recipe import Stage
from shards.errors import RecipeError
from shards.store import Store
from sources.catalogue import CATALOG, load_catalogue

GOLDEN = Path(__file__).parents[1] / "golden" / "published_configs.csv"
FACTS = Path(__file__).parents[3] / "shared" / "facts" / "published_configs.csv"
SYSTEMS = ["instella-vl", "internvl-1.2", "internvl-2.5", "llava-onevision", "nvila", "vila", "yi-vl"]

Line = tuple[str, str, str]
"""(entry, operator, value)"""


def lines_of(path: Path) -> dict[tuple[str, str], list[Line]]:
    """(system, configuration) -> lines in order."""
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    found: dict[tuple[str, str], list[Line]] = {}
    for row in sorted(rows, key=lambda row: int(row["position"])):
        found.setdefault((row["system"], row["config"]), []).append((row["entry"], row["operator"], row["value"]))
    return found


PUBLISHED = lines_of(GOLDEN)


def stage_of(system: str, name: str) -> Stage:
    recipe, _ = load_recipe(system)
    return next(stage for stage in recipe.resolved_stages() if stage.name == name)


def place_of(system: str, config: str) -> tuple[str, Flavour]:
    """Stage of the recipe that a published configuration is, and the words that it is written in."""
    match system:
        case "instella-vl":
            stages = {"warmup": "warm-up", "pretraining": "pretraining", "instruction_tuning": "sft"}
            lists = config.startswith("offline") and not config.startswith("offline_s3")
            stage = next(stages[word] for word in stages if config.endswith(word))
            return stage, "instellavl-offline" if lists else "instellavl-online"
        case "llava-onevision":
            return {"mid_stage": "mid", "single_image": "single-image", "onevision": "onevision"}[config], "llava-next"
        case "internvl-1.2":
            return "finetune", "internvl"
        case _:
            return config, "vila"


OPERATORS = {"@": "exclude-list", "repeat_time": "repeat"}
"""What the table calls the words of VILA and InternVL."""

OFFLINE_NAMES = {"blip_laion_cc_sbu_558k": "instella_alignment"}
"""The one entry that is called differently in two variants of the same configuration."""


@pytest.mark.parametrize(("system", "config"), PUBLISHED)
def test_native_entries_are_the_published_ones(system: str, config: str) -> None:
    stage, flavour = place_of(system, config)
    native = native_entries(stage_of(system, stage), flavour)
    found = [(line.name, OPERATORS.get(line.strategy, line.strategy), line.value) for line in native]
    assert found == [(OFFLINE_NAMES.get(name, name), *rest) for name, *rest in PUBLISHED[system, config]]


def test_the_golden_copy_is_whole() -> None:
    """Against the table that it was copied from, where that lies beside the project."""
    if not FACTS.is_file():
        pytest.skip(f"no {FACTS}: the golden copy is compared with nothing")
    assert lines_of(FACTS) == PUBLISHED


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_source_stands_in_the_catalogue(system: str) -> None:
    known = load_catalogue(CATALOG)
    recipe, _ = load_recipe(system)
    names = {entry.source for stage in recipe.resolved_stages() for entry in stage.entries}
    assert names <= set(known)


def test_no_recipe_is_forgotten() -> None:
    assert sorted(path.stem for path in RECIPES.glob("*.yaml")) == sorted([*SYSTEMS, "demo"])


@pytest.mark.parametrize(
    ("system", "flavour", "expected"),
    [
        ("instella-vl", "instellavl-online", {"warm-up": 1, "pretraining": 30, "sft": 133}),
        ("llava-onevision", "llava-next", {"projector": 1, "mid": 8, "single-image": 90, "onevision": 82}),
        ("internvl-1.2", "internvl", {"finetune": 9}),
    ],
)
def test_published_entries_per_stage(system: str, flavour: Flavour, expected: dict[str, int]) -> None:
    recipe, _ = load_recipe(system)
    assert {stage.name: len(native_entries(stage, flavour)) for stage in recipe.resolved_stages()} == expected


@pytest.mark.parametrize(
    ("system", "expected"),
    [
        ("internvl-2.5", {"stage-1": 139, "stage-1.5": 0, "stage-2": 189}),
        ("vila", {"projector": 1, "pretraining": 2, "sft": 21}),
        ("yi-vl", {"stage-1": 1, "stage-2": 7, "stage-3": 7}),
    ],
)
def test_rows_of_published_tables_per_stage(system: str, expected: dict[str, int]) -> None:
    """Numbers of rows in the tables of the reports; stage 1.5 shares the mixture of stage 1."""
    recipe, _ = load_recipe(system)
    assert {stage.name: len(stage.entries) for stage in recipe.resolved_stages()} == expected


def as_published(system: str) -> Plan:
    """The plan of a recipe with every source as large as its publisher says, whether or not it can be had."""
    known = load_catalogue(CATALOG)
    recipe, _ = load_recipe(system)
    facts = {}
    for stage in recipe.resolved_stages():
        for entry in stage.entries:
            source = known[str(entry.source)]
            rows = source.rows if source.published_rows is None else source.published_rows
            facts[stage.name, entry.id] = SourceFacts(
                name=source.name, licence=source.licence, rows=rows, status="unresolved"
            )
    return plan(recipe, facts, filter_set((), ()).scores())


@pytest.mark.parametrize(
    ("stage", "domain", "expected"),
    [("pretraining", "doc", 410_194), ("sft", "general_ocr", 83_580), ("sft", "text_only", 479_837)],
)
def test_domain_totals_of_instella_vl(stage: str, domain: str, expected: int) -> None:
    """The three of its twelve published totals (410K, 84K, 480K) that follow from published rows and takes."""
    entries = [entry for entry in as_published("instella-vl").entries if (entry.stage, entry.domain) == (stage, domain)]
    assert sum(entry.taken or 0 for entry in entries) == expected


def test_rows_of_internvl_1_2() -> None:
    """The lengths of its meta file, which the trainer never reads."""
    with GOLDEN.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    lengths = [int(row["length"]) for row in rows if row["system"] == "internvl-1.2"]
    entries = as_published("internvl-1.2").entries
    assert [entry.taken for entry in entries] == lengths
    assert sum(lengths) == 1_267_819


def test_llava_next_rounds_percentages_up() -> None:
    taken = {entry.id: entry.taken for entry in as_published("llava-onevision").entries if entry.stage == "onevision"}
    assert taken["ai2d_train_internvl_single_12413"] == 1242
    assert taken["MathV360K_PMC-VQA_35958"] == 360
    assert taken["magpie_pro_qwen2_72b_st_300000_sp_token_fltd_299992"] == 59_999


@pytest.mark.parametrize("system", SYSTEMS)
def test_plans_name_what_is_missing_and_call_nothing_reproduced(
    system: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # internvl-1.2 has annotations only
    monkeypatch.setenv("VLMIX_PICTURES", str(tmp_path))
    planned = prepare(*load_recipe(system), Store(tmp_path / "store")).plan
    assert not planned.faithful()
    assert all(entry.reason for entry in planned.entries if entry.status != "resolved")
    assert {entry.status for entry in planned.entries} & {"assumed", "resolved"}
    assert planned.recipe.dedup.level == "off"


def test_takes_of_vila_without_the_scores_that_they_go_by() -> None:
    """The top fifth of COYO cannot be checked while its scores cannot be had; that is no mistake of the recipe."""
    planned = {entry.id: entry for entry in as_published("vila").entries}
    assert planned["COYO-700M"].taken == int(planned["COYO-700M"].rows or 0) // 5
    assert planned["FLAN-1M"].taken == 1_000_000


def test_private_lists_are_withheld_never_taken_whole() -> None:
    recipe, _ = load_recipe("nvila")
    lists = [entry for stage in recipe.stages for entry in stage.entries if entry.take.kind == "exclude"]
    assert lists
    assert all(entry.withheld for entry in lists)
    planned = {(entry.stage, entry.id): entry for entry in as_published("nvila").entries}
    assert planned["cvpr_mmmu_v13_5M", "wit_subset"].rows == 538_000
    assert planned["cvpr_mmmu_v13_5M", "wit_subset"].taken is None


def test_what_is_withheld_stops_a_recipe_that_does_not_skip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # its pictures are there, so that the list is all that is missing
    monkeypatch.setenv("VLMIX_PICTURES", str(tmp_path))
    recipe, folder = load_recipe("nvila")
    stage = next(stage for stage in recipe.stages if stage.name == "recipe_v9_no_video_30")
    known = load_catalogue(CATALOG)
    entry = next(entry for entry in stage.entries if entry.withheld and known[str(entry.source)].status == "ready")
    alone = stage.model_copy(update={"entries": (entry,)})
    mine = recipe.model_copy(update={"stages": (alone,)})
    (planned,) = prepare(mine, folder, Store(tmp_path / "store")).plan.entries
    assert (planned.status, planned.reason) == ("unresolved", entry.withheld)
    with pytest.raises(RecipeError, match=f"entry `{entry.id}`: the lists of rows to leave out are not public"):
        prepare(mine.model_copy(update={"unresolved": "stop"}), folder, Store(tmp_path / "store"))


def test_internvl_filters_its_last_stage_only() -> None:
    stages = {stage.name: stage for stage in load_recipe("internvl-2.5")[0].stages}
    assert stages["stage-1"].rules is not None
    assert not stages["stage-1"].rules.extends
    assert stages["stage-1.5"].mixture == "stage-1"
    assert stages["stage-2"].rules is not None
    assert stages["stage-2"].rules.extends == ("internvl-2.5",)
