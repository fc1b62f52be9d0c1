"""Names of every kind lead to their sources, and every row of the published tables is reached."""

import csv
import io
from collections.abc import Iterator

import pytest
from commands import SHARED
from rich.console import Console

from flows.listing import Listing, find, list_sources, lookup, show, words
from flows.listing_text import print_listing, print_shown
from shards.errors import CatalogError, UsageError
from sources.catalogue import CATALOG, load_catalogue

KNOWN = load_catalogue(CATALOG)
WORDS = words(KNOWN)
PLACES = {name: {(use.system, use.stage, use.name) for use in source.used_by} for name, source in KNOWN.items()}
FACTS = SHARED / "facts"
STAGE_OF = {
    "MLP Warmup": ("instella-vl", "warmup"),
    "Pretraining": ("instella-vl", "pretraining"),
    "Instruction Tuning": ("instella-vl", "sft"),
    "Pretraining Stage (projector)": ("llava-onevision", "projector"),
    "Mid Stage": ("llava-onevision", "mid"),
    "Final-Image Stage (single_image.yaml)": ("llava-onevision", "single-image"),
    "OneVision Stage (onevision.yaml)": ("llava-onevision", "onevision"),
}
SYSTEM_OF = {
    "InternVL2.5": "internvl-2.5",
    "InternVL-Chat 1.2": "internvl-1.2",
    "Mini-InternVL DA medical": "mini-internvl",
    "Mini-InternVL DA BDD": "mini-internvl",
    "VILA-7B (Feb 2024)": "vila",
    "VILA-1.5": "vila-1.5",
    "NVILA (public mixture file)": "nvila",
    "Yi-VL-6B/34B": "yi-vl",
}


def rows(name: str) -> list[dict[str, str]]:
    if not FACTS.is_dir():
        pytest.skip(f"NOT CHECKED: no folder {FACTS}, so nobody proves that {name} is covered")
    with (FACTS / name).open(newline="") as file:
        return list(csv.DictReader(file))


def table_rows() -> Iterator[tuple[str, str, str, str]]:
    """(system, stage, data set, key) of both surveys."""
    for row in rows("sources_instella_onevision.csv"):
        yield *STAGE_OF[row["seed_stage"]], row["dataset_name"], row["key"]
    for row in rows("sources_vila_yi_internvl.csv"):
        yield SYSTEM_OF[row["system"]], stage_of(row), row["dataset"], row["key"]


def stage_of(row: dict[str, str]) -> str:
    words = row["stage"].split()
    match SYSTEM_OF[row["system"]]:
        case "vila":
            return {"1": "projector", "2": "pretraining", "3": "sft"}[words[0]]
        case "vila-1.5" | "internvl-2.5":
            return f"stage-{words[1]}"
        case "nvila":
            return words[-1]
        case "yi-vl":
            return f"stage-{words[0]}"
        case "mini-internvl":
            return row["system"].rsplit(maxsplit=1)[-1].lower()
        case _:
            return "finetune"


def test_every_row_of_the_published_tables_is_reached_by_key_and_by_place() -> None:
    walked = 0
    for system, stage, name_of_row, key in table_rows():
        by_key = {item.source.name for item in find(WORDS, key)}
        by_place = {name for name, uses in PLACES.items() if (system, stage, name_of_row) in uses}
        assert by_key, key
        assert by_key <= by_place, key
        assert by_place <= {item.source.name for item in find(WORDS, f"{system}:{name_of_row}")}, key
        walked += 1
    assert walked == 343 + 742


def test_no_use_is_of_our_making() -> None:
    keys = {key for *_, key in table_rows()}
    assert {use.key for source in KNOWN.values() for use in source.used_by} == keys


def test_every_entry_of_the_published_configurations_is_reached() -> None:
    entries = {(row["system"], row["entry"]) for row in rows("published_configs.csv")}
    assert [entry for entry in sorted(entries) if not find(WORDS, f"{entry[0]}:{entry[1]}")] == []


def test_repositories_and_configurations_are_those_of_the_tables() -> None:
    for row in rows("sources_instella_onevision.csv") + rows("sources_vila_yi_internvl.csv"):
        place = row["repo_id_or_url"] if "system" in row else row["repo_or_url"]
        found = [item.source for item in find(WORDS, row["key"])]
        # VILA's own edition of a file lies in another repository than the table names, which lists it
        found = [source for source in found if source.name != "sharegpt4v.mix738k_remove_sa"]
        # Mini-InternVL names the repository of its meta files, TQA of Instella-VL only one of its two
        if "/" in place and not row["key"].startswith("mini_internvl") and row["key"] != "ivl_sft_tqa":
            assert all((source.repo or source.url or "").removeprefix("https://") in place for source in found), row[
                "key"
            ]
        if place == "lmms-lab/LLaVA-OneVision-Data":
            configs = {source.config for source in found if source.repo == place}
            assert configs == {config or None for config in row["config_subset"].split(" + ")}, row["key"]


def test_domains_and_languages_are_those_of_the_tables() -> None:
    for row in rows("sources_vila_yi_internvl.csv"):
        for item in find(WORDS, row["key"]):
            domains = {use.domain for use in item.source.used_by if use.key == row["key"]}
            assert domains == {None if row["domain"].startswith("(") else row["domain"]}, row["key"]
            assert set(row["languages"].split("+")) - {"", "subset"} <= set(item.source.languages), row["key"]


