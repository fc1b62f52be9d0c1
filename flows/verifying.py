"""Proof of a finished mixture: its files, the same mixture made again, and rows read again from raw files."""

import math
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import polars as pl
from pydantic import BaseModel

from flows.comparing import comparison_version
from flows.mixes import Mix, find
from flows.mixing import EXCLUDED_FILE, MixtureIndex, write_tables
from flows.rebuilding import rebuilt
from flows.rereading import Finding, read_again
from manifests.order import hash_keys
from manifests.recipe import Dedup
from shards.errors import VlmixError
from shards.files import file_sha256
from shards.remote import have
from shards.store import Store

SHARE: Final = 0.001
LEAST: Final = 20
"""Rows that are read again: this share of the distinct rows emitted, and no fewer than these, or all."""

_TABLES: Final = ("ids", "decisions", "clusters")


class RowsChecked(BaseModel):
    """Rows read again from raw files: `checked = same + different + unavailable`."""

    checked: int = 0
    same: int = 0
    different: int = 0
    unavailable: int = 0


class Verified(BaseModel):
    """What became of the proof of one mixture; `rebuilt` and `rows` are null where it did not come so far."""

    mixture: str
    digest: str
    files: int
    rebuilt: bool | None = None
    rows: RowsChecked | None = None
    problems: list[str] = []


class Verifications(BaseModel):
    """All mixtures of a name."""

    ok: bool
    mixtures: list[Verified]


def verify(store: Store, name: str, *, raw: bool = True) -> Verifications:
    """Prove the mixtures of a name.

    Args:
        store: where.
        name: folder of a mixture, recipe, or recipe.stage.
        raw: read a sample of the rows again from raw files.

    Raises:
        UsageError: nothing finished of that name.
    """
    mixes = {mix.box.path: mix for mix in find(store, name).values()}
    found = [prove(mix, raw=raw) for mix in mixes.values()]
    return Verifications(ok=not any(each.problems for each in found), mixtures=found)


def prove(built: Mix, *, raw: bool = True) -> Verified:
    """Prove one mixture: files against digests, then the rebuilt mixture, then rows; what is wrong stops the rest."""
    manifest = built.manifest
    digests = manifest.digests.model_dump(exclude_none=True)
    found = Verified(mixture=f"{manifest.recipe}.{manifest.mixture}", digest=manifest.digest(), files=len(digests))
    problems = _files(built)
    if problems:
        return found.model_copy(update={"problems": problems})
    try:
        problems = _rebuild(built)
    except (VlmixError, OSError) as error:
        problems = [f"cannot be made again: {error}"]
    if problems or not raw:
        return found.model_copy(update={"rebuilt": not problems, "problems": problems})
    rows, problems = _rows(built)
    return found.model_copy(update={"rebuilt": True, "rows": rows, "problems": problems})


def _files(built: Mix) -> list[str]:
    """What is not as the manifest says: itself, the files beside it, the samples it was made from."""
    if built.manifest.digest() != built.box.index(MixtureIndex).digest:
        return [f"`{built.box.name}/manifest.json` was changed after it was written; build the mixture again"]
    problems = []
    for name, expected in built.manifest.digests.model_dump(exclude_none=True).items():
        path = built.box.path / (EXCLUDED_FILE if name == "excluded" else f"{name}.parquet")
        have([path])
        found = file_sha256(path) if path.is_file() else "no file"
        if found != expected:
            problems.append(
                f"`{built.box.name}/{path.name}` was changed: expected SHA-256 {expected}, found {found}; "
                "remove the folder and build the mixture again"
            )
    shards = {entry.source: built.shards(entry.source) for entry in built.manifest.entries}
    gone = [box.name for box in shards.values() if not box.done]
    return problems + [f"samples `{name}` are gone from the store; build the mixture again" for name in gone]


def _rebuild(built: Mix) -> list[str]:
    """Tables that come out otherwise when the mixture is made again."""
    made_by, compares = built.manifest.likeness, comparison_version(Dedup.model_validate(built.manifest.dedup))
    if made_by != compares.get("likeness"):
        return [
            f"its pictures were compared by version {made_by} of the comparison, this is version "
            f"{compares.get('likeness')}; build the mixture again"
        ]
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_tables(folder, rebuilt(built))
        return [
            f"`{table}.parquet` comes out otherwise when the mixture is made again from its manifest and scores; "
            "another version of vlmix or pyarrow made it, or this is a defect"
            for table in _TABLES
            if file_sha256(folder / f"{table}.parquet") != getattr(built.manifest.digests, table)
        ]


def _rows(built: Mix) -> tuple[RowsChecked, list[str]]:
    samples = built.samples(drawn(built))
    findings: dict[str, Finding] = {}
    for (source,), part in samples.unique("key").sort("key").group_by("source", maintain_order=True):
        findings |= read_again(built, str(source), part)
    found = [findings[key] for key in samples["key"] if key in findings]
    lost = sum(finding.gone for finding in found)
    checked = RowsChecked(
        checked=samples.height,
        same=samples.height - len(found),
        different=len(found) - lost,
        unavailable=lost,
    )
    return checked, list(dict.fromkeys(finding.message for finding in found))


def drawn(built: Mix) -> pl.DataFrame:
    """Rows to be read again, the first in the order of a hash that the mixture seeds: entry, key and position."""
    digest, written = built.manifest.digest(), built.manifest.totals.written
    wanted = min(written, max(LEAST, math.ceil(written * SHARE)))
    best = pl.DataFrame(schema={"entry": pl.String, "key": pl.String, "drawn": pl.UInt64})
    for entry in built.entries:
        ids = built.ids_of(entry).select("entry", "key")
        hashes = hash_keys(ids["key"], seed=0, entry=f"{digest}/{entry}")
        best = pl.concat([best, ids.with_columns(pl.Series("drawn", hashes))]).bottom_k(wanted, by="drawn")
    placed = [
        part.join(built.decisions_of(str(entry), ("key", "position")), on="key", how="left")
        for (entry,), part in best.sort("entry", "drawn").group_by("entry", maintain_order=True)
    ]
    empty = best.clear().with_columns(pl.lit(None, pl.Int64).alias("position"))
    return pl.concat([empty, *placed]).drop("drawn")
