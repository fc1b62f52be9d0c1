"""Where mixtures were exported to: one small file in the store for each place, so that a take-down can name them."""

import platform
from contextlib import suppress
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from shards.errors import StoreError
from shards.files import fingerprint, write_text
from shards.store import Store

EXPORTS_FOLDER: Final = "exports"


class ExportNote(BaseModel):
    """An export that was finished: of which mixture, in which format, in which folder of which machine."""

    model_config = ConfigDict(frozen=True)

    box: str
    digest: str
    format: str
    folder: str
    host: str


def note_export(store: Store, box: str, digest: str, *, to: str, out: Path) -> None:
    """Write down that an export is finished; a store that cannot be written is left as it is."""
    note = ExportNote(box=box, digest=digest, format=to, folder=str(out.resolve()), host=platform.node())
    name = fingerprint("export", note.model_dump(mode="json"))[:20]
    with suppress(StoreError):  # whoever reads a mixture need not have the right to write beside it
        write_text(store.root / EXPORTS_FOLDER / f"{name}.json", note.model_dump_json(indent=1) + "\n")


def exports_of(store: Store) -> dict[str, list[ExportNote]]:
    """Exports that were written down, by digest of their mixture; some folders may be gone since."""
    found: dict[str, list[ExportNote]] = {}
    for path in sorted((store.root / EXPORTS_FOLDER).glob("*.json")):
        try:
            note = ExportNote.model_validate_json(path.read_bytes())
        except ValidationError as error:
            raise StoreError(f"`{path}` is no note of an export; remove it") from error
        found.setdefault(note.digest, []).append(note)
    return found
