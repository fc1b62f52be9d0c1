"""The mixture manifest: what was done, every row counted, per source, entry and domain."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from shards.errors import ConservationError
from shards.files import fingerprint

MANIFEST_VERSION: Final = 1


class Counts(BaseModel):
    """Rows of one entry, domain or mixture at each step.

    `read = quarantined + made`; `made = not_taken + keep + drop + review + unscored`;
    `keep = duplicates + capped + written`; `emitted` counts written rows with their repeats.
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
        return Counts(**{name: getattr(self, name) + getattr(other, name) for name in type(self).model_fields})


class DomainCounts(Counts):
    """Counts of a domain with its repeat factor, `emitted / keep` (null when nothing was kept)."""

    repeat: float | None = None

    @classmethod
    def of(cls, counts: Counts) -> "DomainCounts":
        """Counts with the repeat factor worked out."""
        repeat = round(counts.emitted / counts.keep, 6) if counts.keep else None
        return cls(**counts.model_dump(), repeat=repeat)


class EntryReport(BaseModel):
    """What happened to one entry."""

    model_config = ConfigDict(frozen=True)

    id: str
    source: str
    domain: str
    licence: str
    shards: str
    """Fingerprint of the samples that were read."""
    take: dict[str, JsonValue]
    repeat: float
    """Repeat factor asked for; `counts.emitted / counts.written` is what came out."""
    counts: Counts
    quarantine: dict[str, int]
    """Quarantined rows by reason."""
    repairs: dict[str, int]
    rules: dict[str, int]
    """Rows by deciding rule; a row that no rule decided is in none."""
    exempt: dict[str, str]
    """Rules that leave this entry alone, with the reason."""
    pictures: int
    """Pictures in emitted rows, repeats counted."""
    characters: int
    """Characters of text in emitted rows, repeats counted."""


class Digests(BaseModel):
    """SHA-256 of the files beside the manifest."""

    model_config = ConfigDict(frozen=True)

    ids: str
    decisions: str
    clusters: str


class Manifest(BaseModel):
    """One mixture. Equal inputs give equal bytes: no clock, no path, no order of arrival."""

    model_config = ConfigDict(frozen=True)

    manifest_version: int = MANIFEST_VERSION
    recipe: str
    mixture: str
    """Name of the stage that the mixture belongs to."""
    seed: int
    judge: str
    rules: list[dict[str, JsonValue]]
    dedup: dict[str, JsonValue]
    entries: list[EntryReport]
    domains: dict[str, DomainCounts]
    totals: Counts
    digests: Digests

    def digest(self) -> str:
        """64 hex digits that stand for the whole mixture."""
        return fingerprint("mixture", self.model_dump(mode="json"))


def read_manifest(folder: Path) -> Manifest:
    """The manifest in the folder of a finished mixture."""
    return Manifest.model_validate_json((folder / "manifest.json").read_bytes())


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
    domains: dict[str, DomainCounts]


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
