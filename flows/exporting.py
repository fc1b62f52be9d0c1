"""A finished mixture in a trainer's format: rows streamed from shards, counts held against the manifest."""

import dataclasses
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from pydantic import BaseModel, TypeAdapter, ValidationError

from flows.exports import note_export
from flows.mixes import Mix
from flows.native import NativePart, native_parts
from flows.parts import planned_parts
from flows.taken import check_emitted
from manifests.exports.base import Exporter, Outcome
from manifests.exports.energon import Energon
from manifests.exports.hf import Hf
from manifests.exports.instellavl import InstellaVL
from manifests.exports.internvl import InternVL
from manifests.exports.llamafactory import LlamaFactory
from manifests.exports.llava_next import LlavaNext
from manifests.exports.mds import InstellaVlOnline, Mds
from manifests.exports.media import Media
from manifests.exports.native import Flavour
from manifests.exports.sampling import rows_seen
from manifests.exports.vila import Vila
from manifests.exports.wds import Wds
from shards.errors import ConservationError, StoreError, UsageError
from shards.files import write_text
from shards.pack import PictureReader

EXPORTERS: Final[dict[str, type[Exporter]]] = {
    "llava-next": LlavaNext,
    "instellavl": InstellaVL,
    "instellavl-online": InstellaVlOnline,
    "internvl": InternVL,
    "vila": Vila,
    "energon": Energon,
    "webdataset": Wds,
    "mds": Mds,
    "hf": Hf,
    "llamafactory": LlamaFactory,
}
"""Exporters by the name that `--to` takes."""

NATIVE: Final[dict[str, Flavour]] = {
    "llava-next": "llava-next",
    "instellavl": "instellavl-offline",
    "instellavl-online": "instellavl-online",
    "internvl": "internvl",
    "vila": "vila",
}
"""Formats whose trainer has operators of its own."""

STREAMED: Final = "instellavl-online"
"""The format whose trainer counts as MosaicML Streaming does."""

PICTURES: Final = "images"
"""Folder of picture files in an export."""

UNFINISHED: Final = ".vlmix-unfinished"
"""File in the folder of an export that is being written."""


class EntryExport(BaseModel):
    """Rows of one entry in an export, repeats counted: `written + not_representable = emitted`."""

    entry: str
    emitted: int
    written: int
    not_representable: dict[str, int]
    """By reason."""
    adapted: dict[str, int]
    """Written rows that were changed in form, by what was changed."""


class NativeExport(BaseModel):
    """One line of a trainer's own configuration; the file behind it holds all rows that survive filtering."""

    name: str
    file: str
    """Name of the set or file, where the published name cannot be one or stands twice."""
    entries: list[str]
    strategy: str
    value: str
    rows: int
    """In the file: `rows + not_representable` rows survive."""
    seen: int
    """Rows of an epoch by the trainer's own arithmetic."""
    emitted: int
    """Rows of an epoch by the manifest."""
    not_representable: dict[str, int]
    adapted: dict[str, int]
    unplanned: int
    """Surviving rows that the plan leaves out: filtered, but not compared with other rows for duplicates."""
    unjudged: int
    """Of these, rows that the judge was never asked about although a rule would."""
    spared: int
    """Of these, rows that a rule would ask about but for the recipe's `ask_when`."""


class ExportReport(BaseModel):
    """What an export holds; also written to `export.json` beside it."""

    format: str
    recipe: str
    mixture: str
    digest: str
    """Of the mixture."""
    entries: list[EntryExport]
    """Empty in a native export."""
    native: list[NativeExport]
    """Empty in a planned export."""
    emitted: int
    written: int
    not_representable: int
    pictures: int
    """Picture files written; each distinct picture once."""
    picture_bytes: int
    referenced: int
    """Mentions of pictures of registered mirrors, which stay where they are."""


class ExportReports(BaseModel):
    """What `vlmix export --json` prints."""

    exports: list[ExportReport]


def export_all(
    mixes: Mapping[str, Mix], *, to: str, out: Path, native: bool = False, options: Sequence[str] = ()
) -> list[ExportReport]:
    """Write several stages, each to a folder of its name; a single one to `out` itself.

    Args:
        mixes: finished mixtures by stage.
        to: name in EXPORTERS.
        out: folder, absent or empty, or holding an export that was cut short.
        native: see flows/cli_export.py.
        options: `name=value` for fields of the exporter.

    Raises:
        UsageError: the folder holds something else, an option that the format does not have, or no native form.
        GateError: a mixture emits what was taken down after it was made.
        ConservationError: a row is neither written nor counted as not representable.
        StoreError: a file cannot be read or written.
    """
    exporter = exporter_of(to, options)
    if native and to not in NATIVE:
        raise UsageError(f"`--native`: `{to}` has no operators of its own; those that have: {', '.join(NATIVE)}")
    # what a trainer has no words for is refused before anything is written
    for mix in mixes.values():
        check_emitted(mix)
    lines = {stage: native_parts(mix, NATIVE[to]) if native else None for stage, mix in mixes.items()}
    _begin(out)
    folders = {stage: out if len(mixes) == 1 else out / stage for stage in mixes}
    reports = [_export(mix, to, exporter, folders[stage], lines[stage]) for stage, mix in mixes.items()]
    # pictures are written without waiting for the disk, which is waited for once
    os.sync()
    (out / UNFINISHED).unlink()
    for stage, mix in mixes.items():
        note_export(mix.store, mix.box.name, mix.manifest.digest(), to=to, out=folders[stage])
    return reports


