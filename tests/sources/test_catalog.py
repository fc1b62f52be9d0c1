"""Every declared source keeps the promises of its status, and none says more than somebody has read."""

from collections import Counter
from pathlib import Path

import pytest
from pydantic import ValidationError

from shards.errors import CatalogError
from sources.catalogue import CATALOG, load_catalogue
from sources.layouts import LAYOUTS
from sources.scan import check_layouts
from sources.spec import NO_FILES, STAGES, Source, Use

KNOWN = load_catalogue(CATALOG)
PUBLISHED = {name: source for name, source in KNOWN.items() if source.repo != "demo"}
READABLE = {name: source for name, source in PUBLISHED.items() if source.status == "ready"}
EVIDENCE = ("remembered", "card", "upstream code", "real rows")

RATCHET = {
    "instella-vl": {"ready": 141, "unverified": 10, "gated": 3, "unresolved": 5},
    "llava-onevision": {"ready": 99, "unverified": 4, "unpublished": 4, "unresolved": 3},
    "vila": {"ready": 19, "gone": 1, "unresolved": 4},
    "vila-1.5": {"ready": 7, "unverified": 1, "unresolved": 2},
    "nvila": {"ready": 21, "unverified": 1, "unresolved": 84},
    "yi-vl": {"unverified": 2, "unresolved": 12},
    "internvl-1.2": {"ready": 9},
    "internvl-2.5": {"ready": 21, "unverified": 16, "gated": 1, "unresolved": 183},
    "mini-internvl": {"ready": 9},
}
"""Sources per system and status. A change here is a change of what the project claims: say why in the commit."""

DOMAINS = {("pretraining", "Doc"): 410_194, ("sft", "General OCR"): 83_580, ("sft", "Text Only"): 479_837}
"""The three domain totals of Instella-VL that follow exactly from published counts; the report rounds them to 410K,
84K and 480K."""


def use(**fields: object) -> dict[str, object]:
    return {"system": "instella-vl", "stage": "sft", "name": "ChartQA", **fields}


def test_counts_per_system() -> None:
    pairs = Counter(
        (system, source.status) for source in KNOWN.values() for system in {use.system for use in source.used_by}
    )
    assert {system: {state: n for (of, state), n in pairs.items() if of == system} for system in STAGES} == RATCHET


@pytest.mark.parametrize(("stage", "domain"), DOMAINS)
def test_domain_totals_follow_from_the_entries(stage: str, domain: str) -> None:
    counts: list[int | None] = []
    for source in KNOWN.values():
        for item in source.used_by:
            if (item.system, item.stage, item.domain) == ("instella-vl", stage, domain) and not item.part:
                counts.append(source.published_rows if item.rows is None else item.rows)
    assert sum(count or 0 for count in counts) == DOMAINS[stage, domain]
    assert None not in counts


def test_every_published_source_is_used_by_a_system_and_says_where_it_lies() -> None:
    for name, source in PUBLISHED.items():
        assert source.used_by, name
        assert source.status in ("unresolved", "unpublished") or source.repo or source.url, name
        assert (source.host in ("github", "http")) == (source.url is not None), name
        assert source.repo is None or (source.host == "hf" and source.repo.count("/") == 1), name


def test_no_source_stands_twice() -> None:
    places = Counter(
        (source.repo or source.url, source.config, source.split)
        for source in PUBLISHED.values()
        if (source.repo or source.url) and (source.config or source.status == "ready")
    )
    assert [place for place, n in places.items() if n > 1] == []


def test_what_is_ready_can_be_read() -> None:
    check_layouts(list(READABLE.values()))
    for name, source in READABLE.items():
        assert source.layout_evidence in EVIDENCE[1:], name
        assert source.files, name


def test_what_can_be_tried_names_layout_and_files() -> None:
    for name, source in KNOWN.items():
        if source.status in ("ready", "unverified", "gated"):
            assert source.layout in LAYOUTS and (source.files or source.layout in NO_FILES), name
    Source(name="a", status="unverified", layout="picture_folder", status_reason="the page is remembered")


def test_sources_of_one_file_are_told_apart_and_leave_no_row_to_two() -> None:
    shared: dict[object, list[str]] = {}
    for source in PUBLISHED.values():
        if source.only:
            shared.setdefault((source.repo, source.files, source.only.column), []).extend(source.only.like)
    assert {len(globs) for globs in shared.values()} == {4, 11}
    for globs in shared.values():
        folders = [glob.removesuffix("*") for glob in globs]
        assert all(folder.endswith("/") for folder in folders)
        assert len(set(folders)) == len(folders)


def test_a_layout_exists_or_the_status_says_that_nothing_can_be_read() -> None:
    for name, source in PUBLISHED.items():
        assert source.layout in LAYOUTS or (source.layout is None and source.status != "ready"), name
        assert (source.layout is None) == (source.layout_evidence is None), name


def test_evidence_of_a_source_is_no_better_than_that_of_its_layout() -> None:
    for name, source in PUBLISHED.items():
        if source.layout_evidence and source.layout:
            of_layout = LAYOUTS[source.layout].evidence
            assert EVIDENCE.index(source.layout_evidence) <= EVIDENCE.index(of_layout), name


def test_only_counts_that_somebody_saw_are_gates() -> None:
    gates = {name: source for name, source in PUBLISHED.items() if source.rows is not None}
    assert {source.rows_basis for source in gates.values()} == {"card"}
    assert all(source.rows_basis is None for name, source in PUBLISHED.items() if name not in gates)


def test_no_revision_is_invented() -> None:
    # the survey saw no full commit of any data set
    assert {name for name, source in KNOWN.items() if source.revision} == set()


