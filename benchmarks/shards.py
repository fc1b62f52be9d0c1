"""Shard building against a plain copy of the same bytes: embedded bytes in Parquet, and a tar beside JSONL; one core.

    python -m benchmarks.shards --megabytes 1000 --folder SCRATCH

Prints megabytes a wall second and a CPU second of both, their ratios, and the peak memory of the conversion. Both end
with the bytes on disk (`sync`, `fsync`). CPU seconds are those of the work, without starting Python.
"""

import argparse
import io
import json
import resource
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from flows.sourcing import SourceJob, make_shards
from shards.sample import ShardsIndex
from shards.store import Store
from sources.policy import FetchPolicy
from sources.spec import Source

PICTURES = 64
ROWS_PER_GROUP = 500
SOURCES = {
    "parquet": {"layout": "onevision", "files": ("*.parquet",)},
    "tar": {"layout": "mplug", "files": ("*.jsonl",), "archive": "*.tar"},
}


def pictures(megabytes: int) -> Iterator[bytes]:
    """JPEG pictures of 640 x 480, some 100 kB each, all with bytes of their own."""
    rng = np.random.default_rng(0)
    made = []
    for _ in range(PICTURES):
        small = rng.integers(0, 255, (60, 80, 3), dtype=np.uint8)
        grain = rng.integers(-24, 24, (480, 640, 3))
        photo = np.clip(np.asarray(Image.fromarray(small).resize((640, 480))) + grain, 0, 255).astype(np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(photo).save(buffer, "JPEG", quality=80)
        made.append(buffer.getvalue())
    total = number = 0
    while total < megabytes * 1e6:
        data = made[number % PICTURES] + number.to_bytes(8, "big")  # decoders stop at the end mark before this
        total, number = total + len(data), number + 1
        yield data


def write_parquet(folder: Path, megabytes: int) -> None:
    """Rows of LLaVA-OneVision-Data with embedded pictures."""
    turn = pa.struct([("from", pa.string()), ("value", pa.string())])
    picture = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    schema = pa.schema([("id", pa.string()), ("image", picture), ("conversations", pa.list_(turn))])
    talk = [{"from": "human", "value": "<image>\nWhat is it?"}, {"from": "gpt", "value": "A photo of grain."}]
    with pq.ParquetWriter(folder / "train-00000.parquet", schema, compression="snappy") as writer:
        rows: list[dict[str, object]] = []
        for number, data in enumerate(pictures(megabytes)):
            rows.append({"id": str(number), "image": {"bytes": data, "path": None}, "conversations": talk})
            if len(rows) == ROWS_PER_GROUP:
                writer.write_table(pa.Table.from_pylist(rows, schema))
                rows = []
        writer.write_table(pa.Table.from_pylist(rows, schema))


def write_tar(folder: Path, megabytes: int) -> None:
    """Rows of DocStruct4M with a tar of pictures."""
    with tarfile.open(folder / "imgs.tar", "w") as archive, (folder / "rows.jsonl").open("w") as lines:
        for number, data in enumerate(pictures(megabytes)):
            member = tarfile.TarInfo(f"imgs/{number}.jpg")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
            talk = [{"role": "user", "content": "<|image|>What is it?"}, {"role": "assistant", "content": "Grain."}]
            lines.write(json.dumps({"image": [f"./imgs/{number}.jpg"], "messages": talk}) + "\n")


def seconds(usage: resource.struct_rusage) -> float:
    """CPU seconds of a process, its own and the kernel's for it."""
    return usage.ru_utime + usage.ru_stime


def peak() -> float:
    """MiB of memory that this process had at most; `ru_maxrss` starts from that of the process that began it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) / 1024


def copy(raw: Path, target: Path) -> tuple[float, float]:
    """Copy a folder with `cp`, to the disk; wall and CPU seconds."""
    begin, started = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(["cp", "-r", raw, target], check=True)
    subprocess.run(["sync", "-f", target], check=True)
    wall = time.perf_counter() - begin
    shutil.rmtree(target)
    return wall, seconds(resource.getrusage(resource.RUSAGE_CHILDREN)) - seconds(started)


def convert(kind: str, raw: Path, store: Path) -> None:
    """Build the shards of one kind of source in this process, and print what it took as JSON."""
    begin, started = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    made = make_shards(SourceJob(Store(store), Source(name="bench", **SOURCES[kind]), raw, FetchPolicy()))
    usage = resource.getrusage(resource.RUSAGE_SELF)
    print(
        json.dumps(
            {
                "wall": time.perf_counter() - begin,
                "cpu": seconds(usage) - seconds(started),
                "peak": peak(),
                "rows": made.shards.index(ShardsIndex).samples,
            }
        )
    )


def main() -> None:
    """Write the raw files, copy them, convert them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--convert", choices=list(SOURCES))
    options = parser.parse_args()
    if options.convert:
        convert(options.convert, options.folder / options.convert, options.folder / f"store-{options.convert}")
        return
    for kind, write in (("parquet", write_parquet), ("tar", write_tar)):
        raw = options.folder / kind
        raw.mkdir(parents=True)
        write(raw, options.megabytes)
        size = sum(path.stat().st_size for path in raw.iterdir()) / 1e6
        wall, cpu = copy(raw, options.folder / "copy")
        command = [sys.executable, "-m", "benchmarks.shards", "--folder", str(options.folder), "--convert", kind]
        took = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        print(
            f"{kind:<8} {size:,.0f} MB, {took['rows']:,} rows, MB a second of wall and of CPU: "
            f"copy {size / wall:,.0f} and {size / cpu:,.0f}, shards {size / took['wall']:,.0f} and "
            f"{size / took['cpu']:,.0f}, which is {wall / took['wall']:.2f} and {cpu / took['cpu']:.2f} of the copy's; "
            f"peak {took['peak']:,.0f} MiB"
        )


if __name__ == "__main__":
    main()
