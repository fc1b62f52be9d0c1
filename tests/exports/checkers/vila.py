"""VILA's registry, mixture string, `LLaVADataset` and `LLaVANextDataset`."""

import json
from pathlib import Path
from typing import Any

import yaml

from checkers.row import NAME, Seen, check_row, distinct, strict_json


def check(folder: Path, *, batch: int = 1) -> list[Seen]:
    """Sets in the trainer's order, padded to a global batch of `batch` rows; the trainer runs in `folder`."""
    registry = yaml.safe_load((folder / "registry.yaml").read_text())
    terms = sorted((folder / "mixture.txt").read_text().strip().split("+"))
    return distinct([read_term(folder, registry, term, batch) for term in terms if term])


def read_term(folder: Path, registry: dict[str, Any], term: str, batch: int) -> Seen:
    excluded: list[int] = []
    name, at, tag = term.partition("@")
    name, star, times = name.partition("*")
    assert NAME.fullmatch(name), name
    described = registry[name]
    assert set(described) == {"_target_", "data_path", "media_dir"}
    rows = strict_json((folder / described["data_path"]).read_text(encoding="utf-8"))
    assert isinstance(rows, list) and rows
    kind = described["_target_"]
    reader = {"llava.data.LLaVADataset": read_front, "llava.data.LLaVANextDataset": read_in_place}[kind]
    for row in rows:
        reader(row, folder / described["media_dir"])
    count = len(rows)
    if kind == "llava.data.LLaVADataset":
        count = padded(count, batch)
    else:
        assert not star, "rows are edited as they are read; the second visit fails"
    if at:
        excluded = json.loads((folder / "slices" / tag / f"{name}.json").read_text())
        count = len(set(range(count)) - set(excluded))
    return Seen(name, count * max(1, int(times or 1)), [row["id"] for row in rows])


def read_front(row: dict[str, Any], media: Path) -> None:
    """All tokens go, all media stand before the first question: that must be where they stood."""
    paths = check_row(row, media)
    first = row["conversations"][0]["value"]
    tokens = ["<image>"] * len(paths) + ["<video>"] * ("video" in row)
    assert first.startswith("".join(f"{token}\n" for token in tokens)), row["id"]


def read_in_place(row: dict[str, Any], media: Path) -> None:
    assert isinstance(row["image"], list), "a string is read letter by letter"
    left = list(check_row(row, media))
    for turn in row["conversations"]:
        for _ in range(turn["value"].count("<image>")):
            left.pop(0)
    assert not left


def padded(rows: int, batch: int) -> int:
    """Rows of a LLaVADataset after it filled itself up to a multiple of the global batch."""
    if rows % batch == 0:
        return rows
    if batch // rows >= 2:
        rows *= batch // rows
    return rows + batch - rows % batch
