"""The publisher `onevision`: Parquet with embedded pictures, in the shape of LLaVA-OneVision-Data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from flows.demo.defects import Item, Make, Truth, build, num_rows, plan, scaled, stream, truths
from flows.demo.makers import chart_maker, chat_maker, table_maker

SCHEMA = pa.schema(
    {
        "id": pa.string(),
        "image": pa.struct({"bytes": pa.binary(), "path": pa.string()}),
        "conversations": pa.list_(pa.struct({"from": pa.string(), "value": pa.string()})),
        "data_source": pa.string(),
    }
)


@dataclass(frozen=True, slots=True)
class Config:
    """One configuration: its maker, and the rows and defects of each of its files."""

    name: str
    maker: Callable[[int, str], Make]
    num_files: int
    rows: int
    quotas: dict[str, int]


CONFIGS = (
    Config(
        "chart_qa(cauldron)",
        chart_maker,
        num_files=2,
        rows=350,
        quotas={
            "near_duplicate_picture": 8,
            "exact_duplicate": 4,
            "lookalike_ok": 20,
            "corrupt_picture:truncated": 2,
            "corrupt_picture:garbage": 1,
            "corrupt_picture:not_a_picture": 1,
            "loop_sentence": 3,
            "loop_two_sentences": 2,
            "loop_zeros": 3,
            "char_run": 2,
            "marker_mismatch": 2,
            "empty_answer": 2,
            "refusal": 1,
        },
    ),
    Config(
        "table_wiki",
        table_maker,
        num_files=1,
        rows=350,
        quotas={
            "near_duplicate_picture": 10,
            "exact_duplicate": 6,
            "lookalike_ok": 20,
            "corrupt_picture:truncated": 2,
            "corrupt_picture:garbage": 2,
            "corrupt_picture:not_a_picture": 1,
            "loop_sentence": 4,
            "loop_two_sentences": 2,
            "marker_mismatch": 2,
            "empty_answer": 2,
        },
    ),
    Config(
        "chat_text(text only)",
        chat_maker,
        num_files=1,
        rows=350,
        quotas={
            "loop_permuted": 12,
            "loop_zeros": 4,
            "empty_answer": 3,
            "refusal": 3,
            "legit_repetition_ok": 20,
            "unreadable_script": 6,
        },
    ),
)


def publish_onevision(root: Path, seed: int, scale: float) -> list[Truth]:
    """Write `onevision/` below `root` and say what was planted."""
    found: list[Truth] = []
    for config in CONFIGS:
        for part in range(config.num_files):
            file = f"onevision/{config.name}/train-{part:05d}-of-{config.num_files:05d}.parquet"
            found += _write(root, file, config, seed, scale)
    return found


def _write(root: Path, file: str, config: Config, seed: int, scale: float) -> list[Truth]:
    quotas = scaled(config.quotas, scale)
    n = num_rows(config.rows, quotas, scale)
    planted = plan(stream(seed, file, "plan"), n, quotas)
    make = config.maker(seed, file)
    items = (build(make, row, planted.get(row), stream(seed, file, row, "defect")) for row in range(n))
    rows = [_row(item, f"{row:06d}", config.name) for row, item in enumerate(items)]
    path = root / file
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), path)
    return truths("onevision", file, planted)


def _row(item: Item, name: str, config: str) -> dict[str, object]:
    marks = "<image>\n" * item.markers
    talk = []
    for i, (ask, reply) in enumerate(item.turns):
        talk.append({"from": "human", "value": ask if i else marks + ask})
        talk.append({"from": "gpt", "value": reply})
    image = None if item.picture is None else {"bytes": item.picture, "path": f"{name}.png"}
    return {"id": name, "image": image, "conversations": talk, "data_source": config}
