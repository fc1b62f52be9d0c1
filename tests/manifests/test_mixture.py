from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from itertools import pairwise
from math import floor
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from manifests.account import Told, report
from manifests.clusters import CLUSTERS
from manifests.manifest import Digests, Manifest, Sizes
from manifests.mixture import DECISIONS, IDS, Mixture, SourceScores, mix
from manifests.near import Compared, Evidence, Numbers, Pair, Pictures
from manifests.plan import SourceFacts, plan
from manifests.recipe import Dedup, Entry, Recipe, Rule, Rules
from manifests.targets import Targets
from shards.errors import ConservationError
from tests.kept import NoTexts

SCORES: dict[str, Any] = {"quality": pl.Float32, "clip": pl.Float32}
RULES = Rules(
    list=(
        Rule(name="low", when="quality < 3", then="drop"),
        Rule(name="middling", when="quality < 5", then="review"),
        Rule(name="praised", when="quality > 9", then="keep"),
    )
)
NO_DIGESTS = Digests(ids="", decisions="", clusters="")

Row = tuple[Any, int]
"""Quality, or the state of a null one, and what the row says: equal numbers are duplicates."""


def source(name: str, rows: Sequence[Row], quarantined: Sequence[int] = ()) -> SourceScores:
    """Text-only rows; `quarantined` are positions that hold no sample."""
    published = len(rows) + len(quarantined)
    qualities = [None if isinstance(quality, str) else quality for quality, _ in rows]
    scores = pl.DataFrame(
        {
            "key": pl.Series([f"{name}/train/{row:04}" for row in range(len(rows))], dtype=pl.String),
            "position": pl.Series([p for p in range(published) if p not in quarantined], dtype=pl.Int64),
            "quality": pl.Series(qualities, dtype=pl.Float32),
            "quality_state": pl.Series([q if isinstance(q, str) else None for q, _ in rows], dtype=pl.String),
            "clip": pl.Series([None if row % 4 == 3 else row * 7 % 5 for row in range(len(rows))], dtype=pl.Float32),
            "num_turns": pl.Series([2 + row % 2 for row in range(len(rows))], dtype=pl.Int32),
            "num_tokens": pl.Series([30 + row for row in range(len(rows))], dtype=pl.Int32),
            "answer_tokens": pl.Series([25] * len(rows), dtype=pl.Int32),
            "num_images": pl.Series([row % 3 for row in range(len(rows))], dtype=pl.Int32),
            "question_chars": pl.Series([10 + row for row in range(len(rows))], dtype=pl.Int32),
            "answer_chars": pl.Series([100] * len(rows), dtype=pl.Int32),
            "instruction_hash": pl.Series([0 for _ in rows], dtype=pl.UInt64),
            "text_hash": pl.Series([text for _, text in rows], dtype=pl.UInt64),
        }
    )
    reasons = {"broken_record": len(quarantined)} if quarantined else {}
    return SourceScores(name, "cc0", f"shards-{name}", published, reasons, {"marker_added": 1}, scores)


def unasked(pairs: Sequence[Pair]) -> Mapping[Pair, Compared]:
    """No sample of these tests has pictures."""
    raise AssertionError(f"{pairs}")


def no_pictures(source: str, rows: Numbers) -> Pictures:
    """No sample of these tests has pictures that dedup looks at."""
    assert (np.diff(rows) > 0).all(), source
    nothing = np.zeros(len(rows), np.int64)
    return Pictures.join([])._replace(counts=nothing, pixels=nothing)


KNOWN = Evidence(no_pictures, unasked, NoTexts())


def tiles(source: str, keys: pl.Series, most: int) -> pl.Series:
    """As many tiles as the row number, limited."""
    return pl.Series([min(int(key.rsplit("/", 1)[1]), most) for key in keys], dtype=pl.Int32)


EXCLUDED = (0, 3, 99)
"""Row numbers in the list of every `exclude` take."""


