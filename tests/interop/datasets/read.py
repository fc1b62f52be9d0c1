"""Reads an export of `--to hf`: the folder by its card, and the files as Parquet."""

import sys
from collections.abc import Iterator
from pathlib import Path

import PIL.Image
from datasets import Image, List, get_dataset_config_names, load_dataset
from interop.reading import Row, row, tell


def read(folder: Path, cache: str) -> Iterator[Row]:
    names = [name for name in get_dataset_config_names(str(folder)) if name in {"default", "documents"}]
    for name in names:
        rows = load_dataset(str(folder), name, split="train", cache_dir=cache)
        assert rows.features["images"] == List(Image())
        for opened in rows.select_columns(["images"]):
            assert all(isinstance(image, PIL.Image.Image) for image in opened["images"])
        column = "messages" if name == "default" else "text"
        for found in rows.cast_column("images", List(Image(decode=False))):
            yield row(found["entry"], found["key"], texts(found[column]), [one["bytes"] for one in found["images"]])
    files = [str(path) for path in sorted((folder / "data").glob("*.parquet"))]
    as_parquet = load_dataset("parquet", data_files=files, split="train", cache_dir=cache)
    assert as_parquet.features["images"] == List(Image())
    streamed = load_dataset(str(folder), names[0], split="train", streaming=True)
    assert sum(1 for _ in streamed) == len(as_parquet)


def texts(said: str | list) -> list[str]:
    if isinstance(said, str):
        return [said]
    shown = {"image": lambda part: "<image>", "text": lambda part: part["text"]}
    return ["".join(shown[part["type"]](part) for part in message["content"]) for message in said]


tell(read(Path(sys.argv[1]), sys.argv[2]))
