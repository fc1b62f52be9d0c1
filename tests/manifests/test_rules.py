from collections.abc import Sequence
from itertools import product
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from manifests import verdicts
from manifests.asking import to_ask
from manifests.recipe import Entry, Exempt, Rule, Rules, Where
from manifests.rules import RULE_SETS, Predicate, compose, load_rule_set, parse
from shards.errors import RecipeError

SCORES: dict[str, Any] = {
    "quality": pl.Float32,
    "repetition": pl.Float64,
    "char_run": pl.Int32,
    "refusal": pl.Boolean,
    "human": pl.String,
}
JUDGED = frozenset({"quality", "repetition"})
ENTRY = Entry(id="a", source="s", domain="chat")
STATES = ("not_applicable", "not_asked", "no_answer", "error")


def rule(name: str, when: str | None = None, then: Any = "drop", **fields: Any) -> Rule:
    return Rule(name=name, when=when, then=then, **fields)


def table(**columns: list[Any]) -> pl.DataFrame:
    """A score frame; a state's name instead of a value stands for null with that state."""
    series = []
    for name, values in columns.items():
        null = [value in STATES for value in values]
        plain = [None if gone else value for value, gone in zip(values, null, strict=True)]
        states = [value if gone else None for value, gone in zip(values, null, strict=True)]
        series += [pl.Series(name, plain, SCORES[name]), pl.Series(f"{name}_state", states, pl.String)]
    return pl.DataFrame(series)


def decide(frame: pl.DataFrame, predicates: Sequence[Predicate], entry: Entry) -> pl.DataFrame:
    """Verdicts in words."""
    return verdicts.words(verdicts.decide(frame, predicates, entry), predicates)


def decided(frame: pl.DataFrame, *rules: Rule, entry: Entry = ENTRY) -> list[tuple[Any, ...]]:
    return decide(frame, parse(rules, SCORES), entry).rows()


# composition


def names(*local: Rule, extends: tuple[str, ...] = ("default",)) -> list[str]:
    return [each.name for each in compose(Rules(extends=extends, list=local))]


def test_extended_rules_stand_before_local_ones() -> None:
    base = [each.name for each in load_rule_set("default")]
    assert base[0] == "human_drop"
    assert names(rule("mine", "quality < 1")) == [*base, "mine"]


def test_a_local_rule_replaces_in_place() -> None:
    base = load_rule_set("default")
    composed = compose(Rules(extends=("default",), list=(rule("loop", "quality < 1", "review"),)))
    place = [each.name for each in base].index("loop")
    assert [each.name for each in composed] == [each.name for each in base]
    assert composed[place].when == "quality < 1"
    assert composed[:place] + composed[place + 1 :] == base[:place] + base[place + 1 :]


def test_off_removes_an_inherited_rule() -> None:
    assert names(rule("loop", then="off")) == [each.name for each in load_rule_set("default") if each.name != "loop"]


