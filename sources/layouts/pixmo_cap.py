"""PixMo-Cap: a URL, a long caption and the speech that it was made from."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from shards.markers import escape
from shards.schema import IMAGE_MARKER
from sources.layouts.media import url_of
from sources.layouts.rows import Raw, convert
from sources.layouts.value import RowError, chosen, extras, kind, text_of
from sources.record import Defect, Message, Record
from sources.spec import Source

PROMPT: Final = "Describe this image in detail."
"""Question where the source has no `prompt`. Ours."""


@dataclass(frozen=True, slots=True)
class PixmoCap:
    """Rows of {image_url, caption, transcripts}; of the transcripts their number is kept as `transcripts`."""

    version: ClassVar[int] = 1
    evidence: ClassVar[str] = "card"

    def __call__(self, path: Path, source: Source) -> Iterator[Record | Defect]:
        """One record or defect per row."""
        return convert(path, source, _record)


def _record(raw: Raw, source: Source) -> Record:
    fields = raw.fields()
    transcripts = fields.get("transcripts")
    if not (transcripts is None or isinstance(transcripts, list)):
        raise RowError("wrong_type", f"expected a list in `transcripts`, found {kind(transcripts)}")
    question = PROMPT if source.prompt is None else source.prompt
    return Record(
        row=raw.row,
        messages=(
            Message("user", f"{IMAGE_MARKER}\n{question}"),
            Message("assistant", escape(text_of(fields, "caption"))),
        ),
        pictures=(url_of(fields),),
        meta={
            **extras(fields, ("image_url", "image_sha256", "caption", *source.native)),
            "transcripts": len(transcripts or ()),
        },
        native=chosen(fields, source.native),
    )
