"""The strict row that all loaders accept."""

import json
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import Image

CONTROL = (
    "<vila/video>",
    "<vila/sentinel>",
    "<img>",
    "</img>",
    "<IMG_CONTEXT>",
    "<|im_start|>",
    "<|im_end|>",
    "|||IP_ADDRESS|||",
)
NAME = re.compile(r"[A-Za-z0-9_.-]+")


@dataclass
class Seen:
    """A set as an epoch holds it: rows that the trainer's operators take, and the ids in its file."""

    name: str
    rows: int
    ids: list[str] = field(default_factory=list)


def strict_json(text: str) -> Any:
    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    return json.loads(text, parse_constant=refuse)


def relative(path: Any) -> str:
    assert isinstance(path, str) and path and "://" not in path, path
    assert not path.startswith("/") and ".." not in PurePosixPath(path).parts and "\\" not in path, path
    return path


@cache
def opens(path: Path) -> bool:
    """Whether Pillow opens the picture and makes it RGB, as every loader does."""
    with Image.open(path) as image:
        image.convert("RGB").load()
    return True


def images_of(row: dict[str, Any], folder: Path) -> list[str]:
    """Paths of a row's pictures, each opened."""
    assert "image" not in row or row["image"], f"{row['id']}: an empty `image`"
    assert not ("image" in row and "video" in row), row["id"]
    found = row.get("image", [])
    paths = [found] if isinstance(found, str) else found
    assert isinstance(paths, list)
    assert all(opens(folder / relative(path)) for path in paths)
    return paths


def turns_of(row: dict[str, Any], *, system: bool = False) -> list[dict[str, str]]:
    """The turns: human and gpt in turn, none empty, tokens in human turns only, no control strings."""
    turns = row["conversations"]
    assert turns and isinstance(turns, list)
    assert all(set(turn) == {"from", "value"} and isinstance(turn["value"], str) for turn in turns)
    spoken = turns[1:] if system and turns[0]["from"] == "system" else turns
    assert [turn["from"] for turn in spoken] == ["human", "gpt"] * (len(spoken) // 2) and spoken, row["id"]
    for turn in turns:
        value = turn["value"]
        assert value.strip(), f"{row['id']}: an empty turn"
        assert not [word for word in CONTROL if word in value], row["id"]
        assert "<|assistant|>" not in value.splitlines(), row["id"]
        if turn["from"] != "human":
            assert "<image>" not in value and "<video>" not in value, row["id"]
    return turns


def check_row(row: dict[str, Any], folder: Path, *, system: bool = False) -> list[str]:
    """Everything that no loader checks for itself; returns the paths of the row's pictures."""
    assert isinstance(row["id"], str)
    assert all(value is not None for value in row.values()), f"{row['id']}: null"
    paths = images_of(row, folder)
    human = "".join(turn["value"] for turn in turns_of(row, system=system) if turn["from"] == "human")
    assert human.count("<image>") == len(paths), row["id"]
    assert human.count("<video>") == ("video" in row), row["id"]
    if "video" in row:
        relative(row["video"])
    return paths


def distinct(sets: list[Seen]) -> list[Seen]:
    """The same sets, their ids proven to be unique in the mixture (a set that is listed twice is one file)."""
    ids = [each for name in {seen.name: seen for seen in sets}.values() for each in name.ids]
    assert len(ids) == len(set(ids)), "two rows have one id"
    return sets
