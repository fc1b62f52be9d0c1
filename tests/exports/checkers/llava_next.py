"""LLaVA-NeXT's `LazySupervisedDataset`: a YAML of JSON lists. InstellaVL's offline loader is its twin."""

import math
from pathlib import Path

import yaml

from checkers.row import Seen, check_row, distinct, strict_json


def check(folder: Path) -> list[Seen]:
    """Sets in the order of the YAML, one per line; the trainer runs in `folder`."""
    document = yaml.safe_load((folder / "mixture.yaml").read_text())
    assert set(document) == {"datasets"}
    return distinct([read_set(folder, line) for line in document["datasets"] or []])


def read_set(folder: Path, line: dict[str, str]) -> Seen:
    assert set(line) <= {"json_path", "sampling_strategy"}
    path = line["json_path"]
    assert path.endswith(".json") and not path.startswith("/")
    assert not ("{" in path and "}" in path), "a brace pattern"
    rows = strict_json((folder / path).read_text(encoding="utf-8"))
    assert isinstance(rows, list) and rows
    for row in rows:
        check_row(row, folder / "images")
        for turn in row["conversations"]:
            value = turn["value"]
            # a lone token is moved to the front and this string deleted: nothing may be left to do
            assert value.count("<image>") != 1 or value.startswith("<image>\n"), row["id"]
            assert "QA_GT_caption_based_noisy" not in value
        words = sum(len(turn["value"].split()) for turn in row["conversations"])
        assert words > 0, "grouping by length divides by this"
    taken = sample(len(rows), line.get("sampling_strategy", "all"))
    return Seen(Path(path).stem, taken, [row["id"] for row in rows])


def sample(rows: int, strategy: str) -> int:
    """Rows that a sampling strategy takes."""
    if ":" not in strategy:
        return rows
    word, number = strategy.split(":")
    if word not in {"first", "end", "random"}:
        return rows
    wanted = math.ceil(int(number[:-1]) * rows / 100) if "%" in number else int(number)
    numbers = list(range(rows))
    return len(numbers[-wanted:] if word == "end" else numbers[:wanted])
