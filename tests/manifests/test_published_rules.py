import pytest

from flows.scoring import filter_set
from manifests.rules import MAX_RULES, load_rule_set, parse

SETS = {"gopher": 23, "c4": 3, "fineweb": 4, "data-juicer-default": 8}


@pytest.mark.parametrize(("name", "number"), SETS.items())
def test_published_sets_need_only_text_scores(name: str, number: int) -> None:
    rules = load_rule_set(name)
    predicates = parse(rules, filter_set((), ()).scores())
    assert len(predicates) == number
    assert {rule.then for rule in rules} == {"drop"}
    prefix = {"data-juicer-default": "juicer_"}.get(name, f"{name}_")
    assert all(score.startswith(prefix) for item in predicates for score in item.scores)


def test_all_sets_fit_into_one_stage() -> None:
    names = {rule.name for name in ("default", *SETS) for rule in load_rule_set(name)}
    assert len(names) <= MAX_RULES