def made(
    entries: Sequence[Entry], *sources: SourceScores, rules: Rules = RULES, **fields: Any
) -> tuple[Mixture, Manifest]:
    recipe = Recipe(name="mine", rules=rules, entries=tuple(entries), **fields)
    by_name = {each.name: each for each in sources}
    source_of = {entry.id: str(entry.source) for entry in entries}
    facts = {
        ("sft", entry.id): SourceFacts(
            name=source_of[entry.id], licence="cc0", rows=by_name[source_of[entry.id]].published, status="resolved"
        )
        for entry in entries
    }
    lists = {("sft", entry.id): EXCLUDED for entry in entries if entry.take.kind == "exclude"}
    mine = plan(recipe, facts, SCORES, excluded=lists)
    (stage,) = mine.stages
    mixture = mix(recipe, stage, by_name, source_of, KNOWN, tiles)
    digests = Digests(ids=digest(mixture.ids), decisions=digest(mixture.decisions), clusters=digest(mixture.clusters))
    return mixture, report(
        recipe, stage, by_name, source_of, mixture, told=Told("tiny", mine.faithful()), digests=digests
    )


def digest(frame: pl.DataFrame) -> str:
    return sha256(frame.write_json().encode()).hexdigest()


def good(*texts: int) -> list[Row]:
    return [(8, text) for text in texts]


def outcomes(mixture: Mixture, entry: str) -> list[str | None]:
    rows = mixture.decisions.filter(pl.col("entry") == entry)
    return [outcome or verdict for verdict, outcome in rows.select("verdict", "outcome").iter_rows()]


# one idea at a time


def test_every_step_leaves_its_count() -> None:
    rows: list[Row] = [(1, 0), (4, 1), ("error", 2), ("not_applicable", 3), *good(3, 4, 5, 6), (10, 7), (8, 8)]
    entry = Entry.model_validate(
        {"id": "a", "source": "s", "take": {"kind": "first", "rows": 10}, "cap": 4, "repeat": 1.5}
    )
    mixture, manifest = made([entry], source("s", rows, quarantined=[2]))
    assert outcomes(mixture, "a").count("written") == 4
    (one,) = manifest.entries
    assert one.counts.model_dump() == {
        "read": 11,
        "quarantined": 1,
        "made": 10,
        "not_taken": 1,
        "keep": 6,
        "drop": 1,
        "review": 1,
        "unscored": 1,
        "duplicates": 1,
        "capped": 1,
        "written": 4,
        "emitted": 6,
    }
    assert outcomes(mixture, "a")[:3] == ["drop", "review", "unscored"]
    assert outcomes(mixture, "a")[4] == "duplicate"
    assert outcomes(mixture, "a")[9] == "not_taken"
    assert one.rules == {"low": 1, "middling": 1, "praised": 1}
    assert one.quarantine == {"broken_record": 1}
    assert one.take == {"kind": "first", "rows": 10}
    assert one.asked == 10
    assert (one.repeat, one.repeat_solved, one.repeat_exact, one.passes) == (1.5, None, 1.5, 1.5)
    assert manifest.totals == one.counts
    assert manifest.domains["general"].repeat == 1.0


def test_tables_have_their_schemas_and_order() -> None:
    mixture, _ = made([Entry(id="b", source="s"), Entry(id="a", source="s")], source("s", good(1, 1, 2)))
    assert mixture.decisions.schema == DECISIONS
    assert mixture.clusters.schema == CLUSTERS
    assert mixture.ids.schema == IDS
    assert mixture.decisions["entry"].to_list() == ["a"] * 3 + ["b"] * 3
    assert mixture.decisions["position"].to_list() == [0, 1, 2] * 2
    assert mixture.ids.rows() == [
        (entry, f"s/train/000{row}", 1, 30 + row, 25, row, None) for entry in "ab" for row in (0, 2)
    ]


def test_a_row_that_is_not_taken_has_neither_rule_nor_reason() -> None:
    entry = Entry.model_validate({"id": "a", "source": "s", "take": {"kind": "first", "rows": 1}})
    mixture, _ = made([entry], source("s", [(1, 0), (1, 1), ("error", 2)]))
    assert mixture.decisions.select("verdict", "rule", "reasons", "unknown", "outcome", "times").rows() == [
        ("drop", "low", ["low", "middling"], [], None, 0),
        ("not_taken", None, [], [], None, 0),
        ("not_taken", None, [], [], None, 0),
    ]


def test_entries_of_one_source_take_random_rows_of_their_own() -> None:
    half = {"source": "s", "take": {"kind": "random", "percent": 50}}
    entries = [Entry.model_validate({"id": name, **half}) for name in ("a", "b")]
    mixture, _ = made(entries, source("s", good(*range(40))))
    first, second = (set(mixture.ids.filter(pl.col("entry") == name)["key"]) for name in ("a", "b"))
    assert (len(first), len(second)) == (20, 20)
    assert first != second


