"""Reads an export of `--to hf` as TRL's trainer for vision-language models prepares it."""

import sys
from collections.abc import Iterator
from pathlib import Path

from datasets import Image, List, load_dataset
from interop.reading import Row, row, tell
from trl.data_utils import is_conversational, prepare_multimodal_messages


def read(folder: Path, cache: str) -> Iterator[Row]:
    rows = load_dataset(str(folder), "default", split="train", cache_dir=cache)
    for found in rows.cast_column("images", List(Image(decode=False))):
        assert is_conversational(found)
        messages = prepare_multimodal_messages(found["messages"], images=found["images"])
        parts = [[part for part in message["content"]] for message in messages]
        texts = ["".join("<image>" if part["type"] == "image" else part["text"] for part in turn) for turn in parts]
        pictures = [part["image"]["bytes"] for turn in parts for part in turn if part["type"] == "image"]
        yield row(found["entry"], found["key"], texts, pictures)


tell(read(Path(sys.argv[1]), sys.argv[2]))
