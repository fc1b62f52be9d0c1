"""Rules: composed from rule sets, checked against the scores that filters write; manifests/verdicts.py applies them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl
import yaml
from polars._typing import PolarsDataType
from pydantic import ValidationError

from manifests.recipe import Entry, Rule, Rules
from shards.complaint import complaint
from shards.errors import RecipeError
from shards.schema import STATE_SUFFIX

RULE_SETS: Final = Path(__file__).parent / "rules"

Scores = Mapping[str, PolarsDataType]
"""Score name to dtype: what the filters, judges and sources of a run write."""

HUMAN: Final = "human"
"""Score that holds what people say, and name of the rule set that follows it."""
HUMAN_SCORES: Final[Scores] = {HUMAN: pl.String, "human_reviewers": pl.Int32, "human_conflict": pl.Boolean}
"""What people say of a sample; rules that read one of these stand first."""

TAKEN_DOWN: Final = "taken_down"
"""Score that says what of a sample is taken down, and name of the rule that stands before all others where the store
has a list of take-downs."""

MAX_RULES: Final = 64
"""Rules of a stage: what a row's rules say is one 64-bit word each."""

_UNKNOWN_STATES: Final = ("no_answer", "error")


@dataclass(frozen=True, slots=True)
class Predicate:
    """A rule with its parsed predicate; `scores` are the columns that it reads."""

    rule: Rule
    expression: pl.Expr
    scores: tuple[str, ...]

    def applies(self, entry: Entry) -> bool:
        """Whether the rule looks at rows of this entry at all."""
        where = self.rule.where
        if any(exempt.spares(entry) for exempt in self.rule.exempt):
            return False
        if any(spared.rule == self.rule.name for spared in entry.exempt):
            return False
        return (not where.entries or entry.id in where.entries) and (not where.domains or entry.domain in where.domains)

    @property
    def columns(self) -> tuple[str, ...]:
        """Score and state columns that the predicate and its null states need."""
        states = [name + STATE_SUFFIX for name in self.scores]
        return tuple(dict.fromkeys([*self.expression.meta.root_names(), *states]))

    def true(self) -> pl.Expr:
        """Boolean, never null: the predicate is true."""
        return self.expression.fill_null(False)

    def unknown(self) -> pl.Expr:
        """Boolean, never null: undecidable since a score it needs has state `no_answer` or `error`."""
        states = [
            pl.col(name).is_null() & pl.col(name + STATE_SUFFIX).is_in(_UNKNOWN_STATES).fill_null(False)
            for name in self.scores
        ]
        return self.expression.is_null() & pl.any_horizontal(pl.lit(False), *states)


def compose(rules: Rules) -> tuple[Rule, ...]:
    """Rules as written: extended sets, then local ones. `parse` puts those on `human` first.

    Raises:
        RecipeError: unknown rule set, or `off` for a rule that does not exist.
    """
    composed: dict[str, Rule] = {}
    for name in rules.extends:
        composed.update({rule.name: rule for rule in load_rule_set(name)})
    for rule in rules.list:
        if rule.then == "off" and composed.pop(rule.name, None) is None:
            raise RecipeError(f"rule `{rule.name}` is switched off, but no extended rule set has it")
        if rule.then != "off":
            composed[rule.name] = rule
    return tuple(composed.values())


def with_human(rules: Rules, scores: Scores) -> Rules:
    """The rules with the set `human` before all others, where the run has what people say."""
    if not HUMAN_SCORES.keys() <= scores.keys():
        return rules
    return rules.model_copy(update={"extends": (HUMAN, *(name for name in rules.extends if name != HUMAN))})


def with_takedown(rules: Sequence[Rule], scores: Scores) -> tuple[Rule, ...]:
    """The rules behind the one that drops what is taken down, where the run knows of any.

    Raises:
        RecipeError: the recipe has a rule of that name.
    """
    if TAKEN_DOWN not in scores:
        return tuple(rules)
    if any(rule.name == TAKEN_DOWN for rule in rules):
        raise RecipeError(f"rule `{TAKEN_DOWN}` is that of the store's take-downs; give yours another name")
    return (*load_rule_set("takedown"), *rules)


def load_rule_set(name: str) -> tuple[Rule, ...]:
    """The rules of a set in manifests/rules.

    Raises:
        RecipeError: no such set, or it is not understood.
    """
    path = RULE_SETS / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(found.stem for found in RULE_SETS.glob("*.yaml")))
        raise RecipeError(f"no rule set `{name}`; known: {known}")
    try:
        return compose(Rules.model_validate(yaml.safe_load(path.read_text())))
    except ValidationError as error:
        raise RecipeError(f"rule set `{name}`: {complaint(error)}") from error


