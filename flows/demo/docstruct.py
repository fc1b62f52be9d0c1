"""The publisher `docstruct`: JSON lines beside a tar.gz cut into raw pieces, in the shape of DocStruct4M."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

from flows.demo.defects import Item, Make, Truth, build, num_rows, plan, scaled, stream, truths
from flows.demo.makers import box_maker, parse_maker

NUM_PIECES = 3
DATASETS = {
    "doc_parse": "demo_pages",
    "table_parse": "demo_tables",
    "chart_parse": "demo_charts",
    "text_localization": "demo_boxes",
}
Maker = Callable[[int, str], Make]
FILES: dict[str, tuple[Maker, int, dict[str, int]]] = {
    "struct_aware_parse": (
        parse_maker,
        500,
        {
            "near_duplicate_picture": 4,
            "corrupt_picture:truncated": 3,
            "corrupt_picture:garbage": 2,
            "corrupt_picture:not_a_picture": 1,
            "loop_sentence": 5,
            "loop_two_sentences": 2,
            "loop_zeros": 4,
            "char_run": 2,
            "marker_mismatch": 2,
            "empty_answer": 2,
        },
    ),
    "multi_grained_text_localization": (box_maker, 200, {"char_run": 1}),
}


def publish_docstruct(root: Path, seed: int, scale: float) -> list[Truth]:
    """Write `docstruct/` below `root` and say what was planted."""
    (root / "docstruct").mkdir()
    found: list[Truth] = []
    members: dict[str, bytes] = {}
    for name, (maker, rows, full) in FILES.items():
        file = f"docstruct/{name}.jsonl"
        quotas = scaled(full, scale)
        n = num_rows(rows, quotas, scale)
        planted = plan(stream(seed, file, "plan"), n, quotas)
        make = maker(seed, file)
        lines = []
        for row in range(n):
            item = build(make, row, planted.get(row), stream(seed, file, row, "defect"))
            member = _member(item, row)
            members[member] = item.picture or b""
            lines.append(json.dumps(_record(item, member), ensure_ascii=False))
        (root / file).write_text("\n".join(lines) + "\n", "utf-8")
        found += truths("docstruct", file, planted)
    _write_pieces(root / "docstruct", _tar_gz(members))
    return found


def _member(item: Item, row: int) -> str:
    """Path inside the archive; rows that ask about the same page share it."""
    number = row // 2 if item.task == "text_localization" else row
    return f"imgs/{DATASETS[item.task]}/{number:05d}.png"


def _record(item: Item, member: str) -> dict[str, object]:
    ((ask, reply),) = item.turns
    return {
        "image": [f"./{member}"],
        "messages": [
            {"role": "user", "content": "<|image|>" * item.markers + ask},
            {"role": "assistant", "content": reply},
        ],
        "task_name": item.task,
        "dataset_name": DATASETS[item.task],
    }


def _tar_gz(members: dict[str, bytes]) -> bytes:
    """One archive; all its time stamps are 0, so that its bytes are stable."""
    out = io.BytesIO()
    with (
        gzip.GzipFile("", "wb", compresslevel=1, fileobj=out, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as tar,
    ):
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def _write_pieces(folder: Path, data: bytes) -> None:
    size = -(-len(data) // NUM_PIECES)
    for i in range(NUM_PIECES):
        (folder / f"partial-imgs.{i:02d}").write_bytes(data[i * size : (i + 1) * size])