def test_a_recipe_without_rules_keeps_every_row() -> None:
    _, manifest = made([Entry(id="a", source="s")], source("s", [(1, 0), ("error", 1), (4, 2)]), rules=Rules())
    assert manifest.totals.written == 3


@pytest.mark.parametrize("rows", [[], [(1, 0)]])
def test_an_entry_that_writes_nothing_is_still_counted(rows: list[Row]) -> None:
    mixture, manifest = made([Entry(id="a", source="s", repeat=2)], source("s", rows, quarantined=[0, 1]))
    assert manifest.totals.read == len(rows) + 2
    assert manifest.totals.emitted == 0
    assert manifest.domains["general"].repeat is None
    assert mixture.ids.schema == IDS


def test_the_same_key_in_two_entries_is_no_duplicate_of_itself() -> None:
    entries = [Entry(id="all", source="s"), Entry(id="again", source="s", repeat=2)]
    mixture, manifest = made(entries, source("s", good(1, 2, 3)))
    assert mixture.clusters.height == 0
    assert [entry.counts.written for entry in manifest.entries] == [3, 3]
    assert [entry.counts.emitted for entry in manifest.entries] == [3, 6]


def test_duplicates_are_found_across_sources_and_entries() -> None:
    entries = [Entry(id="b", source="t"), Entry(id="a", source="s")]
    mixture, _ = made(entries, source("s", good(1, 2)), source("t", good(2, 3)))
    assert outcomes(mixture, "a") == ["written", "written"]
    assert outcomes(mixture, "b") == ["duplicate", "written"]
    assert mixture.clusters["key"].to_list() == ["s/train/0001", "t/train/0000"]


def test_a_dropped_row_duplicates_nothing() -> None:
    mixture, _ = made([Entry(id="a", source="s")], source("s", [(1, 5), (4, 5), ("error", 5), (8, 5)]))
    assert outcomes(mixture, "a") == ["drop", "review", "unscored", "written"]
    assert mixture.clusters.height == 0


def test_off_keeps_duplicates() -> None:
    mixture, manifest = made([Entry(id="a", source="s")], source("s", good(1, 1)), dedup=Dedup(level="off"))
    assert manifest.totals.written == 2
    assert mixture.clusters.schema == CLUSTERS


def test_pictures_and_characters_count_repeats() -> None:
    # rows 0, 1, 2 hold 0, 1, 2 pictures and 110, 111, 112 characters
    entry = Entry(id="a", source="s", repeat=3)
    _, manifest = made([entry], source("s", [(8, 0), (1, 1), (8, 2)]))
    expected = Sizes(turns=12, characters=3 * (110 + 112), tokens=3 * (30 + 32), answer_tokens=150, pictures=3 * 2)
    assert manifest.entries[0].sizes == manifest.sizes == manifest.domains["general"].sizes == expected
    assert manifest.domains["general"].share == 1
    assert manifest.licences == {"cc0": 6}


def test_tiles_are_counted_where_an_entry_says_how_many() -> None:
    entries = [Entry(id="a", source="s", max_tiles=2, repeat=2), Entry(id="b", source="s")]
    mixture, manifest = made(entries, source("s", good(1, 2, 3, 4)))
    assert mixture.ids["tiles"].to_list() == [0, 1, 2, 2, None, None, None, None]
    assert [entry.sizes.tiles for entry in manifest.entries] == [2 * 5, None]
    assert manifest.sizes.tiles == 10


def test_a_factor_below_one_leaves_rows_out_as_capped() -> None:
    mixture, manifest = made([Entry(id="a", source="s", repeat=0.5)], source("s", good(1, 2, 3, 4, 5)))
    counts = manifest.totals
    assert (counts.written, counts.capped, counts.emitted) == (2, 3, 2)
    assert sorted(outcomes(mixture, "a")) == ["capped"] * 3 + ["written"] * 2


