"""LLaVA-NeXT and LLaVA-OneVision: a YAML of JSON lists, one folder of pictures; see manifests/exports/lists.py."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from manifests.exports.base import DIALOGUES, Kind, Outcome, Part
from manifests.exports.lists import write_lists
from manifests.exports.media import Media
from shards.files import write_text

_START: Final = """Start LLaVA-NeXT in this folder; paths in mixture.yaml are relative to it:

    python PATH_OF_LLAVA_NEXT/llava/train/train_mem.py --data_path mixture.yaml --image_folder images \\
        --video_folder videos ...

Videos are named as their publisher names them; put or link their files below videos/.
A list that stands k times in mixture.yaml is seen k times an epoch.
"""


@dataclass(frozen=True, slots=True)
class LlavaNext:
    """Writes the planned rows; every list in the YAML is taken whole, unless a part has words of its own."""

    kinds: ClassVar[frozenset[Kind]] = DIALOGUES

    def __call__(self, parts: Sequence[Part], media: Media, out: Path) -> list[Outcome]:
        """Write lists and YAML."""
        write_text(out / "README.txt", _START)
        return write_lists(parts, media, out, self.kinds)