@pytest.mark.parametrize(
    ("asked", "name", "matched"),
    [
        ("llava_next", "llava_next", "name"),
        ("LCS-558K", "llava_pretrain_558k", "alias"),
        ("lcs-558k", "llava_pretrain_558k", "alias"),
        ("lmms-lab/LLaVA-ReCap-CC3M", "llava_recap_cc3m", "repository"),
        ("IconQA(MathV360K)", "llava_onevision.iconqa_mathv360k", "configuration"),
        ("allenai/pixmo-docs:charts", "pixmo.docs_charts", "repository and configuration"),
        ("iconqa", "llava_onevision.iconqa", "entry of instella-vl sft"),
        ("nvila:scienceqa", "vila.scienceqa", "published name of nvila cvpr_mmmu_v13_5M"),
        ("instella-vl:scienceqa", "llava_onevision.scienceqa", "entry of instella-vl sft"),
        ("ivl_pt_pixmo_cap", "pixmo.cap", "row of instella-vl pretraining"),
    ],
)
def test_names_lead_to_one_source(asked: str, name: str, matched: str) -> None:
    found = lookup(WORDS, asked)
    assert (found.source.name, found.matched) == (name, matched)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("llava_recap_cc3n", "did you mean `llava_recap_cc3m`?"),
        ("qqqqqq", "see `vlmix sources list`"),
        ("ivl_sft_ai2d", "means 3 sources: `llava_onevision.ai2d`, `llava_onevision.ai2d_gpt4v`"),
        ("MMInstruction/M3IT", "and 18 more; name one of them"),
        ("CHARTQA", "means 2 sources: `internvl.chartqa`, `llava_onevision.chartqa`"),
    ],
)
def test_names_that_mean_none_or_many(asked: str, message: str) -> None:
    with pytest.raises(CatalogError) as error:
        lookup(WORDS, asked)
    assert message in str(error.value)


def names(listing: Listing) -> set[str]:
    return {source.name for source in listing.sources}


def test_filters_narrow_the_list() -> None:
    assert len(list_sources(KNOWN).sources) == len(KNOWN)
    ocr = list_sources(KNOWN, system="instella-vl", stage="pretraining", domain="ocr")
    assert {"hiertext", "art", "llava_onevision.textocr_gpt4v"} < names(ocr)
    assert len(ocr.sources) == 10
    assert list(ocr.counts) == ["instella-vl"]
    assert sum(ocr.counts["instella-vl"].values()) == 10
    gated = list_sources(KNOWN, status="gated")
    assert names(gated) == {"art", "lima", "mlt_17", "svit_core_150k"}
    assert names(list_sources(KNOWN, media="interleaved")) == {"mmc4_core"}
    assert names(list_sources(KNOWN, licence="gpl")) == {"chart_to_text.pew", "chart_to_text.statista"}
    assert "cauldron.docvqa" in names(list_sources(KNOWN, text="DocVQA"))
    # a stage of one system and a domain of another are no match
    assert names(list_sources(KNOWN, system="instella-vl", stage="sft", domain="OCR")) == set()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"system": "instella"}, "unknown system `instella`; one of: instella-vl, internvl-1.2"),
        ({"system": "vila", "stage": "mid"}, "unknown stage `mid`; one of: pretraining, projector, sft"),
        ({"status": "lost"}, "unknown status `lost`"),
        ({"media": "sound"}, "unknown media `sound`"),
    ],
)
def test_wrong_filters(wrong: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError) as error:
        list_sources(KNOWN, **wrong)
    assert message in str(error.value)


def printed(width: int = 160) -> Console:
    return Console(file=io.StringIO(), width=width)


def text(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_table_for_people() -> None:
    console = printed()
    print_listing(list_sources(KNOWN, system="instella-vl", stage="sft", domain="Text Only"), console)
    lines = [line.split() for line in text(console).splitlines()]
    assert lines[0] == ["source", "status", "rows", "layout", "licence", "used", "by"]
    assert lines[4][:6] == ["llava_onevision.mathqa", "ready", "~29,837", "onevision", "apache-2.0", "instella-vl,"]
    assert lines[-2] == ["instella-vl", "4", "0", "0", "0", "0", "0"]
    assert text(console).splitlines()[-1].startswith("4 sources; rows with ~ are published")


def test_show_tells_every_fact_and_what_matched() -> None:
    shown = show(WORDS, "instella-vl:AI2D")
    assert len(shown.found) == 3
    assert shown.model_dump(mode="json")["found"][0]["source"]["layout_evidence"] == "card"
    console = printed()
    print_shown(show(WORDS, "ivl_sft_svit_core_150k"), console)
    for fact in ("gated", "the hub asks to accept the licence first", "BAAI/SVIT", "157712", "remembered"):
        assert fact in text(console)
    console = printed()
    print_shown(show(WORDS, "instella-vl:OKVQA"), console)
    assert "instella-vl / sft / General: OKVQA (a part of it)" in text(console)
    with pytest.raises(CatalogError, match="no source `okvqaa`"):
        show(WORDS, "okvqaa")