def test_exempt_entries_are_named_with_the_reason() -> None:
    low = {"name": "low", "when": "quality < 3", "then": "drop", "exempt": [{"entry": "a", "reason": "exact answers"}]}
    spared = {"id": "c", "source": "s", "exempt": [{"rule": "low", "reason": "graded by hand"}]}
    entries = [Entry(id="a", source="s"), Entry(id="b", source="s"), Entry.model_validate(spared)]
    _, manifest = made(entries, source("s", [(1, 0)]), rules=Rules.model_validate({"list": [low]}))
    assert [entry.exempt for entry in manifest.entries] == [{"low": "exact answers"}, {}, {"low": "graded by hand"}]
    assert [entry.counts.keep for entry in manifest.entries] == [1, 0, 1]


@pytest.mark.parametrize("seed", [0, 1])
def test_a_larger_cap_contains_a_smaller(seed: int) -> None:
    def written(cap: int | None) -> set[str]:
        mixture, _ = made([Entry(id="a", source="s", cap=cap)], source("s", good(*range(20))), seed=seed)
        return set(mixture.ids["key"])

    sets = [written(cap) for cap in (0, 1, 5, 19, 20, 99, None)]
    assert [len(keys) for keys in sets] == [0, 1, 5, 19, 20, 20, 20]
    assert all(small <= large for small, large in pairwise(sets))
    assert sets[2] != {f"s/train/{row:04}" for row in range(5)}


def test_a_lost_row_is_noticed() -> None:
    recipe = Recipe(name="mine", rules=RULES, entries=(Entry(id="a", source="s"),))
    facts = {("sft", "a"): SourceFacts(name="s", licence="cc0", rows=2, status="resolved")}
    (stage,) = plan(recipe, facts, SCORES).stages
    sources = {"s": source("s", good(1, 2))}
    mixture = mix(recipe, stage, sources, {"a": "s"}, KNOWN, tiles)
    part = mixture.parts["a"]
    broken = replace(mixture, parts={"a": part._replace(outcome=part.outcome * 0)})
    with pytest.raises(ConservationError, match=r"mixture `mine\.sft`: `keep` is 2, its parts add up to 0"):
        report(recipe, stage, sources, {"a": "s"}, broken, told=Told("off", True), digests=NO_DIGESTS)


# targets


def targeted(entries: list[dict[str, Any]], targets: dict[str, Any], *sources: SourceScores) -> Manifest:
    return made(
        [Entry.model_validate({"source": "s", **entry}) for entry in entries],
        *sources,
        targets=Targets.model_validate(targets),
        dedup=Dedup(level="off"),
    )[1]


def test_targets_in_rows_are_met_exactly_and_both_factors_are_shown() -> None:
    ten = source("s", good(*range(10)))
    manifest = targeted(
        [{"id": "a", "domain": "chat"}, {"id": "b", "domain": "chart", "repeat": 2}, {"id": "c", "domain": "other"}],
        {"amounts": {"chat": 13, "chart": 7}},
        ten,
    )
    assert [entry.counts.emitted for entry in manifest.entries] == [13, 7, 10]
    assert [entry.repeat for entry in manifest.entries] == [1, 2, 1]
    assert [entry.repeat_solved for entry in manifest.entries] == [1.3, 0.7, None]
    assert [entry.repeat_exact for entry in manifest.entries] == [1.3, 1, 1]
    assert [entry.counts.written for entry in manifest.entries] == [10, 7, 10]
    assert manifest.unmet == []
    assert manifest.targets is not None and manifest.targets["amounts"] == {"chat": 13, "chart": 7}


def test_written_factors_set_the_balance_within_a_domain() -> None:
    manifest = targeted(
        [{"id": "a", "repeat": 3}, {"id": "b"}], {"amounts": {"general": 20}}, source("s", good(*range(10)))
    )
    assert [entry.counts.emitted for entry in manifest.entries] == [15, 5]


def test_limits_hold_for_the_factors_that_come_out() -> None:
    manifest = targeted(
        [{"id": "a", "repeat": 2}, {"id": "b"}],
        {"amounts": {"general": 1000}, "limits": {"most": 3}},
        source("s", good(*range(10))),
    )
    assert [entry.repeat_solved for entry in manifest.entries] == [3, 1.5]
    assert [entry.counts.emitted for entry in manifest.entries] == [30, 15]
    assert manifest.unmet == ["domain `general`: 1,000 rows need 33.3 x what is there, the limit is at most 1.5 x: 45"]


def test_targets_in_tokens_come_as_near_as_rows_allow() -> None:
    # rows of 30, 31 ... 39 tokens
    manifest = targeted([{"id": "a"}], {"unit": "tokens", "amounts": {"general": 500}}, source("s", good(*range(10))))
    assert abs(manifest.sizes.tokens - 500) <= 20
    assert manifest.entries[0].repeat_solved == pytest.approx(500 / 345, abs=1e-6)


