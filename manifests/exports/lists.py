"""A YAML of JSON lists and one folder of pictures, as the loader of LLaVA-NeXT and its descendants reads them.

    mixture.yaml            --data_path
    annotations/ENTRY.json
    images/                 --image_folder

`json_path` is opened relative to the trainer's working directory: start it in the export's folder. A list that stands
k times in the YAML is seen k times, which is the only way to repeat.

Source: LLaVA-NeXT, llava/train/train.py, LazySupervisedDataset.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import yaml

from manifests.exports.base import Kind, Outcome, Part
from manifests.exports.media import Media
from manifests.exports.rows import JsonRow, image_paths, representable, strict_row, write_json_list
from manifests.exports.strict import RESERVED, changes, fold_system, leading
from shards.files import write_text

LOADER_RESERVED: Final = (*RESERVED, "QA_GT_caption_based_noisy")
"""With the string that the loader deletes wherever it stands."""


def write_lists(parts: Sequence[Part], media: Media, out: Path, kinds: frozenset[Kind]) -> list[Outcome]:
    """Write lists and YAML. Two native parts of one name are two lines about one file."""
    outcomes = [Outcome(part) for part in parts]
    lines: list[dict[str, str]] = []
    for part, outcome in zip(parts, outcomes, strict=True):
        name = f"annotations/{part.name}.json"
        if write_json_list(out / name, _rows(part, outcome, media, kinds)):
            lines += [{"json_path": name, "sampling_strategy": strategy(part)}] * part.times
    write_text(out / "mixture.yaml", yaml.dump({"datasets": lines}, Dumper=PlainDumper, sort_keys=False, width=1000))
    return outcomes


def strategy(part: Part) -> str:
    """`sampling_strategy` of a part: `all` for planned rows, otherwise such as `first:10%`."""
    if part.words is None:
        return "all"
    return ":".join(filter(None, (part.words.strategy, part.words.value)))


def _rows(part: Part, outcome: Outcome, media: Media, kinds: frozenset[Kind]) -> Iterator[JsonRow]:
    for row, conversation in representable(part, kinds, outcome, LOADER_RESERVED):
        folded = fold_system(conversation)
        turns = leading(folded)
        outcome.write(changes(conversation, folded, turns))
        yield strict_row(part, row, turns, image_paths(row, media))


class PlainDumper(yaml.SafeDumper):
    """Writes a repeated item out again instead of pointing at the first one."""

    def ignore_aliases(self, data: object) -> bool:
        """Never use aliases."""
        return True