def parse(rules: Sequence[Rule], scores: Scores) -> tuple[Predicate, ...]:
    """Predicates in order of evaluation: what is taken down, then those on what people say, then the others.

    Raises:
        RecipeError: SQL that does not parse, a score that nobody writes, a predicate that is not one Boolean a row, or
            more than `MAX_RULES` rules.
    """
    if len(rules) > MAX_RULES:
        raise RecipeError(f"{len(rules)} rules in one stage; at most {MAX_RULES}, so join some with OR")
    predicates = [_predicate(rule, scores) for rule in rules]
    return tuple(sorted(predicates, key=_rank))


def _rank(predicate: Predicate) -> int:
    if predicate.rule.name == TAKEN_DOWN:
        return 0
    return 2 if HUMAN_SCORES.keys().isdisjoint(predicate.scores) else 1


def _predicate(rule: Rule, scores: Scores) -> Predicate:
    assert rule.when is not None
    try:
        expression = pl.sql_expr(rule.when)
    except pl.exceptions.PolarsError as error:
        raise RecipeError(f"rule `{rule.name}`: `{rule.when}` is not a SQL predicate: {_first_line(error)}") from error
    names = tuple(sorted(set(expression.meta.root_names())))
    if not names:
        raise RecipeError(f"rule `{rule.name}`: `{rule.when}` reads no score")
    for name in names:
        if name.removesuffix(STATE_SUFFIX) not in scores and name not in scores:
            raise RecipeError(f"rule `{rule.name}`: no filter writes score `{name}`; {_nearest(name, scores)}")
    _probe(rule, expression, names, scores)
    return Predicate(rule, expression, tuple(name for name in names if name in scores))


def _nearest(name: str, scores: Scores) -> str:
    import difflib

    close = difflib.get_close_matches(name, scores, n=1)
    return f"did you mean `{close[0]}`?" if close else f"known: {', '.join(sorted(scores))}"


def _probe(rule: Rule, expression: pl.Expr, names: Sequence[str], scores: Scores) -> None:
    """Evaluate on small frames: one Boolean a row, and no row may depend on another."""
    frame = _probe_frame(names, scores)
    try:
        whole = frame.select(expression.alias("result"))["result"]
        separate = _separate(expression, frame)
    except pl.exceptions.PolarsError as error:
        raise RecipeError(f"rule `{rule.name}`: `{rule.when}` cannot be evaluated: {_first_line(error)}") from error
    if whole.dtype != pl.Boolean or whole.len() != frame.height:
        raise RecipeError(
            f"rule `{rule.name}`: `{rule.when}` must give one true or false a row, gives {whole.dtype} "
            f"of {whole.len()} rows for {frame.height}"
        )
    if not separate:
        raise RecipeError(f"rule `{rule.name}`: `{rule.when}` looks at other rows (an aggregate); rules see one row")


def _separate(expression: pl.Expr, frame: pl.DataFrame) -> bool:
    """Whether each row's value depends on that row alone.

    Every part of the expression is looked at: `refusal AND max(quality) > 9` has the right height, and its Boolean may
    be right by chance.
    """
    if expression.meta.is_literal():
        return True
    parts = expression.meta.pop()
    if not expression.meta.root_names():
        return bool(parts) and all(_separate(part, frame) for part in parts)
    whole = frame.select(expression.alias("part"))["part"]
    single = [frame[row : row + 1].select(expression.alias("part"))["part"] for row in range(frame.height)]
    return whole.equals(pl.concat(single), null_equal=True) and all(_separate(part, frame) for part in parts)


def _first_line(error: pl.exceptions.PolarsError) -> str:
    return str(error).partition("\n")[0]


def _probe_frame(names: Sequence[str], scores: Scores) -> pl.DataFrame:
    numbers = [-3.5, 0.0, 0.25, 1.0, 2.0, 7.0, 50.0, 1e6]
    columns: list[pl.Series] = []
    for index, name in enumerate(names):
        dtype = scores.get(name, pl.String)
        rotated = numbers[index % len(numbers) :] + numbers[: index % len(numbers)]
        if dtype == pl.Boolean:
            columns.append(pl.Series(name, [value > 1 for value in rotated]))
        elif dtype == pl.String:
            columns.append(pl.Series(name, [str(value) for value in rotated]))
        else:
            columns.append(pl.Series(name, rotated).cast(dtype, strict=False))
    return pl.DataFrame(columns)