def test_text_rows_follow_the_factor_of_a_domain_that_is_counted_in_images() -> None:
    text = source("t", good(50))  # its one row has no picture
    manifest = targeted(
        [{"id": "a"}, {"id": "b", "source": "t"}],
        {"unit": "images", "amounts": {"general": 18}},
        source("s", good(*range(10))),
        text,
    )
    assert manifest.sizes.pictures == 18
    assert [entry.repeat_solved for entry in manifest.entries] == [2, 2]
    assert [entry.counts.emitted for entry in manifest.entries] == [20, 2]


def test_a_target_for_rows_that_nobody_kept_is_explained() -> None:
    manifest = targeted(
        [{"id": "a", "domain": "chat"}, {"id": "b", "domain": "chart", "source": "t"}],
        {"shares": {"chat": 1, "chart": 1}, "total": 8},
        source("s", good(1, 2, 3)),
        source("t", [(1, 1)]),
    )
    assert [entry.counts.emitted for entry in manifest.entries] == [8, 0]
    assert manifest.unmet == ["domain `chart`: it has no rows left to repeat"]


# random mixtures


QUALITIES = st.sampled_from([0, 2.5, 4, 8, 10, "not_applicable", "not_asked", "no_answer", "error"])
KINDS = st.sampled_from([("first", None), ("end", None), ("random", None), ("top", "clip")])
AMOUNTS = st.one_of(
    st.fixed_dictionaries({"rows": st.integers(0, 15)}),
    st.fixed_dictionaries({"percent": st.integers(0, 100)}),
    st.fixed_dictionaries({"fraction": st.floats(0, 1)}),
)
TAKES = st.one_of(
    st.just({"kind": "all"}),
    st.just({"kind": "exclude", "file": "rows.json"}),
    st.fixed_dictionaries({"kind": st.just("even"), "rows": st.integers(0, 15)}),
    st.tuples(KINDS, AMOUNTS).map(lambda drawn: {"kind": drawn[0][0], "by": drawn[0][1], **drawn[1]}),
)
SLICES = st.none() | st.tuples(st.integers(0, 49), st.integers(50, 100)).map(
    lambda ends: {"start": ends[0], "end": ends[1]}
)
UNITS = st.sampled_from(["rows", "images", "turns", "tokens"])
LIMITS = st.sampled_from([{}, {"most": 1.5}, {"least": 0.5, "most": 3}, {"least": 1, "most": 1}])


@st.composite
def sources_drawn(draw: Any) -> list[SourceScores]:
    drawn = []
    for name in ("s", "t"):
        rows = draw(st.lists(st.tuples(QUALITIES, st.integers(0, 6)), max_size=12))
        gaps = draw(st.sets(st.integers(0, len(rows)), max_size=3))
        # quarantine may only leave gaps inside the file: positions run up to rows + gaps
        drawn.append(source(name, rows, sorted(gaps)))
    return drawn


def entry_drawn(name: str) -> st.SearchStrategy[Entry]:
    return st.fixed_dictionaries(
        {
            "id": st.just(name),
            "source": st.sampled_from(["s", "t"]),
            "domain": st.sampled_from(["chat", "chart"]),
            "slice": SLICES,
            "take": TAKES,
            "cap": st.none() | st.integers(0, 6),
            "repeat": st.sampled_from([0.3, 1, 1.5, 2, 3.999]),
        }
    ).map(Entry.model_validate)


ENTRIES = st.integers(1, 4).flatmap(lambda count: st.tuples(*[entry_drawn(f"e{number}") for number in range(count)]))
MIXES = st.tuples(ENTRIES, sources_drawn(), st.sampled_from(["pair", "off"]))


