"""What a filter or a score is: definition, source, parameters, scores, and the rules of built-in sets that read it."""

import difflib
import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl
from polars._typing import PolarsDataType
from pydantic import BaseModel, JsonValue

from filters import FILTERS, PICTURE_FILTERS, TEXT_FILTERS
from filters.base import PictureFilter
from filters.native import Native
from flows.report.distribution import thresholds
from flows.scoring import ASKABLE, CRITERIA, CRITERION_OF, PICTURE_STATE, SampleFilter, filter_set, identity
from manifests.recipe import Rule
from manifests.rules import HUMAN, HUMAN_SCORES, RULE_SETS, load_rule_set
from shards.errors import RecipeError, UsageError
from shards.schema import STATE_SUFFIX

NATIVE: Final = "native_"
IMPORTED: Final = "imported_"
_SPAN: Final = ("_turn", "_start", "_chars")
_NULL: Final = {
    "text": "not_applicable: the sample has no text",
    "sample": "not_applicable: the sample holds nothing of this kind",
    "picture": f"not_applicable: the sample has no picture, or none that the measure fits; {PICTURE_STATE} `error`: a "
    "picture of the sample does not decode",
    "judge": "not_asked: rules decided without, or the recipe has no judge; not_applicable: no text; no_answer: the "
    "reply holds no grade; error: the judge failed",
    "native": "not_applicable: the publisher gives none for this row, or the source has no such column; error: what "
    "it gives is no finite number",
    "imported": "not_applicable: no rating was joined to this sample",
    "human": "not_asked: no person has decided",
}
"""Why a score may be null, by kind; a null has its state beside it in `NAME_state`."""
_JUDGED: Final = {
    "": "expected grade, 0..10",
    "_mode": "likeliest grade, the lowest of several",
    "_spread": "standard deviation of the grades, 0..5",
    "_mass": "share (0..1) of the judge's probability that lies on grades at all",
    "_cut": "whether the judge saw a shortened sample",
    "_jump": "how far the expected grade moves when sentences that speak to the grader are taken out, 0..10",
}
_HUMAN: Final = (
    "What reviewers say of a sample: `human` is their verdict, `keep` or `drop`; `human_reviewers` how many people\n"
    "gave one; `human_conflict` whether they disagree and nobody has settled it, so that there is no verdict.\n\n"
    "Source: ours."
)
_IMPORTED: Final = (
    "A rating that others published, joined to the samples by `vlmix scores import`.\n\nSource: its file."
)


class RuleUse(BaseModel):
    """A rule of a built-in set that reads a score; `thresholds` are its plain comparisons with a number."""

    set: str
    rule: str
    when: str
    then: str
    source: str
    thresholds: list[str]


class ScoreFact(BaseModel):
    """A score; `made_from` is the column of the per-picture table with its reduction, null for other kinds."""

    name: str
    dtype: str
    null: str
    made_from: str | None = None
    rules: list[RuleUse]


class FilterPage(BaseModel):
    """What `vlmix filters show` prints without a mixture."""

    asked: str
    filter: str
    kind: str
    """`sample`, `text`, `picture`, `judge`, `native`, `imported` or `human`."""
    version: int | None
    definition: str
    source: str
    parameters: dict[str, JsonValue]
    columns: dict[str, str]
    """Columns of the per-picture table with their dtypes; empty for other kinds."""
    scores: list[ScoreFact]
    span: tuple[str, str, str] | None
    """Scores that say where the finding lies: message (0 is the first), first character, characters; markers of
    pictures do not count. Null where the filter points at nothing."""


@dataclass(frozen=True, slots=True)
class _Known:
    """A filter, or what stands for one; `scores` and `columns` by name."""

    name: str
    kind: str
    text: str
    scores: Mapping[str, PolarsDataType]
    version: int | None = None
    parameters: Mapping[str, JsonValue] | None = None
    columns: Mapping[str, PolarsDataType] | None = None
    reduces: Mapping[str, tuple[str, str]] | None = None


def page(asked: str, *, present: Mapping[str, PolarsDataType] | None = None) -> FilterPage:
    """All about a filter, or about one score.

    Args:
        asked: name of a filter, of a score, of a column of a per-picture table, or `module:Class`.
        present: scores of a mixture with their dtypes; one that no filter here writes is shown by its dtype.

    Raises:
        UsageError: nothing of that name, with the nearest one.
    """
    known = list(_known(asked))
    found = next((item for item in known if item.name == asked), None) or next(
        (item for item in known if asked in item.scores or asked in (item.columns or {})), None
    )
    if found is None and asked in (present or {}):
        assert present is not None
        found = _Known(asked, "sample", "A score of this mixture; its filter is not built in.", {asked: present[asked]})
    if found is None:
        raise UsageError(f"no filter or score `{asked}`; {_hint(asked, known)}")
    return _page(asked, found)


