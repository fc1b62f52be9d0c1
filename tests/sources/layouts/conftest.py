"""Raw files of every kind from Python values, and reading them through a layout."""

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sources.layouts import LAYOUTS
from sources.record import Defect, Record
from sources.spec import Source

Read = Callable[..., list[Record | Defect]]


def write(path: Path, rows: object) -> Path:
    if path.suffix == ".json":
        path.write_text(json.dumps(rows, indent=1, ensure_ascii=False), encoding="utf-8")
    elif path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=2)
    elif path.suffix == ".jsonl":
        lines = [row if isinstance(row, str) else json.dumps(row) for row in _listed(rows)]
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    else:
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, delimiter="\t" if path.suffix == ".tsv" else ",").writerows(_listed(rows))
    return path


def _listed(rows: object) -> Sequence[object]:
    assert isinstance(rows, list)
    return rows


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Write rows to a file, read them through a layout; keywords are fields of the source."""

    def items(layout: str, rows: object, suffix: str = ".jsonl", **body: object) -> list[Record | Defect]:
        path = write(tmp_path / f"rows{suffix}", rows)
        return list(LAYOUTS[layout](path, Source(name="s", layout=layout, **body)))

    return items
