"""Reads an export of `--to webdataset` as a training script would."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import PIL.Image
import webdataset
from interop.reading import Row, row, tell


def read(folder: Path) -> Iterator[Row]:
    urls = [str(folder / line) for line in (folder / "urls.txt").read_text().splitlines()]
    raw = webdataset.WebDataset(urls, shardshuffle=False)
    decoded = webdataset.WebDataset(urls, shardshuffle=False).decode("pil")
    for sample, opened in zip(raw, decoded, strict=True):
        found = json.loads(sample["json"])
        assert opened["json"] == found
        assert all(isinstance(opened[suffix], PIL.Image.Image) for suffix in found["images"])
        texts = [message["content"] for message in found["messages"]]
        yield row(found["entry"], found["key"], texts, [sample[suffix] for suffix in found["images"]])


tell(read(Path(sys.argv[1])))