def _known(asked: str) -> Iterator[_Known]:
    yield from (_written(name, "sample", kind()) for name, kind in FILTERS.items() if kind is not Native)
    yield from (_written(name, "text", kind()) for name, kind in TEXT_FILTERS.items())
    yield from (_measured(name, kind()) for name, kind in PICTURE_FILTERS.items())
    if ":" in asked:
        try:
            yield _written(asked, "sample", filter_set((asked,), ()).samples[-1])
        except RecipeError as error:
            raise UsageError(str(error)) from error
    for criterion in CRITERIA:
        own = {name: ASKABLE[name] for name, each in CRITERION_OF.items() if each == criterion}
        yield _Known(criterion, "judge", _judged(criterion, own), own)
    yield _Known(HUMAN, "human", _HUMAN, HUMAN_SCORES)
    columns = [asked.removeprefix(NATIVE)] if asked.startswith(NATIVE) else ["NAME"]
    yield _Known("native", "native", _doc(Native), {NATIVE + name: pl.Float64 for name in columns}, Native.version)
    if asked.startswith(IMPORTED):
        yield _Known(asked, "imported", _IMPORTED, {asked: pl.Float64})


def _written(name: str, kind: str, made: SampleFilter) -> _Known:
    _, version, parameters = identity(made)
    return _Known(name, kind, _doc(type(made)), made.writes, version, parameters)


def _measured(name: str, made: PictureFilter) -> _Known:
    _, version, parameters = identity(made)
    scores = {score: made.writes[column] for score, (column, _) in made.reduces.items()}
    return _Known(name, "picture", _doc(type(made)), scores, version, parameters, made.writes, made.reduces)


def _doc(kind: object) -> str:
    return inspect.getdoc(kind) or ""


def _judged(criterion: str, own: Iterable[str]) -> str:
    """What a judged score is: the meaning of its columns, the opening of its rubric, and the files."""
    from filters.judges.likelihood import Likelihood
    from filters.judges.prompt import load_prompt, prompt_ids

    found = [load_prompt(name) for name in prompt_ids() if name == criterion or name.startswith(f"{criterion}_")]
    if not found:
        return f"{_doc(Likelihood)}\n\nSource: ours."
    meanings = [(name, _JUDGED.get(name.removeprefix(criterion), "")) for name in own]
    listed = "\n".join(f"* `{name}`: {meaning}" for name, meaning in meanings)
    opening = found[0].text.partition("\n\n")[0]
    files = ", ".join(f"{prompt.id}.md, version {prompt.version}" for prompt in found)
    return f"Scores of a judge.\n\n{listed}\n\n{opening}\n\nSource: rubrics in filters/judges/prompts: {files}."


def _page(asked: str, found: _Known) -> FilterPage:
    definition, _, source = found.text.partition("\nSource:")
    definition = definition.partition("\nArgs of the dataclass:")[0]
    names = [asked] if asked in found.scores else list(found.scores)
    reduces = found.reduces or {}
    facts = [
        ScoreFact(
            name=name,
            dtype=str(found.scores[name]),
            null=_NULL[found.kind],
            made_from=f"{reduces[name][1]} of `{reduces[name][0]}`" if name in reduces else None,
            rules=rule_uses(name),
        )
        for name in names
    ]
    return FilterPage(
        asked=asked,
        filter=found.name,
        kind=found.kind,
        version=found.version,
        definition=definition.strip(),
        source=" ".join(source.split()),
        parameters=dict(found.parameters or {}),
        columns={name: str(dtype) for name, dtype in (found.columns or {}).items()},
        scores=facts,
        span=_span(found.scores),
    )


def _span(names: Mapping[str, PolarsDataType]) -> tuple[str, str, str] | None:
    for head in [name.removesuffix(_SPAN[0]) for name in names if name.endswith(_SPAN[0])]:
        span = (head + _SPAN[0], head + _SPAN[1], head + _SPAN[2])
        if set(span) <= set(names):
            return span
    return None


def rule_uses(score: str) -> list[RuleUse]:
    """Rules of the built-in sets that read a score, in order of the sets' names and of the rules."""
    return [
        RuleUse(set=name, rule=rule.name, when=rule.when or "", then=rule.then, source=rule.source, thresholds=marks)
        for name, rules in built_in_rules().items()
        for rule, marks in _reading(score, rules)
    ]


def built_in_rules() -> dict[str, tuple[Rule, ...]]:
    """Rules of every built-in set, by its name."""
    return {path.stem: load_rule_set(path.stem) for path in sorted(RULE_SETS.glob("*.yaml"))}


def _reading(score: str, rules: Sequence[Rule]) -> Iterator[tuple[Rule, list[str]]]:
    for rule in rules:
        names = set(pl.sql_expr(rule.when).meta.root_names()) if rule.when else set()
        if names & {score, score + STATE_SUFFIX}:
            yield rule, [f"{mark.operator} {mark.value:g}" for mark in thresholds(score, [rule])]


def _hint(asked: str, known: Iterable[_Known]) -> str:
    names = {name for item in known for name in (item.name, *item.scores, *(item.columns or {}))}
    close = difflib.get_close_matches(asked, sorted(names), n=1)
    return f"did you mean `{close[0]}`?" if close else "see `vlmix filters list`"
