"""Two mixtures compared: what differs is told, and nothing else."""

import json
from pathlib import Path

import polars as pl
import pytest
from commands import DemoBuild, Vlmix
from mixture_store import build_small, write_rows

from flows.diffing import SHOWN, compare, diff
from flows.mix_text import difference_lines
from flows.mixes import Mix
from shards.errors import UsageError

LOOSE, STRICT = 40, 90


@pytest.fixture(scope="module")
def loose(tmp_path_factory: pytest.TempPathFactory) -> Mix:
    return build_small(tmp_path_factory.mktemp("small"), least=LOOSE)


@pytest.fixture(scope="module")
def strict(loose: Mix) -> Mix:
    return build_small(loose.store.root.parent, least=STRICT)


def newly_short(loose: Mix) -> set[str]:
    """Keys that only the stricter rule drops, worked out from the scores."""
    scores = pl.read_parquet(loose.box.path / "scores.parquet")
    return set(scores.filter(pl.col("answer_chars").is_between(LOOSE, STRICT - 1))["key"])


def test_a_mixture_does_not_differ_from_itself(loose: Mix) -> None:
    found = compare(loose, loose)
    assert found.same
    assert (found.changed, found.rows, found.rules, found.sources, found.settings) == (0, [], [], [], [])
    assert all(was == becomes for was, row in found.flow.items() for becomes in row)
    assert sum(count for row in found.flow.values() for count in row.values()) == loose.manifest.totals.made


def test_a_changed_threshold_shows_the_rows_that_it_drops(loose: Mix, strict: Mix) -> None:
    found = compare(loose, strict)
    dropped = newly_short(loose)
    assert not found.same
    assert found.flow["keep"]["drop"] == len(dropped) > SHOWN
    (rule,) = found.rules
    assert (rule.rule, rule.change) == ("short", "changed")
    assert rule.before is not None and rule.before["when"] == f"answer_chars < {LOOSE}"
    change = found.entries["mine"]
    assert (change.added, change.removed) == (0, len(dropped))
    assert found.domains["chat"].removed == len(dropped)
    # the repeat factor is 1.5: of the rows that stay, as many lose their second turn as the fewer rows ask for
    both = loose.decisions.join(strict.decisions, on="key").filter((pl.col("times") > 0) & (pl.col("times_right") > 0))
    assert change.times == both.filter(pl.col("times") != pl.col("times_right")).height
    assert found.changed == len(dropped) + change.times


def test_the_shown_rows_are_changed_ones_with_reason_and_text(loose: Mix, strict: Mix) -> None:
    found = compare(loose, strict)
    assert len(found.rows) == SHOWN
    dropped = newly_short(loose)
    for row in found.rows:
        assert row.text is not None and row.text.startswith(("question ", "<image>"))
        if row.key in dropped:
            assert (row.before.verdict, row.after.verdict, row.after.rule) == ("keep", "drop", "short")
        else:
            assert row.before.times != row.after.times
    assert {row.key for row in found.rows} & dropped
    assert found.rows == compare(loose, strict).rows


def test_the_way_back_is_the_mirror_image(loose: Mix, strict: Mix) -> None:
    there, back = compare(loose, strict), compare(strict, loose)
    assert back.changed == there.changed
    assert back.entries["mine"].added == there.entries["mine"].removed
    assert back.flow["drop"]["keep"] == there.flow["keep"]["drop"]


def test_rules_are_told_apart(tmp_path: Path) -> None:
    one = {"name": "one", "when": "answer_chars > 9999", "then": "drop"}
    two = {"name": "two", "when": "answer_chars > 8888", "then": "review"}
    first = build_small(tmp_path, rules=[one, two])
    second = build_small(tmp_path, rules=[two])
    third = build_small(tmp_path, rules=[two, one])
    assert [(rule.rule, rule.change) for rule in compare(first, second).rules] == [("one", "removed")]
    assert [(rule.rule, rule.change) for rule in compare(second, first).rules] == [("one", "added")]
    assert {rule.change for rule in compare(first, third).rules} == {"moved"}
    assert compare(first, third).changed == 0
    assert not compare(first, third).same


def test_another_source_is_told_and_rows_are_matched_by_key(tmp_path: Path) -> None:
    first = build_small(tmp_path)
    write_rows(tmp_path / "raw", changed=39)
    lines = (tmp_path / "raw" / "rows.jsonl").read_text().splitlines()
    (tmp_path / "raw" / "rows.jsonl").write_text("\n".join(lines[:-10]))
    second = build_small(tmp_path)
    found = compare(first, second)
    assert [change.source for change in found.sources] == ["mine"]
    assert sum(row.get("absent", 0) for row in found.flow.values()) == 10
    # the changed answer is too short
    assert found.flow["keep"]["drop"] == 1
    assert [entry for entry in found.settings if entry.startswith("entry")] == []


def test_stages_are_found_by_name(loose: Mix, strict: Mix) -> None:
    found = diff(loose.store, str(loose.box.path), str(strict.box.path))
    assert not found.same
    assert len(found.stages) == 1
    assert diff(loose.store, "small", "small.sft").same
    with pytest.raises(UsageError, match="no mixture `nothing`"):
        diff(loose.store, "small", "nothing")


def test_lines_for_people_name_rule_and_rows(loose: Mix, strict: Mix) -> None:
    found = diff(loose.store, str(loose.box.path), str(strict.box.path))
    text = "\n".join(difference_lines(found))
    assert f"short changed: answer_chars < {LOOSE}, then drop -> answer_chars < {STRICT}, then drop" in text
    assert "verdict   keep -> drop" in text
    assert text.count("\n  row ") == SHOWN


@pytest.mark.integration
def test_the_command_checks_a_pull_request(demo: DemoBuild, vlmix: Vlmix) -> None:
    same = vlmix("diff", "demo", "demo", "--check", "--store", demo.store, "--json")
    assert same.code == 0, same.err
    assert same.document["same"] is True
    assert [stage["changed"] for stage in same.document["stages"]] == [0, 0]
    other = ("diff", "demo.warm-up", "demo.sft", "--store", demo.store)
    assert vlmix(*other).code == 0
    checked = vlmix(*other, "--check", "--json")
    assert checked.code == 1
    assert json.loads(checked.out)["stages"][0]["rows"]
