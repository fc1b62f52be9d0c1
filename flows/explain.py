"""The whole story of one sample: where it comes from, every score, every rule, what became of it."""

from collections.abc import Iterable

import polars as pl
from pydantic import BaseModel, ConfigDict

from flows.comparing import compared_pairs, comparison_box
from flows.leak_report import leaks_of_key
from flows.mixes import Mix, by_key, score_columns
from manifests.recipe import Rule
from shards.errors import UsageError
from shards.schema import STATE_SUFFIX

Value = float | int | bool | str | None


class RuleStory(BaseModel):
    """What one rule said: `true`, `false`, `unknown`, `exempt` or `elsewhere`; `decided` marks the one that decided."""

    model_config = ConfigDict(frozen=True)

    rule: str
    when: str
    then: str
    result: str
    decided: bool


class EntryStory(BaseModel):
    """What became of the sample in one entry of one mixture."""

    model_config = ConfigDict(frozen=True)

    mixture: str
    entry: str
    domain: str
    verdict: str
    outcome: str | None
    emitted: int
    rules: list[RuleStory]
    cluster: list[dict[str, Value]]
    """Members of its duplicate cluster, as manifests.clusters.CLUSTERS; empty where it stands alone."""
    scores: dict[str, Value]
    states: dict[str, str]
    """Why a score is null."""


class Story(BaseModel):
    """A sample, or a quarantined row, with all that is known of it."""

    model_config = ConfigDict(frozen=True)

    key: str
    source: str
    licence: str
    meta: str
    messages: list[dict[str, str]]
    pictures: list[dict[str, Value]]
    compared: list[dict[str, Value]]
    """Every comparison of one of its pictures with another, for whatever mixture, as flows.comparing.PAIRS."""
    leaks: list[dict[str, Value]]
    """What was found of benchmarks, as manifests.leaks.LEAKS with the name of the benchmark."""
    videos: list[str]
    quarantine: dict[str, str] | None
    entries: list[EntryStory]


def explain(key: str, mixes: Iterable[Mix]) -> Story:
    """Tell the story of a sample in the given mixtures.

    Raises:
        UsageError: no mixture knows the key.
    """
    source = key.split("/", maxsplit=1)[0]
    known = [mix for mix in mixes if any(entry.source == source for entry in mix.manifest.entries)]
    for mix in known:
        rows = mix.of_key("decisions", key)
        if rows:
            sample = mix.samples(pl.DataFrame(rows[:1])).row(0, named=True)
            stories = [story for each in known for story in _entries(each, key)]
            return Story(
                key=key,
                source=source,
                licence=next(entry.licence for entry in mix.manifest.entries if entry.source == source),
                meta=sample["meta"],
                messages=sample["messages"],
                pictures=sample["images"],
                compared=_compared(mix, [image["sha256"] for image in sample["images"]]),
                leaks=leaks_of_key(mix, source, key),
                videos=sample["videos"],
                quarantine=None,
                entries=stories,
            )
        found = by_key(mix.quarantine(), key)
        if found:
            licence = next(entry.licence for entry in mix.manifest.entries if entry.source == source)
            reasons = {name: str(found[name]) for name in ("reason", "locator", "message")}
            return Story(
                key=key,
                source=source,
                licence=licence,
                meta="{}",
                messages=[],
                pictures=[],
                compared=[],
                leaks=[],
                videos=[],
                quarantine=reasons,
                entries=[],
            )
    raise UsageError(f"no finished mixture knows `{key}`; keys look like source/split/row, see `vlmix table`")


def _compared(mix: Mix, shas: list[str]) -> list[dict[str, Value]]:
    return compared_pairs(comparison_box(mix.store), pl.Series(shas, dtype=pl.String)).to_dicts()


def _entries(mix: Mix, key: str) -> list[EntryStory]:
    scores = next(iter(mix.of_key("scores", key)), {})
    names = score_columns(scores)
    return [
        _entry(
            mix,
            row,
            {name: scores[name] for name in names},
            {name: str(scores[name + STATE_SUFFIX]) for name in names if scores.get(name + STATE_SUFFIX)},
        )
        for row in mix.of_key("decisions", key)
    ]


def _entry(mix: Mix, row: dict[str, object], scores: dict[str, object], states: dict[str, str]) -> EntryStory:
    entry = mix.entries[str(row["entry"])]
    own = by_key(mix.clusters, str(row["key"]))
    members = mix.clusters.filter(pl.col("cluster") == own["cluster"]).to_dicts() if own else []
    return EntryStory.model_validate(
        {
            "mixture": f"{mix.manifest.recipe}.{mix.manifest.mixture}",
            "entry": entry.id,
            "domain": entry.domain,
            "verdict": row["verdict"],
            "outcome": row["outcome"],
            "emitted": row["times"],
            "rules": _rules(mix, row, set(entry.exempt), entry.domain),
            "cluster": members,
            "scores": scores,
            "states": states,
        }
    )


def _rules(mix: Mix, row: dict[str, object], exempt: set[str], domain: str) -> list[dict[str, object]]:
    if row["verdict"] == "not_taken":
        return []
    return [
        {
            "rule": rule["name"],
            "when": rule["when"],
            "then": rule["then"],
            "result": _result(Rule.model_validate(rule), row, exempt, domain),
            "decided": rule["name"] == row["rule"],
        }
        for rule in mix.manifest.rules
    ]


def _result(rule: Rule, row: dict[str, object], exempt: set[str], domain: str) -> str:
    """Say what a rule said of a row: elsewhere = the rule does not look at this entry or domain."""
    reasons, unknown = row["reasons"], row["unknown"]
    assert isinstance(reasons, list) and isinstance(unknown, list)
    where = rule.where
    if rule.name in exempt:
        return "exempt"
    if (where.domains and domain not in where.domains) or (where.entries and row["entry"] not in where.entries):
        return "elsewhere"
    if rule.name in reasons:
        return "true"
    return "unknown" if rule.name in unknown else "false"
