"""The mixture manifest: what was done, every row counted, per source, entry and domain."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from shards.complaint import complaint
from shards.errors import ConservationError, StoreError
from shards.files import fingerprint

MANIFEST_VERSION: Final = 3
"""Raised with every field: a digest covers all fields, so a manifest without one would be read with another digest."""

_Kind = TypeVar("_Kind", bound=BaseModel)
_Sum = TypeVar("_Sum", bound=BaseModel)


def added(left: _Sum, right: _Sum) -> _Sum:
    """Two counts of one kind as one: each number the sum of both."""
    kind = type(left)
    return kind(**{name: getattr(left, name) + getattr(right, name) for name in kind.model_fields})


class Counts(BaseModel):
    """Rows of one entry, domain or mixture at each step.

    `read = quarantined + made`; `made = not_taken + keep + drop + review + unscored`;
    `keep = duplicates + capped + written`; `emitted` counts written rows with their repeats. `capped` rows are those
    that a cap, or a repeat factor below 1, leaves out.
    """

    model_config = ConfigDict(frozen=True)

    read: int = 0
    quarantined: int = 0
    made: int = 0
    not_taken: int = 0
    keep: int = 0
    drop: int = 0
    review: int = 0
    unscored: int = 0
    duplicates: int = 0
    capped: int = 0
    written: int = 0
    emitted: int = 0

    def check(self, where: str) -> None:
        """Prove that no row was lost or doubled.

        Raises:
            ConservationError: one of the three sums does not hold.
        """
        laws = (
            ("read", self.read, self.quarantined + self.made),
            ("made", self.made, self.not_taken + self.keep + self.drop + self.review + self.unscored),
            ("keep", self.keep, self.duplicates + self.capped + self.written),
        )
        for name, whole, parts in laws:
            if whole != parts:
                raise ConservationError(f"{where}: `{name}` is {whole}, its parts add up to {parts}: {self}")

    def __add__(self, other: "Counts") -> "Counts":
        return added(self, other)


class DomainCounts(Counts):
    """Counts of a domain with its repeat factor, `emitted / keep` (null when nothing was kept)."""

    repeat: float | None = None

    @classmethod
    def of(cls, counts: Counts) -> "DomainCounts":
        """Counts with the repeat factor worked out."""
        repeat = round(counts.emitted / counts.keep, 6) if counts.keep else None
        return cls(**counts.model_dump(), repeat=repeat)


class Sizes(BaseModel):
    """What emitted rows hold, repeats counted."""

    model_config = ConfigDict(frozen=True)

    turns: int = 0
    characters: int = 0
    tokens: int = 0
    """Of text, as the manifest's `tokens` counts them."""
    answer_tokens: int = 0
    pictures: int = 0
    tiles: int | None = None
    """Tiles of pictures under the entry's `max_tiles`; null where an entry has none."""

    def __add__(self, other: "Sizes") -> "Sizes":
        values = {
            name: getattr(self, name) + getattr(other, name) for name in type(self).model_fields if name != "tiles"
        }
        tiles = [size.tiles for size in (self, other) if size.tiles is not None]
        return Sizes(**values, tiles=sum(tiles) if tiles else None)


class EntryReport(BaseModel):
    """What happened to one entry."""

    model_config = ConfigDict(frozen=True)

    id: str
    source: str
    domain: str
    licence: str
    revision: str | None
    """Commit of the hub repository that was read; null for files without one."""
    shards: str
    """Fingerprint of the samples that were read."""
    reading: dict[str, JsonValue]
    """How the raw files of the source are read: its layout and what the layout is told."""
    entry: dict[str, JsonValue]
    """The entry as it was carried out: take, cap, repeat factor, training fields; absolute amounts scaled."""
    take: dict[str, JsonValue]
    """Operator with its rounding."""
    take_written: dict[str, JsonValue] | None
    """Operator before scaling; null in a run at full scale."""
    asked: int
    """Rows that the operator asks for."""
    repeat: float
    """Repeat factor asked for."""
    repeat_solved: float | None
    """Repeat factor that targets gave; null where none holds."""
    repeat_exact: float | None
    """`emitted / written`, what came out; null when nothing was written."""
    passes: float
    """Stage epochs x rows emitted / rows written."""
    counts: Counts
    quarantine: dict[str, int]
    """Quarantined rows by reason."""
    repairs: dict[str, int]
    rules: dict[str, int]
    """Rows by deciding rule; a row that no rule decided is in none."""
    exempt: dict[str, str]
    """Rules that leave this entry alone, with the reason."""
    sizes: Sizes
    assumed: str | None
    """What this entry makes up."""


