"""InternVL's `LazySupervisedDataset`: a meta JSON of JSONL files."""

import json
from pathlib import Path
from typing import Any

from checkers.row import Seen, check_row, distinct, strict_json

REQUIRED = {"root", "annotation", "data_augment", "repeat_time", "length"}


def check(folder: Path) -> list[Seen]:
    """Sets in the order of the meta file; the trainer runs in `folder`."""
    pairs: list[tuple[str, Any]] = []
    json.loads((folder / "meta.json").read_text(), object_pairs_hook=lambda found: pairs.append(found) or dict(found))
    names = [name for name, _ in pairs[-1]]
    assert len(names) == len(set(names)), "the first of two equal names is lost"
    return distinct([read_set(folder, name, described) for name, described in pairs[-1]])


def read_set(folder: Path, name: str, described: dict[str, Any]) -> Seen:
    assert set(described) >= REQUIRED and set(described) <= REQUIRED | {"max_dynamic_patch"}
    assert described["annotation"].endswith("jsonl")
    assert isinstance(described["data_augment"], bool)
    assert isinstance(described.get("max_dynamic_patch", 1), int)
    text = (folder / described["annotation"]).read_bytes().decode("utf-8")
    lines = text.splitlines()
    # readers split at more than line feeds
    assert lines == text.removesuffix("\n").split("\n")
    assert all(line.strip() for line in lines), "a blank line kills the worker"
    assert described["length"] == len(lines)
    rows = [strict_json(line) for line in lines]
    for row in rows:
        check_one(row, folder / described["root"])
    return Seen(name, repeated(len(rows), described["repeat_time"]), [row["id"] for row in rows])


def check_one(row: dict[str, Any], root: Path) -> None:
    paths = check_row(row, root, system=True)
    turns = row["conversations"]
    if isinstance(row.get("image"), str):
        # otherwise a token is put before the first turn, even when that is the system's
        assert "<image>" in turns[0]["value"] and turns[0]["from"] == "human", row["id"]
    if "length" in row:
        assert isinstance(row["length"], int) and row["length"] > 0
    for side in ("width", "height"):
        assert side not in row or len(row[side]) == len(paths)


def repeated(rows: int, times: Any) -> int:
    """Rows that a repeat_time takes."""
    assert not isinstance(times, bool)
    if times < 1:
        return int(rows * times)
    assert isinstance(times, int), "a float above 1 stops the trainer"
    return rows * times