def exporter_of(to: str, options: Sequence[str] = ()) -> Exporter:
    """The exporter of a format with its options.

    Raises:
        UsageError: an option that the format does not have, or a value that does not fit it.
    """
    kind = EXPORTERS[to]
    assert dataclasses.is_dataclass(kind)
    known = {field.name: field.type for field in dataclasses.fields(kind)}
    given: dict[str, object] = {}
    for option in options:
        name, _, value = option.partition("=")
        if name not in known:
            raise UsageError(f"`--option {option}`: `{to}` has {', '.join(map('`{}`'.format, known)) or 'no options'}")
        try:
            given[name] = TypeAdapter(known[name]).validate_python(value)
        except ValidationError as error:
            raise UsageError(f"`--option {option}`: {error.errors()[0]['msg'].lower()}") from error
    exporter: Exporter = kind(**given)
    return exporter


def _begin(out: Path) -> None:
    """Start from nothing; what a cut export left is removed."""
    try:
        if out.exists() and any(out.iterdir()):
            if not (out / UNFINISHED).is_file():
                raise UsageError(f"`--out {out}` is not empty; give a new folder")
            for path in out.iterdir():
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                elif path.name != UNFINISHED:
                    path.unlink()
    except NotADirectoryError as error:
        raise UsageError(f"`--out {out}` is a file; give a new folder") from error
    except OSError as error:
        raise StoreError(f"`--out {out}`: {error.strerror or error}; give another folder") from error
    write_text(out / UNFINISHED, "this export was cut short; run it again\n")


def _export(mix: Mix, to: str, exporter: Exporter, out: Path, lines: Sequence[NativePart] | None) -> ExportReport:
    media = Media(PictureReader(str(mix.store.root)), out / PICTURES)
    parts = planned_parts(mix) if lines is None else [line.part for line in lines]
    outcomes = exporter(parts, media, out)
    entries = _entries(mix, outcomes) if lines is None else []
    native = _native(mix, lines or [], [] if lines is None else outcomes, streamed=to == STREAMED)
    rows: list[EntryExport | NativeExport] = [*entries, *native]
    report = ExportReport(
        format=to,
        recipe=mix.manifest.recipe,
        mixture=mix.manifest.mixture,
        digest=mix.manifest.digest(),
        entries=entries,
        native=native,
        emitted=mix.manifest.totals.emitted,
        written=sum(entry.written for entry in entries) + sum(line.rows for line in native),
        not_representable=sum(sum(row.not_representable.values()) for row in rows),
        pictures=media.written,
        picture_bytes=media.written_bytes,
        referenced=media.referenced,
    )
    write_text(out / "export.json", report.model_dump_json(indent=1) + "\n")
    return report


def _entries(mix: Mix, outcomes: Sequence[Outcome]) -> list[EntryExport]:
    found = []
    for entry in mix.manifest.entries:
        own = [outcome for outcome in outcomes if outcome.part.entry.id == entry.id]
        row = EntryExport(
            entry=entry.id,
            emitted=entry.counts.emitted,
            written=sum(outcome.written for outcome in own),
            not_representable=_sum([outcome.refused for outcome in own]),
            adapted=_sum([outcome.adapted for outcome in own]),
        )
        if row.written + sum(row.not_representable.values()) != row.emitted:
            raise ConservationError(f"export of entry `{entry.id}`: {row}")
        found.append(row)
    return found


def _native(
    mix: Mix, lines: Sequence[NativePart], outcomes: Sequence[Outcome], *, streamed: bool
) -> list[NativeExport]:
    found = []
    for (line, part, unplanned, unjudged, spared), outcome in zip(lines, outcomes, strict=True):
        assert part.words is not None
        row = NativeExport(
            name=line.name,
            file=part.name,
            entries=list(line.entries),
            strategy=line.strategy,
            value=line.value,
            rows=outcome.written,
            seen=rows_seen(part.words, outcome.written, outcome.excluded, streamed=streamed),
            emitted=sum(mix.entries[name].counts.emitted for name in line.entries),
            not_representable=_sum([outcome.refused]),
            adapted=_sum([outcome.adapted]),
            unplanned=unplanned,
            unjudged=unjudged,
            spared=spared,
        )
        if row.rows + sum(row.not_representable.values()) != part.rows:
            raise ConservationError(f"native export of `{line.name}`, {part.rows} rows: {row}")
        found.append(row)
    return found


def _sum(counts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    whole: dict[str, int] = {}
    for count in counts:
        for name, rows in count.items():
            whole[name] = whole.get(name, 0) + rows
    return dict(sorted(whole.items()))