class Unresolved(BaseModel):
    """An entry of the recipe that was left out since its source cannot be had."""

    model_config = ConfigDict(frozen=True)

    id: str
    source: str
    domain: str
    take: dict[str, JsonValue]
    repeat: float
    published_rows: int | None
    reason: str


class Digests(BaseModel):
    """SHA-256 of the files beside the manifest."""

    model_config = ConfigDict(frozen=True)

    ids: str
    decisions: str
    clusters: str
    scores: str = ""
    """Empty where a mixture was only counted."""
    excluded: str | None = None
    """Of `excluded.json`, the row numbers that `exclude` takes leave out, by entry; null without such a take."""


class DomainReport(DomainCounts):
    """A domain: its counts, what it emits, and its share of that."""

    sizes: Sizes = Sizes()
    share: float = 0
    """Of all emitted rows."""


class JudgeCounts(BaseModel):
    """Samples of a mixture by what became of one criterion of the judge.

    `concerned = asked + decided + spared`; `asked = scored + empty + no_answer + error`.
    """

    model_config = ConfigDict(frozen=True)

    concerned: int = 0
    """Taken, and looked at by a rule that reads the criterion."""
    decided: int = 0
    """Not asked since rules decided without: calls saved."""
    spared: int = 0
    """Not asked since `ask_when` is not true: calls saved."""
    asked: int = 0
    scored: int = 0
    empty: int = 0
    """Nothing to judge: no call was made."""
    no_answer: int = 0
    error: int = 0
    """The call failed; the next run asks again."""
    cut: int = 0
    """Asked, and too long to be shown whole."""
    second_looks: int = 0
    """Asked once more without sentences that speak to the grader."""

    def __add__(self, other: "JudgeCounts") -> "JudgeCounts":
        return added(self, other)


class StudentFacts(BaseModel):
    """A student of the judge, whose guesses rules and `ask_when` may read; figures are of rows held out."""

    model_config = ConfigDict(frozen=True)

    sha256: str
    """Of its file."""
    judge: str
    """Whose grades it copies."""
    learnt: int
    held_out: int
    """Rows that the figures are of."""
    spearman: float | None
    auc: float | None
    agreement: float
    """Share of the rows that judge and student put on one side of the threshold."""
    agreement_of_constant: float
    """The same of one verdict for all rows, the more frequent one."""
    half_width: float
    """Grades between a guess and either end of its interval."""
    coverage: float
    """Share of the rows whose grade lies in the interval."""
    coverage_below: float | None
    """The same of rows that the judge grades below the threshold; null without such rows."""


class LeakCounts(BaseModel):
    """Samples of an entry's source that hold something of a benchmark, and those of them that were written."""

    model_config = ConfigDict(frozen=True)

    found: int
    written: int


class BenchmarkLeaks(BaseModel):
    """What was found of one benchmark."""

    model_config = ConfigDict(frozen=True)

    index: str
    """Fingerprint of its index."""
    revision: str | None
    rows: int
    """Of the benchmark."""
    pictures: int
    entries: dict[str, dict[str, LeakCounts]]
    """Entry -> kind of finding, see `manifests.leaks.KINDS` -> samples, each by its strongest; others have none."""