def test_a_set_named_twice_changes_nothing() -> None:
    assert names(extends=("default", "default")) == names()


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        (Rules(list=(rule("loop", then="off"),)), "rule `loop` is switched off, but no extended rule set has it"),
        (Rules(extends=("defualt",)), "no rule set `defualt`; known: c4, .*default, "),
    ],
)
def test_composition_errors(rules: Rules, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        compose(rules)


@pytest.mark.parametrize("name", sorted(path.stem for path in RULE_SETS.glob("*.yaml")))
def test_rule_sets_load_and_name_their_thresholds_source(name: str) -> None:
    rules = load_rule_set(name)
    assert rules
    assert [each.name for each in rules if not each.source] == []


def test_human_rules_stand_first_in_their_order() -> None:
    rules = [
        rule("cheap", "char_run > 5"),
        rule("human_keep", "human = 'keep'", "keep"),
        rule("judged", "quality < 7"),
        rule("human_mixed", "quality < 9 AND human = 'drop'"),
    ]
    ordered = [predicate.rule.name for predicate in parse(rules, SCORES)]
    assert ordered == ["human_keep", "human_mixed", "cheap", "judged"]


# parsing


@pytest.mark.parametrize(
    ("when", "words"),
    [
        ("qualty < 7", "no filter writes score `qualty`; did you mean `quality`"),
        ("zzz < 7", "no filter writes score `zzz`; known: char_run, human, quality, refusal, repetition"),
        ("qualty_state = 'error'", "no filter writes score `qualty_state`"),
        ("quality <", "`quality <` is not a SQL predicate"),
        ("SELECT 1", "is not a SQL predicate"),
        ("quality < 7; DROP TABLE scores", "is not a SQL predicate"),
        ("", "is not a SQL predicate"),
        ("RANDOM() < 0.5 AND quality < 7", "is not a SQL predicate"),
        ("1 = 1", "reads no score"),
        ("COUNT(*) > 3", "reads no score"),
        ("quality", "one true or false a row, gives Float32"),
        ("quality + 1", "one true or false a row, gives Float32"),
        ("human > 3", "cannot be evaluated: cannot compare string with numeric"),
        ("quality < 'low'", "cannot be evaluated: cannot compare string with numeric"),
    ],
)
def test_what_is_no_predicate_over_scores(when: str, words: str) -> None:
    with pytest.raises(RecipeError) as caught:
        parse([rule("mine", when)], SCORES)
    message = str(caught.value)
    assert message.startswith("rule `mine`: ")
    assert words in message
    assert "\n" not in message


AGGREGATES = [
    "AVG(quality) {}",
    "MAX(quality) {}",
    "MIN(quality) {}",
    "SUM(quality) {}",
    "MEDIAN(quality) {}",
    "STDDEV(quality) {}",
    "FIRST(quality) {}",
    "COUNT(quality) {}",
    "COUNT(DISTINCT quality) {}",
    "AVG(quality) OVER () {}",
    "AVG(quality) OVER (PARTITION BY char_run) {}",
    "quality - AVG(quality) OVER (PARTITION BY refusal) {}",
    "ROW_NUMBER() OVER (ORDER BY quality) {}",
    "RANK() OVER (ORDER BY quality) {}",
    "LAG(quality) OVER (ORDER BY quality) {}",
]


@pytest.mark.parametrize("aggregate", AGGREGATES)
@pytest.mark.parametrize(
    "frame",
    ["{}", "refusal AND {}", "human = 'never in a probe' AND {}", "NOT (quality < 7 OR {})", "{} AND quality IS NULL"],
)
@pytest.mark.parametrize("comparison", ["> 3", "> 1e12", "IS NULL"])
def test_aggregates_are_refused_wherever_they_hide(aggregate: str, frame: str, comparison: str) -> None:
    with pytest.raises(RecipeError, match=r"looks at other rows|one true or false a row|reads no score"):
        parse([rule("mine", frame.format(aggregate.format(comparison)))], SCORES)


def test_a_hidden_count_of_rows_is_refused() -> None:
    with pytest.raises(RecipeError, match="looks at other rows"):
        parse([rule("mine", "human = 'x' AND COUNT(*) > 3")], SCORES)


@pytest.mark.parametrize(
    "when",
    [
        "quality < 7.5",
        "quality < 2 * 3 - 1",
        "quality > -1 AND quality <= char_run",
        "char_run IN (1, 2, 50)",
        "human NOT IN ('keep', 'drop')",
        "quality BETWEEN 2 AND 3",
        "human LIKE 'dr%' OR LENGTH(human) > 9",
        "NOT refusal",
        "refusal",
        "quality IS NULL AND quality_state = 'error'",
        "CASE WHEN char_run > 5 THEN quality ELSE repetition END < 3",
        "COALESCE(quality, repetition) < 3",
    ],
)
def test_predicates_that_see_one_row(when: str) -> None:
    (predicate,) = parse([rule("mine", when)], SCORES)
    assert set(predicate.scores) <= set(SCORES)


def test_a_predicate_names_the_scores_it_reads_once() -> None:
    (predicate,) = parse([rule("mine", "quality < 3 OR quality > 9 OR (refusal AND quality_state = 'error')")], SCORES)
    assert predicate.scores == ("quality", "refusal")


# deciding


@pytest.mark.parametrize(
    ("when", "value", "expected"),
    [
        ("quality < 7", 3, "drop"),
        ("quality < 7", 7, "keep"),
        ("quality < 7", "not_applicable", "keep"),
        ("quality < 7", "not_asked", "keep"),
        ("quality < 7", "no_answer", "unscored"),
        ("quality < 7", "error", "unscored"),
        # the whole predicate is false, not the comparison: NOT does not turn `no such content` into a hit
        ("NOT (quality < 7)", 9, "drop"),
        ("NOT (quality < 7)", "not_applicable", "keep"),
        ("NOT (quality < 7)", "not_asked", "keep"),
        ("NOT (quality < 7)", "error", "unscored"),
        ("quality IS NULL", 3, "keep"),
        ("quality IS NULL", "not_applicable", "drop"),
        ("quality IS NULL", "error", "drop"),
        ("quality IS NOT NULL", 3, "drop"),
        ("quality IS NOT NULL", "no_answer", "keep"),
        ("quality_state = 'error'", "error", "drop"),
        ("quality_state = 'error'", "no_answer", "keep"),
        ("quality_state = 'error'", 3, "keep"),
        ("quality BETWEEN 2 AND 4", "no_answer", "unscored"),
        ("quality IN (1, 2)", "not_applicable", "keep"),
    ],
)
def test_null_states(when: str, value: Any, expected: str) -> None:
    assert decided(table(quality=[value]), rule("mine", when))[0][0] == expected


def test_and_and_or_over_every_pair_of_states() -> None:
    cells: list[Any] = [True, False, *STATES]
    pairs = list(product(cells, cells))
    value = {True: 0, False: 9}
    frame = table(
        quality=[value.get(left, left) for left, _ in pairs], repetition=[value.get(right, right) for _, right in pairs]
    )
    both = decided(frame, rule("mine", "quality < 7 AND repetition < 7"))
    either = decided(frame, rule("mine", "quality < 7 OR repetition < 7"))
    for pair, (all_of, *_), (any_of, *_) in zip(pairs, both, either, strict=True):
        unknown = "unscored" if {"no_answer", "error"} & set(pair) else "keep"
        assert all_of == ("drop" if pair == (True, True) else "keep" if False in pair else unknown), pair
        assert any_of == ("drop" if True in pair else "keep" if pair == (False, False) else unknown), pair


def test_the_first_true_rule_wins_and_all_true_ones_are_reasons() -> None:
    rules = [rule("one", "char_run > 5", "review"), rule("two", "quality < 7"), rule("three", "refusal", "keep")]
    frame = table(char_run=[9, 9, 0, 0], quality=[1, 9, 1, 9], refusal=[True, False, True, False])
    assert decided(frame, *rules) == [
        ("review", "one", ["one", "two", "three"], []),
        ("review", "one", ["one"], []),
        ("drop", "two", ["two", "three"], []),
        ("keep", None, [], []),
    ]


def test_a_true_rule_wins_over_an_unknown_one_before_it() -> None:
    rules = [rule("judged", "quality < 7"), rule("cheap", "char_run > 5", "review")]
    frame = table(quality=["error", "error", "no_answer"], char_run=[9, 0, "error"])
    assert decided(frame, *rules) == [
        ("review", "cheap", ["cheap"], ["judged"]),
        ("unscored", None, [], ["judged"]),
        ("unscored", None, [], ["judged", "cheap"]),
    ]


def test_a_person_overrules_the_judge() -> None:
    rules = [rule("judged", "quality < 7"), rule("human_keep", "human = 'keep'", "keep")]
    frame = table(quality=[1, "error"], human=["keep", "keep"])
    assert [(verdict, by) for verdict, by, *_ in decided(frame, *rules)] == [("keep", "human_keep")] * 2


@pytest.mark.parametrize(
    ("fields", "applies"),
    [
        ({}, True),
        ({"where": Where(entries=("a", "b"))}, True),
        ({"where": Where(entries=("b",))}, False),
        ({"where": Where(domains=("chat",))}, True),
        ({"where": Where(domains=("chart",))}, False),
        ({"where": Where(entries=("a",), domains=("chart",))}, False),
        ({"exempt": (Exempt(entry="a", reason="exact answers"),)}, False),
        ({"exempt": (Exempt(entry="b", reason="exact answers"),)}, True),
        ({"where": Where(domains=("chat",)), "exempt": (Exempt(entry="a", reason="exact answers"),)}, False),
    ],
)
def test_where_and_exempt(fields: dict[str, Any], applies: bool) -> None:
    frame = table(quality=[1, "error", "not_asked"])
    rules = [rule("mine", "quality < 7", **fields)]
    verdicts = [verdict for verdict, *_ in decided(frame, *rules)]
    assert verdicts == (["drop", "unscored", "keep"] if applies else ["keep"] * 3)
    assert bool(to_ask(frame, parse(rules, SCORES), ENTRY, JUDGED)) == applies


@pytest.mark.parametrize("height", [0, 1, 3])
def test_without_rules_every_row_is_kept(height: int) -> None:
    assert decided(table(quality=["error"] * height)) == [("keep", None, [], [])] * height


# a slow reference: three-valued logic row by row


Tree = tuple[Any, ...]
COLUMNS = {"quality": 7, "repetition": 3, "char_run": 5, "refusal": None, "human": None}


def sql(tree: Tree) -> str:
    match tree:
        case ("and" | "or" as word, left, right):
            return f"({sql(left)} {word} {sql(right)})"
        case ("not", inner):
            return f"(NOT {sql(inner)})"
        case ("null", name):
            return f"({name} IS NULL)"
        case ("human", value):
            return f"(human = '{value}')"
        case ("refusal",):
            return "refusal"
        case (name, limit):
            return f"({name} < {limit})"
    raise AssertionError(tree)


def evaluate(tree: Tree, row: dict[str, Any]) -> bool | None:
    match tree:
        case ("and", left, right):
            values = {evaluate(left, row), evaluate(right, row)}
            return False if False in values else None if None in values else True
        case ("or", left, right):
            values = {evaluate(left, row), evaluate(right, row)}
            return True if True in values else None if None in values else False
        case ("not", inner):
            value = evaluate(inner, row)
            return None if value is None else not value
        case ("null", name):
            return row[name] is None
        case ("human", value):
            return None if row["human"] is None else bool(row["human"] == value)
        case ("refusal",):
            return row["refusal"]  # type: ignore[no-any-return]  # a cell
        case (name, limit):
            return None if row[name] is None else bool(row[name] < limit)
    raise AssertionError(tree)


def read(tree: Tree) -> set[str]:
    if tree[0] in {"and", "or", "not"}:
        return set().union(*(read(part) for part in tree[1:]))
    return {tree[1] if tree[0] == "null" else tree[0]}


def reference(row: dict[str, Any], rules: list[tuple[str, Tree, str]]) -> tuple[Any, ...]:
    ordered = [each for each in rules if "human" in read(each[1])] + [
        each for each in rules if "human" not in read(each[1])
    ]
    true, unknown = [], []
    for name, tree, then in ordered:
        value = evaluate(tree, row)
        if value:
            true.append((name, then))
        elif value is None and any(row[f"{score}_state"] in {"no_answer", "error"} for score in read(tree)):
            unknown.append(name)
    verdict = true[0][1] if true else "unscored" if unknown else "keep"
    return verdict, true[0][0] if true else None, [name for name, _ in true], unknown


def cells(*values: Any, states: tuple[str, ...] = STATES) -> st.SearchStrategy[Any]:
    return st.sampled_from([*values, *states])


ROW = {
    "quality": cells(0, 6.5, 7, 10),
    "repetition": cells(0, 3, 8),
    "char_run": cells(0, 5, 900),
    "refusal": cells(True, False),
    "human": cells("keep", "drop"),
}
FRAMES = st.lists(st.fixed_dictionaries(ROW), max_size=12)
ATOMS = st.one_of(
    st.tuples(st.sampled_from(["quality", "repetition", "char_run"]), st.sampled_from([3, 7])),
    st.just(("refusal",)),
    st.tuples(st.just("human"), st.sampled_from(["keep", "drop"])),
)
NULLS = st.tuples(st.just("null"), st.sampled_from(sorted(ROW)))


def trees(atoms: st.SearchStrategy[Any]) -> st.SearchStrategy[Tree]:
    return st.recursive(
        atoms,
        lambda inner: st.one_of(
            st.tuples(st.just("not"), inner), st.tuples(st.sampled_from(["and", "or"]), inner, inner)
        ),
        max_leaves=4,
    )


def rule_lists(atoms: st.SearchStrategy[Any]) -> st.SearchStrategy[list[tuple[str, Tree, str]]]:
    one = st.tuples(trees(atoms), st.sampled_from(["keep", "drop", "review"]))
    return st.lists(one, max_size=4).map(lambda each: [(f"r{i}", *pair) for i, pair in enumerate(each)])


def frame_of(rows: list[dict[str, Any]]) -> pl.DataFrame:
    return table(**{name: [row[name] for row in rows] for name in ROW})


@settings(max_examples=80, deadline=None)
@given(FRAMES, rule_lists(st.one_of(ATOMS, NULLS)), st.data())
def test_decide_equals_the_reference_and_rows_are_independent(
    rows: list[dict[str, Any]], rules: list[tuple[str, Tree, str]], data: st.DataObject
) -> None:
    frame = frame_of(rows)
    predicates = parse([rule(name, sql(tree), then) for name, tree, then in rules], SCORES)
    whole = decide(frame, predicates, ENTRY)
    assert whole.rows() == [reference(row, rules) for row in frame.to_dicts()]
    cut = data.draw(st.integers(0, len(rows)))
    parts = [decide(frame[:cut], predicates, ENTRY), decide(frame[cut:], predicates, ENTRY)]
    assert_frame_equal(pl.concat(parts), whole)
    assert_frame_equal(decide(frame[::-1], predicates, ENTRY), whole[::-1])


# asking


def asked(frame: pl.DataFrame, *rules: Rule) -> dict[str, list[bool]]:
    masks = to_ask(frame, parse(rules, SCORES), ENTRY, JUDGED)
    return {name: mask.to_list() for name, mask in masks.items()}


QUALITY = rule("low_quality", "quality < 7")
REPETITIVE = rule("repetitive", "repetition < 3")
RUN = rule("character_run", "char_run > 200")


def test_a_row_that_a_cheap_rule_drops_is_not_asked() -> None:
    frame = table(char_run=[900, 1, "error"], quality=["not_asked"] * 3)
    assert asked(frame, RUN, QUALITY) == {"quality": [False, True, True]}


def test_a_cheap_rule_after_the_judge_saves_nothing() -> None:
    frame = table(char_run=[900, 1], quality=["not_asked"] * 2)
    assert asked(frame, QUALITY, RUN) == {"quality": [True, True]}


def test_the_second_criterion_waits_for_the_first() -> None:
    waiting = ["not_asked"] * 6
    first = table(quality=["not_asked", 3, 9, "no_answer", "error", "not_applicable"], repetition=waiting)
    assert asked(first, QUALITY, REPETITIVE) == {
        "quality": [True, False, False, False, False, False],
        "repetition": [False, False, True, True, True, True],
    }


def test_one_rule_over_two_criteria_asks_for_what_can_still_matter() -> None:
    frame = table(quality=["not_asked", 3, 9, "not_asked"], repetition=["not_asked", "not_asked", "not_asked", 9])
    assert asked(frame, rule("both", "quality < 7 AND repetition < 3")) == {
        "quality": [True, False, False, False],
        "repetition": [True, True, False, False],
    }


def test_nothing_left_to_ask() -> None:
    frame = table(quality=[3, 9, "no_answer", "error", "not_applicable"])
    assert asked(frame, QUALITY) == {}
    assert asked(frame.clear(), QUALITY) == {}
    assert asked(frame) == {}
    assert asked(table(char_run=["not_asked"]), RUN) == {}


@settings(max_examples=80, deadline=None)
@given(FRAMES, rule_lists(ATOMS))
def test_asking_on_demand_decides_like_asking_everything(
    answers: list[dict[str, Any]], rules: list[tuple[str, Tree, str]]
) -> None:
    """A judge that answers what it is asked for, step by step, ends at the verdicts of one that is asked for all."""
    answers = [{name: "no_answer" if cell == "not_asked" else cell for name, cell in row.items()} for row in answers]
    predicates = parse([rule(name, sql(tree), then) for name, tree, then in rules], SCORES)
    applicable = [{name: row[name] != "not_applicable" for name in JUDGED} for row in answers]
    state = [
        {**row, **{name: "not_asked" for name in JUDGED if can[name]}}
        for row, can in zip(answers, applicable, strict=True)
    ]
    questions = 0
    for _ in range(2 * len(rules) + 1):
        masks = to_ask(frame_of(state), predicates, ENTRY, JUDGED)
        for name, mask in masks.items():
            for row in mask.arg_true():
                assert state[row][name] == "not_asked"
                state[row][name] = answers[row][name]
                questions += 1
        if not masks:
            break
    assert not masks
    assert questions <= sum(sum(can.values()) for can in applicable)
    lazy = decide(frame_of(state), predicates, ENTRY).select("verdict", "rule")
    assert_frame_equal(lazy, decide(frame_of(answers), predicates, ENTRY).select("verdict", "rule"))


# the rule set of InternVL 2.5


def test_internvl_grades_quality_of_text_only() -> None:
    types = {"num_images": pl.Int32, "num_videos": pl.Int32, "quality": pl.Float64}
    (low,) = parse([each for each in load_rule_set("internvl-2.5") if each.name == "low_quality"], types)
    rows = [(0, 0, None, "not_asked"), (1, 0, None, "not_asked"), (0, 1, None, "not_asked"), (0, 0, 5.0, None)]
    frame = pl.DataFrame(rows, {**types, "quality_state": pl.String}, orient="row").with_columns(
        pl.lit(None, pl.String).alias("num_images_state"), pl.lit(None, pl.String).alias("num_videos_state")
    )
    asks = to_ask(frame, [low], ENTRY, frozenset({"quality"}))
    assert asks["quality"].to_list() == [True, False, False, False]
    assert decide(frame, [low], ENTRY)["verdict"].to_list() == ["keep", "keep", "keep", "drop"]


def test_internvl_repetition_goes_to_people_and_spares_academic_entries() -> None:
    (rule,) = [each for each in load_rule_set("internvl-2.5") if each.name == "repetitive"]
    spared = Entry(id="a", source="s", exempt=({"rule": "repetitive", "reason": "academic source"},))  # type: ignore[arg-type]
    assert decided(table(repetition=[2.0]), rule)[0][0] == "review"
    assert decided(table(repetition=[2.0]), rule, entry=spared)[0][0] == "keep"
