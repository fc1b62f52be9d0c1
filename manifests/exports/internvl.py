"""InternVL 2 and 2.5 (internvl_chat): a meta JSON of JSONL files.

    meta.json                   --meta_path
    annotations/ENTRY.jsonl     one object a line, no blank lines (a blank one kills the loader's worker)
    images/

Paths are relative to the trainer's working directory: start it in the export's folder. `repeat_time` is an integer
always: its fractions are cut off in binary floating point and its floats above 1 are refused. `length` is the true
number of lines; the trainer does not read it. `data_augment` re-compresses pictures as JPEG: true where the recipe says
`augment: true`, otherwise false.

Source: InternVL, internvl_chat/internvl/train/internvl_chat_finetune.py and dataset.py, commit 2410d1d.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from manifests.exports.base import DIALOGUES, ExportRow, Kind, Outcome, Part
from manifests.exports.media import Media
from manifests.exports.rows import JsonRow, image_paths, representable, strict_row, turn_objects, write_json_lines
from manifests.exports.strict import Conversation, Turn
from shards.files import write_text
from shards.schema import IMAGE_MARKER

TILE_TOKENS: Final = 256
"""Tokens of one tile of 448 x 448 pixels. Source: InternVL 1.5 report, section 3.2."""

LABELLED: Final = "pictures_labelled"

_START: Final = """Start InternVL (internvl_chat) in this folder; paths in meta.json are relative to it:

    python PATH_OF_INTERNVL/internvl_chat/internvl/train/internvl_chat_finetune.py --meta_path meta.json ...

Videos are named as their publisher names them; put or link their files below videos/. The trainer reads videos through
a petrel client only and replaces rows whose video it cannot read.
"""


@dataclass(frozen=True, slots=True)
class InternVL:
    """Writes the planned rows; `repeat_time` is how often they are emitted, unless a part has words of its own.

    `image_labels`: `Image-1: `, `Image-2: ` before the pictures of rows with several at the front, as InternVL 2.5
    was trained. `lengths`: each row says its `length` in tokens (text as the manifest counts it, and 256 for each tile;
    the trainer groups by it) and `width` and `height` of its pictures.
    """

    kinds: ClassVar[frozenset[Kind]] = DIALOGUES

    image_labels: bool = True
    lengths: bool = False

    def __call__(self, parts: Sequence[Part], media: Media, out: Path) -> list[Outcome]:
        """Write meta file and rows."""
        outcomes = [Outcome(part) for part in parts]
        sets: dict[str, dict[str, object]] = {}
        for part, outcome in zip(parts, outcomes, strict=True):
            name = f"annotations/{part.name}.jsonl"
            lines = write_json_lines(out / name, self._rows(part, outcome, media))
            if lines:
                sets[part.name] = _described(part, name, lines)
        write_text(out / "README.txt", _START)
        write_text(out / "meta.json", json.dumps(sets, indent=1) + "\n")
        return outcomes

    def _rows(self, part: Part, outcome: Outcome, media: Media) -> Iterator[JsonRow]:
        for row, conversation in representable(part, self.kinds, outcome):
            turns = labelled(conversation) if self.image_labels else conversation.turns
            outcome.write([*conversation.adapted, *[LABELLED] * (turns != conversation.turns)])
            paths = image_paths(row, media, "images/")
            found = strict_row(part, row, turns, paths)
            if row.videos:
                found["video"] = f"videos/{row.videos[0]}"
            # of a string the loader puts a marker before the very first turn where it finds none there
            if len(paths) == 1 and (conversation.system is not None or IMAGE_MARKER not in turns[0][1]):
                found["image"] = paths
            found["conversations"] = turn_objects(turns, conversation.system)
            yield found | (_sizes(row) if self.lengths else {})


def _described(part: Part, annotation: str, lines: int) -> dict[str, object]:
    found: dict[str, object] = {
        "root": "./",
        "annotation": annotation,
        "data_augment": bool(part.entry.augment),
        "repeat_time": _repeat_time(part),
        "length": lines,
    }
    if part.entry.max_tiles is not None:
        found["max_dynamic_patch"] = part.entry.max_tiles
    return found


def _repeat_time(part: Part) -> int | float:
    if part.words is None:
        return part.times
    factor = float(part.words.value)
    return factor if factor < 1 else int(factor)


def labelled(conversation: Conversation) -> tuple[Turn, ...]:
    """Turns with `Image-1: ` ... before the pictures of a row that has several at its front.

    Source: InternVL 2.5 report, section 3.3.2; InternVL documentation, chat data format.
    """
    (speaker, question), *others = conversation.turns
    if conversation.kind != "several":
        return conversation.turns
    count = question.count(IMAGE_MARKER)
    rest = question.removeprefix(f"{IMAGE_MARKER}\n" * count)
    labels = "".join(f"Image-{number}: {IMAGE_MARKER}\n" for number in range(1, count + 1))
    return ((speaker, labels + rest), *others)


def _sizes(row: ExportRow) -> JsonRow:
    found: JsonRow = {}
    if row.tokens is not None:
        found["length"] = row.tokens + TILE_TOKENS * (len(row.images) if row.tiles is None else row.tiles)
    if row.images:
        found |= {"width": [image.width for image in row.images], "height": [image.height for image in row.images]}
    return found