@settings(max_examples=60, deadline=None)
@given(MIXES)
def test_every_row_is_accounted_for(drawn: tuple[list[Entry], list[SourceScores], Any]) -> None:
    entries, sources, level = drawn
    mixture, manifest = made(entries, *sources, dedup=Dedup(level=level))
    by_name = {each.name: each for each in sources}
    said = pl.concat([each.scores.select("key", "text_hash") for each in sources])
    for entry, one in zip(entries, manifest.entries, strict=True):
        counts, origin = one.counts, by_name[str(entry.source)]
        assert counts.read == origin.published
        assert counts.made == origin.scores.height == counts.read - counts.quarantined
        assert counts.made == counts.not_taken + counts.keep + counts.drop + counts.review + counts.unscored
        assert counts.keep == counts.duplicates + counts.capped + counts.written
        unique = counts.keep - counts.duplicates
        chosen = unique if entry.cap is None else min(entry.cap, unique)
        assert counts.emitted == floor(round(entry.repeat * 1000) * chosen / 1000)
        # a factor below 1 leaves rows out
        assert counts.written == min(chosen, counts.emitted)
        assert counts.made - counts.not_taken <= one.asked
        rows = mixture.decisions.filter(pl.col("entry") == entry.id)
        assert sorted(rows["key"]) == sorted(origin.scores["key"])
        assert counts.emitted == rows["times"].sum()
        assert set(rows.filter(pl.col("outcome") == "written")["times"]) <= {
            floor(entry.repeat),
            floor(entry.repeat) + 1,
        }
        assert rows.filter((pl.col("outcome") == "written").ne_missing(True))["times"].sum() == 0
        assert (rows["outcome"].is_not_null() == (rows["verdict"] == "keep")).all()
    # no two rows kept by dedup say the same, and what was dropped says what a kept row says
    kept = mixture.decisions.filter(pl.col("verdict") == "keep").join(said, on="key")
    distinct = kept.filter(pl.col("outcome") != "duplicate").unique("key")
    if level == "pair":
        assert distinct["text_hash"].is_unique().all()
    else:
        assert kept.filter(pl.col("outcome") == "duplicate").height == 0
    assert set(kept["text_hash"]) == set(distinct["text_hash"])


@settings(max_examples=40, deadline=None)
@given(MIXES, st.randoms(use_true_random=False))
def test_the_order_of_entries_changes_no_row(drawn: tuple[list[Entry], list[SourceScores], Any], random: Any) -> None:
    entries, sources, level = drawn
    before, first = made(entries, *sources, dedup=Dedup(level=level))
    shuffled = random.sample(list(entries), len(entries))
    after, second = made(shuffled, *sources[::-1], dedup=Dedup(level=level))
    assert_frame_equal(before.decisions, after.decisions)
    assert_frame_equal(before.clusters, after.clusters)
    assert_frame_equal(before.ids, after.ids)
    assert {entry.id: entry for entry in first.entries} == {entry.id: entry for entry in second.entries}
    assert first.domains == second.domains
    assert first.totals == second.totals


@settings(max_examples=40, deadline=None)
@given(MIXES)
def test_domains_add_up_and_show_the_repeat_factor(drawn: tuple[list[Entry], list[SourceScores], Any]) -> None:
    entries, sources, level = drawn
    _, manifest = made(entries, *sources, dedup=Dedup(level=level))
    assert set(manifest.domains) == {entry.domain for entry in entries}
    for name, domain in manifest.domains.items():
        inside = [entry.counts for entry in manifest.entries if entry.domain == name]
        for field in type(manifest.totals).model_fields:
            assert getattr(domain, field) == sum(getattr(counts, field) for counts in inside)
        assert domain.repeat == (pytest.approx(domain.emitted / domain.keep, abs=1e-6) if domain.keep else None)
    for field in type(manifest.totals).model_fields:
        assert getattr(manifest.totals, field) == sum(getattr(domain, field) for domain in manifest.domains.values())


@settings(max_examples=20, deadline=None)
@given(MIXES, st.integers(1, 5))
def test_scores_that_are_read_block_by_block_give_the_same_mixture(
    drawn: tuple[list[Entry], list[SourceScores], Any], rows: int
) -> None:
    entries, sources, level = drawn
    whole, first = made(entries, *sources, dedup=Dedup(level=level))
    stored = [replace(each, scores=pl.DataFrame(), stored=each.scores.lazy()) for each in sources]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("manifests.mixture._ROWS", rows)
        read, second = made(entries, *stored, dedup=Dedup(level=level))
    assert_frame_equal(whole.decisions, read.decisions)
    assert first == second


