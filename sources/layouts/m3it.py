"""M3IT: an instruction, an input and pictures as base64."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from sources.layouts.dialog import unpack_history
from sources.layouts.media import encoded_pictures
from sources.layouts.rows import Raw, convert
from sources.layouts.turns import alternating
from sources.layouts.value import Fields, as_text, chosen, extras, text_of
from sources.record import Defect, Record
from sources.spec import Source


@dataclass(frozen=True, slots=True)
class M3it:
    """Rows of {instruction, inputs, image_base64_str: list of texts, outputs}, from the JSONL files behind the script.

    Instruction and inputs are two lines, all pictures come before them. Visual Dialog packs its history into `inputs`
    (`Question: ... Answer: ... Question: ...`): it becomes turns. Blanks at the end of `outputs` are taken away.
    """

    version: ClassVar[int] = 1
    evidence: ClassVar[str] = "card"

    def __call__(self, path: Path, source: Source) -> Iterator[Record | Defect]:
        """One record or defect per row."""
        return convert(path, source, _record)


def _record(raw: Raw, source: Source) -> Record:
    fields = raw.fields()
    pictures = encoded_pictures(fields.get("image_base64_str"), "image_base64_str")
    instruction, inputs = text_of(fields, "instruction").strip(), _inputs(fields)
    output = text_of(fields, "outputs")
    question = "\n".join(piece for piece in (instruction, inputs) if piece)
    turns = unpack_history(question, output.rstrip())
    return Record(
        row=raw.row,
        messages=alternating(turns or (question, output.rstrip()), pictures=len(pictures)),
        pictures=pictures,
        meta=extras(fields, ("instruction", "inputs", "image_base64_str", "outputs", *source.native)),
        native=chosen(fields, source.native),
        repairs=(*(["turns_split"] if turns else []), *(["blanks_stripped"] if output != output.rstrip() else [])),
    )


def _inputs(fields: Fields) -> str:
    inputs = fields.get("inputs")
    return "" if inputs is None else as_text(inputs, "inputs").strip()
