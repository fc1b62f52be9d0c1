"""LLaMA-Factory: a dataset_info.json and one file of ShareGPT turns per entry.

    dataset_info.json       in the folder that --dataset_dir names
    mixture.txt             --dataset
    data/ENTRY.json
    images/

Rows are repeated in the files: `num_samples` draws at random there. Every tag and column is named, since an unnamed one
counts as absent as soon as another is named. Turns come in pairs, or the row would be skipped with a warning.

Source: LLaMA-Factory 0.9.5, src/llamafactory/data/parser.py, converter.py and mm_plugin.py.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from manifests.exports.base import DIALOGUES, Kind, Outcome, Part
from manifests.exports.media import Media
from manifests.exports.rows import JsonRow, image_paths, representable, row_id, turn_objects, write_json_list
from manifests.exports.strict import RESERVED
from shards.files import write_text

AUDIO: Final = "<audio>"
"""Counted against audio files of the row; a literal one stops the preprocessing."""

TAGS: Final = {
    "role_tag": "from",
    "content_tag": "value",
    "user_tag": "human",
    "assistant_tag": "gpt",
    "system_tag": "system",
    "observation_tag": "observation",
    "function_tag": "function_call",
}

_START: Final = """Start LLaMA-Factory with this folder as --dataset_dir, and media paths relative to it:

    llamafactory-cli train --dataset_dir {here} --media_dir {here} --dataset "$(cat {here}/mixture.txt)" ...

where {here} is the path of this folder.
Videos are named as their publisher names them; put or link their files below videos/.
"""


@dataclass(frozen=True, slots=True)
class LlamaFactory:
    """Writes the planned rows, each as often as it is emitted."""

    kinds: ClassVar[frozenset[Kind]] = DIALOGUES

    def __call__(self, parts: Sequence[Part], media: Media, out: Path) -> list[Outcome]:
        """Write index and rows."""
        outcomes = [Outcome(part) for part in parts]
        sets: dict[str, dict[str, object]] = {}
        for part, outcome in zip(parts, outcomes, strict=True):
            name = f"data/{part.name}.json"
            columns = {"messages": "conversations"}
            if write_json_list(out / name, self._rows(outcome, media, columns)):
                sets[part.name] = {"file_name": name, "formatting": "sharegpt", "columns": columns, "tags": TAGS}
        write_text(out / "README.txt", _START.format(here="FOLDER"))
        write_text(out / "dataset_info.json", json.dumps(sets, indent=1) + "\n")
        write_text(out / "mixture.txt", ",".join(sets) + "\n")
        return outcomes

    def _rows(self, outcome: Outcome, media: Media, columns: dict[str, str]) -> Iterator[JsonRow]:
        """Rows of a part; `columns` is told of the media that they have."""
        part = outcome.part
        for copy in range(part.times):
            counted = outcome if copy == 0 else Outcome(part)
            for row, conversation in representable(part, self.kinds, counted, (*RESERVED, AUDIO)):
                counted.write(conversation.adapted)
                found: JsonRow = {"id": row_id(part, row, copy)}
                found["conversations"] = turn_objects(conversation.turns, conversation.system)
                if row.images:
                    columns["images"] = "images"
                    found["images"] = image_paths(row, media, "images/")
                if row.videos:
                    columns["videos"] = "videos"
                    found["videos"] = [f"videos/{video}" for video in row.videos]
                yield found
