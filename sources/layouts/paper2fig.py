"""Paper2Fig100k: figures of papers with their captions."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from sources.layouts.media import relative
from sources.layouts.rows import Raw, convert
from sources.layouts.turns import exchange
from sources.layouts.value import RowError, as_text, chosen, extras, list_of, text_of
from sources.record import Defect, Member, Record
from sources.spec import Source

PROMPT: Final = "Write a caption for this figure."
"""Question where the source has no `prompt`. Ours."""

_NUMBER: Final = re.compile(r"fig(?:ure|\.)?\s*(?:number-tk|\d[\w.]*?)\s*(?::\s*|\.(?:\s+|$))", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Paper2Fig:
    """A JSON array of {figure_id, captions, captions_norm}; the picture is `FIGURE_ID.png` in `root`.

    The answer is the first caption, as written (`captions`) where the row has it, else normalised (`captions_norm`,
    lower case). Its beginning (`Figure 2:`, `figure number-tk :`) is taken away: no picture shows its number.
    """

    version: ClassVar[int] = 1
    evidence: ClassVar[str] = "upstream code"

    def __call__(self, path: Path, source: Source) -> Iterator[Record | Defect]:
        """One record or defect per row."""
        return convert(path, source, _record)


def _record(raw: Raw, source: Source) -> Record:
    fields = raw.fields()
    name = "captions" if fields.get("captions") else "captions_norm"
    captions = list_of(fields, name)
    if not captions:
        raise RowError("missing_field", f"expected a caption in `{name}`, found an empty list")
    caption = as_text(captions[0], name).strip()
    number = _NUMBER.match(caption)
    plain = caption[number.end() :] if number else caption
    return Record(
        row=raw.row,
        messages=exchange(PROMPT if source.prompt is None else source.prompt, plain),
        pictures=(Member(relative(f"{text_of(fields, 'figure_id')}.png")),),
        meta=extras(fields, ("captions", "captions_norm", *source.native)),
        native=chosen(fields, source.native),
        repairs=("number_stripped",) if plain != caption else (),
    )
