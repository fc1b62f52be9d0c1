"""MosaicML Streaming: one set of MDS shards per entry, for any training loop and for InstellaVL's online loader.

    mixture.yaml            sets in order: `shard_path`, relative to the folder, and `repeat` where it is not 1
    shards/ENTRY/           index.json and shards

Source: MosaicML Streaming 0.13.0, streaming/base/stream.py; InstellaVL, llava/train/train.py and the packers beside it.
"""

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

import yaml
from PIL import Image as Pillow

from manifests.exports.base import KINDS, Kind, Outcome, Part
from manifests.exports.mds_file import MDS_BYTES, encode_list, write_mds
from manifests.exports.media import Media
from manifests.exports.record import extension, record
from manifests.exports.rows import representable, row_id
from manifests.exports.strict import changes, fold_system
from shards.files import write_text

_START: Final = """mixture.yaml lists the sets, relative to this folder:

    streams = [Stream(local=line["shard_path"], repeat=line.get("repeat")) for line in listed["datasets"]]
    StreamingDataset(streams=streams, batch_size=...)

InstellaVL's online loader takes mixture.yaml itself; start it in this folder.
"""

_Sets = list[dict[str, str | int]]


@dataclass(frozen=True, slots=True)
class Mds:
    """Writes every kind of sample: `images` (`list[jpeg]`, original bytes) and `record` (`json`).

    The decoder of `jpeg` opens whatever Pillow can open, so the bytes stay those of the source. `list[jpeg]` is known
    from Streaming 0.12 on. The record is that of manifests/exports/record.py.
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset(KINDS)

    size: int = MDS_BYTES

    def __call__(self, parts: Sequence[Part], media: Media, out: Path) -> list[Outcome]:
        """Write shards and YAML."""
        outcomes = [Outcome(part) for part in parts]
        sets: _Sets = []
        columns = {"images": "list[jpeg]", "record": "json"}
        for outcome in outcomes:
            path = f"shards/{outcome.part.name}/"
            if write_mds(out / path, columns, _records(outcome, media), self.size):
                sets.append(_listed(path, outcome.part))
        _write_yaml(out, sets)
        return outcomes


@dataclass(frozen=True, slots=True)
class InstellaVlOnline:
    """Writes `image` (`jpeg`) and `text` (`str`: the JSON row), what AMD's loader and the package both read.

    AMD's own packer names the encoding `jpeg:95`, which the package does not know. A record holds one picture: text
    alone has a picture of 1 x 1 and no `image` key in its row; several pictures are not representable. Native lines
    say `choose` and `repeat`, each about a set of its own.
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset({"text", "single"})

    size: int = MDS_BYTES

    def __call__(self, parts: Sequence[Part], media: Media, out: Path) -> list[Outcome]:
        """Write shards and YAML."""
        outcomes = [Outcome(part) for part in parts]
        sets: _Sets = []
        columns = {"image": "jpeg", "text": "str"}
        blank = _black_pixel()
        for outcome in outcomes:
            path = f"shards/{outcome.part.name}/"
            if write_mds(out / path, columns, self._rows(outcome, media, blank), self.size):
                sets.append(_listed(path, outcome.part))
        _write_yaml(out, sets)
        return outcomes

    def _rows(self, outcome: Outcome, media: Media, blank: bytes) -> Iterator[tuple[bytes, bytes]]:
        for row, conversation in representable(outcome.part, self.kinds, outcome):
            turns = fold_system(conversation)
            found: dict[str, object] = {"id": row_id(outcome.part, row)}
            picture = blank
            if row.images:
                picture = media.data(row.images[0])
                found["image"] = f"{row.images[0].sha256}.{extension(row.images[0])}"
            found["conversations"] = [{"from": speaker, "value": text} for speaker, text in turns]
            outcome.write(changes(conversation, turns))
            yield picture, _json(found)


def _records(outcome: Outcome, media: Media) -> Iterator[tuple[bytes, bytes]]:
    for row in outcome.part.read():
        found, adapted = record(row, outcome.part.entry.id)
        outcome.write(adapted)
        yield encode_list([media.data(image) for image in row.images]), _json(found)


def _json(value: dict[str, object]) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False).encode()


def _listed(path: str, part: Part) -> dict[str, str | int]:
    if part.words is not None:
        return {"shard_path": path} | ({part.words.strategy: int(part.words.value)} if part.words.value else {})
    return {"shard_path": path} | ({"repeat": part.times} if part.times > 1 else {})


def _write_yaml(out: Path, sets: _Sets) -> None:
    write_text(out / "README.txt", _START)
    write_text(out / "mixture.yaml", yaml.safe_dump({"datasets": sets}, sort_keys=False))


def _black_pixel() -> bytes:
    data = io.BytesIO()
    Pillow.new("RGB", (1, 1)).save(data, "JPEG")
    return data.getvalue()
