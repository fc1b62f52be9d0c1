"""What differs between two mixtures, as `vlmix diff --json` says it."""

from typing import Literal

from pydantic import BaseModel, JsonValue

from manifests.manifest import Counts


class RowState(BaseModel):
    """What a mixture makes of a row; `rule` decided it, null without one."""

    verdict: str
    rule: str | None
    outcome: str | None
    times: int


class ChangedRow(BaseModel):
    """A row with another verdict, outcome or number of times; `text` is how it begins, null without its shard."""

    entry: str
    key: str
    before: RowState
    after: RowState
    text: str | None = None


class CountsChange(BaseModel):
    """Counts of an entry or domain in both mixtures, null where one has none; its rows that changed.

    `added` and `removed` rows are emitted in one mixture only, `times` rows in both, but not equally often; `verdicts`
    rows are known to both and have another verdict. `repeat` is emitted / written of an entry, emitted / keep of a
    domain.
    """

    before: Counts | None
    after: Counts | None
    repeat_before: float | None
    repeat_after: float | None
    added: int = 0
    removed: int = 0
    times: int = 0
    verdicts: int = 0


class RuleChange(BaseModel):
    """A rule that one mixture has not, that reads otherwise, or that stands elsewhere (`moved`)."""

    rule: str
    change: Literal["added", "removed", "changed", "moved"]
    before: dict[str, JsonValue] | None
    after: dict[str, JsonValue] | None


class SourceChange(BaseModel):
    """A source whose samples are not the same: revision of its repository and fingerprint of its samples."""

    source: str
    before: tuple[str | None, str] | None
    after: tuple[str | None, str] | None


class Difference(BaseModel):
    """Two mixtures; `flow` counts all rows by verdict before and after, `changed` those of which `rows` shows some."""

    before: str
    after: str
    digests: tuple[str, str]
    same: bool
    totals: tuple[Counts, Counts]
    entries: dict[str, CountsChange]
    domains: dict[str, CountsChange]
    settings: list[str]
    """Fields of the manifest that differ: seed, dedup, targets ..."""
    rules: list[RuleChange]
    sources: list[SourceChange]
    flow: dict[str, dict[str, int]]
    changed: int
    rows: list[ChangedRow]


class Comparison(BaseModel):
    """Two mixtures, or two runs stage by stage; stages that one run has not are named."""

    same: bool
    stages: list[Difference]
    only_before: list[str]
    only_after: list[str]
