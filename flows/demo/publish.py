"""The demo publishers: about 3,000 raw samples in other people's shapes, with planted defects and a truth table."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from flows.demo.docstruct import publish_docstruct
from flows.demo.extras import publish_extras
from flows.demo.onevision import publish_onevision
from flows.demo.pixmo import publish_pixmo

TRUTH = pa.schema(
    {"publisher": pa.string(), "file": pa.string(), "row": pa.int64(), "defect": pa.string(), "detail": pa.string()}
)
PUBLISHERS = (publish_onevision, publish_pixmo, publish_docstruct, publish_extras)


def publish(root: Path, seed: int = 0, *, scale: float = 1.0) -> None:
    """Write the raw files of all demo publishers into `root`, whole or not at all.

    Does nothing where `root`/truth.parquet is there. Same seed and scale, same bytes.

    Args:
        root: a directory that does not exist yet, or is empty.
        seed: names the collection.
        scale: share of the full number of rows; every kind of defect occurs at least once.

    Raises:
        OSError: `root` holds other files, or the disk is full or cannot be written.
    """
    if (root / "truth.parquet").is_file():
        return
    partial = root.with_name(f".{root.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        truth = [asdict(line) for publisher in PUBLISHERS for line in publisher(partial, seed, scale)]
        pq.write_table(pa.Table.from_pylist(truth, TRUTH), partial / "truth.parquet")
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    partial.replace(root)