def test_published_links_that_are_wrong_are_corrected() -> None:
    corrected = ("llava_recap_118k", "cauldron.docvqa", "mathv360k.plotqa", "kvqa", "m3it.vcr", "mathvision")
    for name in (*corrected, "llava_next", "openvino_text_spotting", "instella.blip150k"):
        reason = f"{KNOWN[name].notes} {KNOWN[name].status_reason}"
        assert "Instella-VL" in reason and "link" in reason, name
    assert KNOWN["pixmo.cap_qa"].repo == "allenai/pixmo-cap-qa"


def test_case_only_differences_stay_apart() -> None:
    for name in ("iconqa", "figureqa", "mapqa", "tabmwp"):
        assert KNOWN[f"llava_onevision.{name}"].config != KNOWN[f"llava_onevision.{name}_mathv360k"].config
    assert KNOWN["mathv360k.tqa"].repo != KNOWN["llava_onevision.tqa"].repo


def test_no_alias_is_what_a_publisher_calls_another_source() -> None:
    for name, source in KNOWN.items():
        others = {use.name.casefold() for other in KNOWN.values() if other.name != name for use in other.used_by}
        assert not others & {alias.casefold() for alias in source.aliases}, name


def test_files_are_short_enough_to_read() -> None:
    assert all(len(file.read_text().splitlines()) <= 1000 for file in CATALOG.glob("*.yaml"))
    assert all(file.read_text().isascii() for file in CATALOG.glob("*.yaml"))


WHY = {"status_reason": "a reason"}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "a ready source needs a `layout`"),
        ({"layout": "llava", "layout_evidence": "remembered"}, "a ready source needs a `layout`"),
        ({"status": "gone"}, "status `gone` needs `status_reason`"),
        ({"status": "unverified", **WHY}, "status `unverified` needs `layout` and `files`"),
        ({"status": "unverified", "layout": "llava", **WHY}, "status `unverified` needs `layout` and `files`"),
        ({"status": "unverified", "files": "a.json", **WHY}, "status `unverified` needs `layout` and `files`"),
        ({"layout": "llava", **WHY}, "status `ready` takes no `status_reason`"),
        ({"host": "hf", "layout": "llava"}, "status `ready` needs `layout` and `files`"),
        ({"layout": "llava", "only": {"like": []}}, "only.like"),
        ({"layout": "llava", "rows": 3, "rows_basis": "remembered"}, "a remembered count cannot gate"),
        ({"layout": "llava", "published_rows": 3}, "stand together"),
        ({"layout": "llava", "revision": "main"}, "revision"),
        ({"layout": "llava", "used_by": [use(stage="stage-1")]}, "system `instella-vl` has no stage `stage-1`"),
        ({"layout": "llava", "used_by": [use(system="gpt")]}, "system"),
        ({"layout": "llava", "pictures_from": "COCO", "archive": "a.zip"}, "say different things"),
        ({"layout": "llava", "colour": "red"}, "Extra inputs"),
    ],
)
def test_a_declaration_that_claims_too_much_is_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Source.model_validate({"name": "a", **fields})


@pytest.mark.parametrize(
    ("fields", "key"),
    [
        ({}, "ivl_sft_chartqa"),
        ({"row_key": "k"}, "k"),
        (
            {"system": "nvila", "stage": "vila-v1.5-sft", "domain": "chart", "name": "real-cqa"},
            "nvila_public_mixture_file.sft_mixture_vila_v1_5_sft.chart.real_cqa",
        ),
    ],
)
def test_keys_of_table_rows(fields: dict[str, object], key: str) -> None:
    assert Use.model_validate(use(**fields)).key == key


GROUP = """
- repo: a/b
  layout: llava
  licence: MIT
  files: ["{config}/*.json", readme.json]
  archive: "{config}.tar"
  sources:
    - {name: one, config: c(1)}
    - {name: two, config: d, licence: other, files: own.json}
- {name: three, layout: llava}
"""


def test_a_group_shares_what_its_sources_do_not_say(tmp_path: Path) -> None:
    (tmp_path / "g.yaml").write_text(GROUP)
    one, two, three = load_catalogue(tmp_path).values()
    assert (one.files, one.archive, one.licence) == (("c(1)/*.json", "readme.json"), "c(1).tar", "MIT")
    assert (two.files, two.archive, two.licence) == (("own.json",), "d.tar", "other")
    assert (two.repo, three.repo) == ("a/b", None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- {repo: a/b, sources: 3}", "`sources` of a group: expected a list"),
        ("- {repo: a/b, sources: [3]}", "`sources` of a group: expected mappings"),
        ("- {name: a, layout: llava}\n- {name: a, layout: llava}", "source `a` stands twice"),
        ("- {name: a, layout: llava, aliases: [b]}\n- {name: b, layout: llava}", "alias `b` already means"),
        ("- {name: a, layout: llava, aliases: [c]}\n- {name: b, layout: llava, aliases: [c]}", "`c` already means `a`"),
        ("- {name: a, layout: llava, colour: red}", "source `a`: `colour`: unknown key"),
        ("- {name: a, status: gone}", "source `a`: status `gone` needs `status_reason`"),
        ("- 3", "Input should be"),
        ("{", "expected YAML"),
    ],
)
def test_a_wrong_catalogue_is_one_message(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "wrong.yaml").write_text(text)
    with pytest.raises(CatalogError) as error:
        load_catalogue(tmp_path)
    assert message in str(error.value)


def test_a_source_without_layout_cannot_be_read_and_says_why() -> None:
    with pytest.raises(CatalogError, match=r"`mmmu` has no layout and cannot be read: the paper gives the name only"):
        check_layouts([Source(name="mmmu", status="unresolved", status_reason="the paper gives the name only")])
