"""InstellaVL, offline: a YAML of JSON lists, one folder of pictures; see manifests/exports/lists.py.

The loader is LLaVA-NeXT's with stricter turns, which the strict row has anyway. Its `repeat:2` is not implemented: the
set is loaded once. So a repeated list stands in the YAML several times. The streamed form, MDS shards and a YAML of
`choose` and `repeat`, is a format of its own: manifests/exports/mds.py.

Source: AMD-AIG-AIMA/InstellaVL, instellavl/train/train.py, LazySupervisedDataset.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from manifests.exports.base import DIALOGUES, Kind, Outcome, Part
from manifests.exports.lists import write_lists
from manifests.exports.media import Media
from shards.files import write_text

_START: Final = """Start InstellaVL in this folder; paths in mixture.yaml are relative to it:

    torchrun ... PATH_OF_INSTELLAVL/instellavl/train/train.py --data_path mixture.yaml --image_folder images \\
        --video_folder videos --online_training False ...

Videos are named as their publisher names them; put or link their files below videos/.
A list that stands k times in mixture.yaml is seen k times an epoch; `repeat:k` would be ignored.
"""


@dataclass(frozen=True, slots=True)
class InstellaVL:
    """Writes the planned rows; every list in the YAML is taken whole, unless a part has words of its own."""

    kinds: ClassVar[frozenset[Kind]] = DIALOGUES

    def __call__(self, parts: Sequence[Part], media: Media, out: Path) -> list[Outcome]:
        """Write lists and YAML."""
        write_text(out / "README.txt", _START)
        return write_lists(parts, media, out, self.kinds)
