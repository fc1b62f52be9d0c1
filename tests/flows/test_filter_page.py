"""What `vlmix filters show` says of a filter or score without a mixture."""

import polars as pl
import pytest

from filters import FILTERS, PICTURE_FILTERS, TEXT_FILTERS
from flows.filter_page import built_in_rules, page, rule_uses
from flows.scoring import ASKABLE
from manifests.rules import HUMAN
from shards.errors import UsageError


@pytest.mark.parametrize("name", [*FILTERS, *TEXT_FILTERS, *PICTURE_FILTERS])
def test_every_filter_has_a_definition_and_a_source(name: str) -> None:
    shown = page(name)
    assert shown.filter == name
    assert shown.definition and "Source:" not in shown.definition and "Args of" not in shown.definition
    assert shown.version is not None and shown.version >= 1


def test_every_score_leads_to_its_filter() -> None:
    for name, kind in {**FILTERS, **TEXT_FILTERS}.items():
        for score in set(kind().writes) - {*FILTERS, *TEXT_FILTERS} if name != "native" else ():
            shown = page(score)
            assert (shown.filter, [fact.name for fact in shown.scores]) == (name, [score])
    for name, kind in PICTURE_FILTERS.items():
        for score in kind.reduces:
            assert page(score).filter == name
    assert page(HUMAN).kind == "human"


@pytest.mark.parametrize("score", ASKABLE)
def test_judged_scores_are_known(score: str) -> None:
    shown = page(score)
    assert shown.kind == "judge" and shown.definition
    fact = next(fact for fact in shown.scores if fact.name == score)
    assert "not_asked" in fact.null and fact.dtype == str(ASKABLE[score])


def test_a_picture_score_says_what_it_is_made_from() -> None:
    shown = page("min_side_px")
    assert (shown.filter, shown.kind) == ("picture_basics", "picture")
    assert shown.scores[0].made_from == "min of `side_px`"
    assert shown.columns["exif_rotated"] == "Boolean"
    assert shown.parameters == {"sample_px": 256}
    assert page("side_px").filter == "picture_basics"


def test_published_and_imported_scores_are_known_by_their_beginning() -> None:
    assert [fact.name for fact in page("native_clip").scores] == ["native_clip"]
    assert page("imported_rating").kind == "imported"


def test_own_filters_are_shown_by_module_and_class() -> None:
    shown = page("filters.lengths:Lengths")
    assert "answer_chars" in [fact.name for fact in shown.scores]
    with pytest.raises(UsageError, match="filter `filters"):
        page("filters.lengths:Nothing")


def test_unknown_names_are_told_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean `gray_range`"):
        page("grey_range")
    with pytest.raises(UsageError, match="see `vlmix filters list`"):
        page("qqqqqq")
    assert page("qqqqqq", present={"qqqqqq": pl.Int32()}).scores[0].dtype == "Int32"


def test_rules_are_found_by_the_scores_they_read() -> None:
    uses = {(use.set, use.rule): use for use in rule_uses("quality")}
    assert uses["default", "low_quality"].thresholds == ["< 7"]
    assert uses["default", "quality_doubtful"].thresholds == []  # it is compared with another score
    assert ("default", "repetitive") not in uses
    assert all("ours" in use.source or "report" in use.source for use in uses.values())
    assert {use.set for use in uses.values()} <= set(built_in_rules())