@settings(max_examples=30, deadline=None)
@given(MIXES, st.integers(0, 3))
def test_an_entry_does_not_feel_its_neighbours_without_dedup(
    drawn: tuple[list[Entry], list[SourceScores], Any], place: int
) -> None:
    entries, sources, _ = drawn
    alone = entries[place % len(entries)]
    together, _ = made(entries, *sources, dedup=Dedup(level="off"))
    single, _ = made([alone], *sources, dedup=Dedup(level="off"))
    assert_frame_equal(together.decisions.filter(pl.col("entry") == alone.id), single.decisions)


@st.composite
def targets_drawn(draw: Any, entries: Sequence[Entry]) -> Targets:
    domains = sorted({entry.domain for entry in entries})
    fields: dict[str, Any] = {"unit": draw(UNITS), "limits": draw(LIMITS)}
    match draw(st.sampled_from(["amounts", "shares", "temperature"])):
        case "amounts":
            fields["amounts"] = {name: draw(st.integers(0, 60)) for name in domains}
        case "shares":
            fields["shares"] = {name: draw(st.integers(1, 9)) for name in domains}
        case _:
            fields["temperature"] = draw(st.sampled_from([0.5, 1, 2, 10]))
    if not fields.get("amounts"):
        fields["total"] = draw(st.none() | st.integers(1, 200))
    return Targets.model_validate(fields)


@settings(max_examples=100, deadline=None)
@given(MIXES, st.data(), st.randoms(use_true_random=False))
def test_balanced_mixtures_keep_the_law_the_limits_and_the_sum(
    drawn: tuple[list[Entry], list[SourceScores], Any], data: Any, random: Any
) -> None:
    entries, sources, level = drawn
    targets = data.draw(targets_drawn(entries))
    mixture, manifest = made(entries, *sources, dedup=Dedup(level=level), targets=targets)
    for entry, one in zip(entries, manifest.entries, strict=True):
        rows = mixture.decisions.filter((pl.col("entry") == entry.id) & pl.col("times").gt(0))
        assert (rows.height, rows["times"].sum()) == (one.counts.written, one.counts.emitted)
        assert one.counts.emitted == mixture.ids.filter(pl.col("entry") == entry.id)["times"].sum()
        if rows.height:
            assert rows["times"].max() - rows["times"].min() <= 1  # type: ignore[operator]  # integers
        if one.repeat_solved is not None:
            assert one.repeat_solved <= targets.limits.most + 1e-6
    if targets.unit == "rows" and targets.amounts and not manifest.unmet:
        assert {name: domain.emitted for name, domain in manifest.domains.items()} == targets.amounts
    if targets.unit == "rows" and targets.total is not None and not manifest.unmet:
        assert manifest.totals.emitted == targets.total
    shuffled = random.sample(list(entries), len(entries))
    again, _ = made(shuffled, *sources[::-1], dedup=Dedup(level=level), targets=targets)
    assert_frame_equal(mixture.ids, again.ids)


# digests


ROWS: list[Row] = [(8, 0), (8, 1), (1, 2), (4, 3), ("error", 4)]


def digest_of(rows: list[Row], **fields: Any) -> str:
    return made([Entry.model_validate({"id": "a", "source": "s", **fields})], source("s", rows))[1].digest()


def test_equal_content_has_an_equal_digest() -> None:
    assert digest_of(ROWS) == digest_of(list(ROWS))
    assert len(digest_of(ROWS)) == 64
    assert Manifest.model_validate_json(made([Entry(id="a", source="s")], source("s", ROWS))[1].model_dump_json())


@pytest.mark.parametrize(
    ("rows", "fields"),
    [
        ([(1, 0), *ROWS[1:]], {}),  # keep becomes drop
        ([(10, 0), *ROWS[1:]], {}),  # kept by another rule
        ([(8, 1), *ROWS[1:]], {}),  # a duplicate
        ([*ROWS[:3], ("error", 3), (4, 4)], {}),  # two verdicts change places, every count stays
        ([*ROWS[:4], ("not_asked", 4)], {}),
        (ROWS, {"repeat": 1.5}),
        (ROWS, {"cap": 1}),
        (ROWS, {"take": {"kind": "first", "rows": 4}}),
        (ROWS, {"domain": "chat"}),
        (ROWS, {"max_tiles": 2}),
        (ROWS, {"languages": ["en"]}),
        (ROWS, {"assumed": "everything"}),
    ],
)
def test_any_decision_changes_the_digest(rows: list[Row], fields: dict[str, Any]) -> None:
    assert digest_of(rows, **fields) != digest_of(ROWS)
