"""Declared evaluation sets: they say no more than was read, and files of their shape can be indexed."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from flows.executor import LocalRunner
from flows.leak_index import index_benchmark
from flows.leak_listing import listed
from flows.leak_sets import benchmark_sets, indexed, locate_benchmark
from shards.errors import CatalogError
from shards.store import Store
from sources.catalogue import CATALOG, load_catalogue
from sources.scan import check_layouts

SETS = benchmark_sets()
NAMED = (
    *("mmmu", "mmbench_en", "docvqa", "chartqa", "textvqa", "ai2d", "infovqa", "ocrbench", "mmstar", "realworldqa"),
    *("gqa_testdev", "scienceqa", "pope", "seedbench", "mathvista", "mmvet", "mme"),
)


def test_the_sets_of_the_published_tables_are_declared() -> None:
    assert set(NAMED) <= set(SETS)


def test_nothing_is_declared_that_was_not_read() -> None:
    check_layouts([source for source in SETS.values() if source.status == "unverified"])
    for name, source in SETS.items():
        assert source.status in ("unverified", "unresolved") and source.status_reason, name
        assert source.rows is None and source.published_rows is None and source.revision is None, name
        assert source.repo and source.repo.count("/") == 1, name
        assert not source.used_by, name


def test_no_evaluation_set_has_the_name_of_a_source() -> None:
    known = load_catalogue(CATALOG)
    names = set(known) | {alias for source in known.values() for alias in source.aliases}
    assert not names & set(SETS)


def picture(seed: int) -> dict[str, Any]:
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    target = io.BytesIO()
    Image.fromarray(pixels).resize((300, 200), Image.Resampling.BICUBIC).save(target, "PNG")
    return {"bytes": target.getvalue(), "path": None}


ASKED = "Which of the towers that stand on the hill is the highest one?"
ROWS: dict[str, tuple[str, list[dict[str, Any]], tuple[int, int, int]]] = {
    "docvqa": (
        "DocVQA/validation-00000-of-00001.parquet",
        [{"questionId": str(n), "question": f"{ASKED} {n}", "answers": [f"tower {n}"], "image": n} for n in range(3)],
        (3, 3, 3),
    ),
    "docvqa_test": (
        "DocVQA/test-00000-of-00001.parquet",
        [{"questionId": str(n), "question": f"{ASKED} {n}", "answers": None, "image": n} for n in range(2)],
        (2, 2, 2),
    ),
    "mmmu": (
        "data/validation-00000-of-00001.parquet",
        [
            {"id": "a", "question": f"<image 1> {ASKED}", "options": "['x', 'y']", "answer": "B", "image_1": 1}
            | {f"image_{n}": None for n in range(3, 8)}
            | {"image_2": 2}
        ],
        (1, 2, 2),
    ),
    "ai2d": (
        "data/test-00000-of-00001.parquet",
        [{"question": ASKED, "options": ["the old", "the new"], "answer": "0", "image": 1}],
        (1, 1, 2),
    ),
    "seedbench": (
        "data/test-00000-of-00001.parquet",
        [
            {"question_id": "1", "data_type": "image", "question": ASKED, "answer": "A", "image": [1]}
            | {f"choice_{letter}": f"tower {letter}" for letter in "abcd"}
        ],
        (1, 1, 2),
    ),
    "gqa_testdev_pictures": ("testdev_balanced_images/testdev-0.parquet", [{"id": "n1", "image": 1}], (1, 1, 0)),
}
"""Path of a file, its rows (pictures by seed), and the rows, pictures and questions of the index."""


def with_pictures(row: dict[str, Any]) -> dict[str, Any]:
    shown = {name: value for name, value in row.items() if name.startswith("image")}
    made = {
        name: [picture(seed) for seed in value]
        if isinstance(value, list)
        else None
        if value is None
        else picture(value)
        for name, value in shown.items()
    }
    return row | made


@pytest.mark.integration
@pytest.mark.parametrize("name", ROWS)
def test_files_as_declared_are_indexed(tmp_path: Path, name: str) -> None:
    place, rows, counts = ROWS[name]
    path = tmp_path / "files" / place
    path.parent.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist([with_pictures(row) for row in rows]), path)
    store = Store(tmp_path / "store")
    with store.lock():
        box, found = index_benchmark(name, store, LocalRunner(None), folder=tmp_path / "files")
    assert (found.rows, found.pictures, found.questions) == counts
    assert found.quarantined == 0
    assert box == indexed(store, name)
    assert {each.name for each in listed(store) if each.index} == {name}


def test_a_set_that_nobody_can_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="benchmark `chartqapro`: lmms-eval reads several questions"):
        locate_benchmark("chartqapro", Store(tmp_path), None)
    with pytest.raises(CatalogError, match="nonesuch"):
        locate_benchmark("nonesuch", Store(tmp_path), tmp_path)
