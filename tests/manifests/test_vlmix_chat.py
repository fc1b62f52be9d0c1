import polars as pl
import pytest

from filters import FILTERS, PICTURE_FILTERS, TEXT_FILTERS
from filters.answer import MESSAGES
from filters.native import Native
from filters.texts import read_texts
from manifests.recipe import Entry, Exempt, Rules
from manifests.rules import Predicate, compose, load_rule_set, parse

CERTAIN = {"empty_answer", "placeholder_answer", "turn_defects"}
NEEDED = ("holdings",)


def scores():
    kinds = [kind for kind in (*FILTERS.values(), *TEXT_FILTERS.values()) if kind is not Native]
    found = {name: dtype for kind in kinds for name, dtype in kind().writes.items()}
    for kind in PICTURE_FILTERS.values():
        found |= {score: kind().writes[column] for score, (column, _) in kind().reduces.items()}
    return found | {"human": pl.String}


def sample(question: str, answer: str) -> pl.DataFrame:
    turns = [{"role": "user", "text": question}, {"role": "assistant", "text": answer}]
    pictures = ["picture"] * question.count("<image>")
    return pl.DataFrame(
        {"messages": [turns], "images": [pictures], "videos": [[]]}, schema_overrides={"messages": MESSAGES}
    )


@pytest.fixture(scope="module")
def predicates() -> dict[str, Predicate]:
    return {each.rule.name: each for each in parse(load_rule_set("vlmix-chat"), scores())}


def test_every_rule_says_why(predicates):
    for each in predicates.values():
        assert ", " in each.rule.source, each.rule.name
        assert all(exempt.domain and exempt.reason for exempt in each.rule.exempt)


def test_only_what_is_certain_is_dropped(predicates):
    # rules of repetition and of pictures have their own tests
    text = [each for name, each in predicates.items() if not name.startswith(("loop", "character_run"))]
    text = [each for each in text if not set(each.scores) & {"min_side_px", "aspect"}]
    assert {each.rule.name for each in text if each.rule.then == "drop"} == CERTAIN


def test_it_stands_over_rules_of_the_same_name_in_their_places():
    both = compose(Rules(extends=("default", "vlmix-chat")))
    default = load_rule_set("default")
    assert [rule.name for rule in both][: len(default)] == [rule.name for rule in default]
    own = {rule.name: rule for rule in load_rule_set("vlmix-chat")}
    assert all(rule == own[rule.name] for rule in both if rule.name in own)
    reverse = {rule.name: rule for rule in compose(Rules(extends=("vlmix-chat", "default")))}
    assert all(reverse[rule.name] == rule for rule in default)


@pytest.mark.parametrize(
    ("question", "answer", "rules"),
    [
        ("What is it?", "A red bus at a stop.", set()),
        ("What is it?", " ", {"empty_answer", "turn_defects"}),
        ("Draw a bus.", "<nooutput>", {"placeholder_answer"}),
        ("Describe it.\n[Image of a bus]", "A bus.", {"missing_picture"}),
        ("<image>\nDescribe what is shown in this image.", "A bus.", set()),
        ("Sum it up.\nhttps://a.bc/d", "It is good.", {"missing_page"}),
        ("Name one.\nnoinput", "A bus.", {"placeholder_question"}),
        ("Help me.", "I cannot help with that.", {"refusal"}),
        ("How are you?", "As an AI, I feel nothing.", {"speaks_as_ai", "refusal"}),
        ("What is it?", "What is it", {"echo"}),
        ("What is it?", "A bus.<|im_end|>", {"template_tokens"}),
        ("What is it?", "It\u00e2\u20ac\u2122s a bus.", {"broken_characters"}),
        ("Pick one.\nA. red\nB. blue", "Water", {"options_unanswered"}),
        ("What is it?", "This sentence goes on and on" + " and on" * 200, {"long_sentence"}),
    ],
)
def test_what_the_rules_find(predicates, question, answer, rules):
    batch = sample(question, answer)
    texts = read_texts(batch)
    frames = [kind()(texts) for kind in TEXT_FILTERS.values()] + [FILTERS[name]()(batch) for name in NEEDED]
    table = pl.concat(frames, how="horizontal")
    mine = {name: each for name, each in predicates.items() if not name.startswith(("loop", "character_run"))}
    mine = {name: each for name, each in mine.items() if set(each.scores) <= set(table.columns)}
    found = table.select([each.true().alias(name) for name, each in mine.items()]).row(0, named=True)
    assert {name for name, says in found.items() if says} == rules


@pytest.mark.parametrize(("domain", "applies"), [("chat", True), ("ocr", False), ("caption", False)])
def test_domains_are_exempt(predicates, domain, applies):
    entry = Entry(id="mine", source="mine.mine", domain=domain)
    assert predicates["truncated"].applies(entry) is applies
    assert predicates["empty_answer"].applies(entry)


@pytest.mark.parametrize("named", [{}, {"entry": "mine", "domain": "ocr"}])
def test_an_exemption_names_an_entry_or_a_domain(named):
    with pytest.raises(ValueError, match="either an `entry` or a `domain`"):
        Exempt(reason="mine", **named)
