"""Sources that a user has on disk: shapes that no readable entry of the catalogue stands for."""

from typing import Any

ENTRIES: list[dict[str, Any]] = [
    {"name": "local.interleaved", "layout": "interleaved", "files": "documents.jsonl"},
    {"name": "local.mmc4", "layout": "mmc4", "files": "docs_shard_*.jsonl"},
    {"name": "local.omnicorpus", "layout": "omnicorpus", "files": "shard-*.jsonl"},
    {"name": "local.opencqa", "layout": "opencqa", "files": "etc/data.json", "root": "charts"},
    {"name": "local.paperowl", "layout": "paperowl", "files": "sft/*_train.jsonl"},
    {"name": "local.pictures", "layout": "picture_folder", "root": "photos"},
    {"name": "local.sroie", "layout": "sroie", "files": "key/*.json", "root": "images"},
    {"name": "local.tabmwp", "layout": "tabmwp", "files": "problems_train.json", "root": "tables"},
    {"name": "local.tatqa", "layout": "tatqa", "files": "tatqa_train.json", "media": ["text"]},
    {"name": "local.vflan", "layout": "vflan", "files": "vflan-*.jsonl"},
]