class Manifest(BaseModel):
    """One mixture. Equal inputs give equal bytes: no clock, no path, no order of arrival."""

    model_config = ConfigDict(frozen=True)

    manifest_version: int = MANIFEST_VERSION
    recipe: str
    mixture: str
    """Name of the stage that the mixture belongs to."""
    faithful: bool
    """Whether nothing is assumed, missing or scaled."""
    scale: float
    seed: int
    epochs: float
    judge: str
    prompts: dict[str, str] = Field(default_factory=dict)
    """Prompts that the judge may be asked, with the SHA-256 of their texts."""
    ask_when: dict[str, str] = Field(default_factory=dict)
    """Criterion -> predicate; the judge is asked where it is true."""
    students: dict[str, StudentFacts] = Field(default_factory=dict)
    """Criterion -> student of the judge that the recipe names."""
    judged: dict[str, JudgeCounts] = Field(default_factory=dict)
    """Criterion -> samples by what became of it."""
    leakage: dict[str, BenchmarkLeaks] = Field(default_factory=dict)
    """Benchmark that the recipe names -> what was found of it."""
    tokens: str
    """How tokens are counted: `estimate`, or the tokenizer's file name and SHA-256."""
    rules: list[dict[str, JsonValue]]
    dedup: dict[str, JsonValue]
    likeness: int | None = None
    """Version of the comparison of pictures that dedup goes by; null where it makes none."""
    takedown: str | None = None
    """Digest of what was taken down in the store when the mixture was made; null where nothing was."""
    targets: dict[str, JsonValue] | None
    unmet: list[str]
    """Targets that limits keep from being met, a sentence each."""
    assumptions: list[str]
    unresolved: list[Unresolved]
    entries: list[EntryReport]
    domains: dict[str, DomainReport]
    licences: dict[str, int]
    """Emitted rows by licence of their source."""
    totals: Counts
    sizes: Sizes
    digests: Digests

    def digest(self) -> str:
        """64 hex digits that stand for the whole mixture."""
        # a mixture of a store without take-downs has the name that it had before there were any
        silent = {"takedown"} if self.takedown is None else set()
        return fingerprint("mixture", self.model_dump(mode="json", exclude=silent))


class _Versioned(BaseModel):
    manifest_version: int


def read_manifest(folder: Path) -> Manifest:
    """The manifest in the folder of a finished mixture.

    Raises:
        StoreError: it is of another version, or damaged.
    """
    return _read(folder / "manifest.json", Manifest)


def _read(path: Path, kind: type[_Kind]) -> _Kind:
    data = path.read_bytes()
    try:
        found = _Versioned.model_validate_json(data).manifest_version
        if found == MANIFEST_VERSION:
            return kind.model_validate_json(data)
        why = f"it is of version {found}"
    except ValidationError as error:
        why = complaint(error)
    remedy = "run the recipe again: samples, scores and answers are kept"
    raise StoreError(f"`{path}` is no manifest of version {MANIFEST_VERSION}: {why}; {remedy}")


class StageReport(BaseModel):
    """One stage of a run."""

    model_config = ConfigDict(frozen=True)

    stage: str
    epochs: float
    mix: str
    """Folder of the mixture, relative to the store."""
    manifest: str
    digest: str
    totals: Counts
    domains: dict[str, DomainReport]
    unresolved: int
    """Entries left out."""


class RunManifest(BaseModel):
    """All stages of a run, and how often each source is passed over."""

    model_config = ConfigDict(frozen=True)

    manifest_version: int = MANIFEST_VERSION
    recipe: str
    stages: list[StageReport]
    passes: dict[str, float]
    """Per source: sum over entries and stages of epochs x rows emitted / distinct rows written."""
    warnings: list[str] = Field(default_factory=list)

    def digest(self) -> str:
        """64 hex digits that stand for all mixtures of the run; of a single one, its own digest."""
        digests = [stage.digest for stage in self.stages]
        return digests[0] if len(set(digests)) == 1 else fingerprint("run", digests)


def read_run(folder: Path) -> RunManifest:
    """The manifest in the folder of a finished run.

    Raises:
        StoreError: it is of another version, or damaged.
    """
    return _read(folder / "run.json", RunManifest)


def totals(counts: Sequence[Counts], where: str) -> Counts:
    """Sum of counts, each and all of them checked.

    Raises:
        ConservationError: see `Counts.check`.
    """
    whole = Counts()
    for part in counts:
        part.check(where)
        whole = whole + part
    whole.check(where)
    return whole
