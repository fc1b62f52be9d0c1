"""MDS, the shard files of MosaicML Streaming, written without the package.

A shard is the number of samples, an offset from the start of the file for each of them and for the end, a JSON of the
columns, and the samples: the size of each column, then the columns. Integers are little-endian, of 32 bits.

Source: MosaicML Streaming 0.13.0, streaming/base/format/mds/writer.py; the bytes are those of its writer.
"""

import json
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Final

from shards.files import write_bytes, write_text

MDS_BYTES: Final = 1 << 26
"""Size that a shard does not pass unless one sample does; the default of the package's writer."""


def write_mds(
    folder: Path, columns: Mapping[str, str], samples: Iterable[Sequence[bytes]], size: int = MDS_BYTES
) -> int:
    """Write a set of shards; without samples there is no file.

    Args:
        folder: of the set.
        columns: encoding by name, names in sorted order; encodings without a fixed size only.
        samples: encoded columns of each sample, in the same order.
        size: bytes of a shard, below 2**32.

    Returns:
        The number of samples.

    Raises:
        StoreError: the folder cannot be written.
    """
    assert list(columns) == sorted(columns)
    config = {
        "version": 2,
        "format": "mds",
        "compression": None,
        "hashes": [],
        "size_limit": size,
        "column_names": list(columns),
        "column_encodings": list(columns.values()),
        "column_sizes": [None] * len(columns),
    }
    head = json.dumps(config, sort_keys=True).encode()
    shards: list[dict[str, object]] = []
    total = 0
    for shard in _shards(map(_encode, samples), size - len(head)):
        name = f"shard.{len(shards):05}.mds"
        starts = accumulate(map(len, shard), initial=4 + 4 * (len(shard) + 1) + len(head))
        data = b"".join([_integers(len(shard), *starts), head, *shard])
        write_bytes(folder / name, data)
        raw = {"basename": name, "bytes": len(data), "hashes": {}}
        shards.append(config | {"samples": len(shard), "raw_data": raw, "zip_data": None})
        total += len(shard)
    if shards:
        write_text(folder / "index.json", json.dumps({"version": 2, "shards": shards}, sort_keys=True))
    return total


def encode_list(items: Sequence[bytes]) -> bytes:
    """Column of encoding `list[...]`: a reserved zero, the number of items, their sizes, the items."""
    return _integers(0, len(items), *map(len, items)) + b"".join(items)


def _encode(columns: Sequence[bytes]) -> bytes:
    return _integers(*map(len, columns)) + b"".join(columns)


def _shards(samples: Iterable[bytes], size: int) -> Iterator[list[bytes]]:
    shard: list[bytes] = []
    used = first = 8  # number of samples, and the offset of the end
    for sample in samples:
        if shard and used + len(sample) + 4 > size:
            yield shard
            shard, used = [], first
        shard.append(sample)
        used += len(sample) + 4
    if shard:
        yield shard


def _integers(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}I", *values)
