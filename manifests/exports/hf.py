"""Hugging Face datasets: Parquet files whose pictures decode by themselves, for TRL and everything that loads datasets.

    data/ENTRY-00000.parquet         key, entry, messages, images
    documents/ENTRY-00000.parquet    key, entry, text, images: running text, `<image>` where a picture stands
    README.md                        dataset card; configs `default`, `documents` and one per entry

`messages` have TRL's form, `[{role, content: [{type, text}]}]`: each part of type `image` is one picture, in order, its
`text` null. `images` is an empty list where there are none, never null. Rows are written as often as they are to be
seen. The files load with `load_dataset(FOLDER)` and with `load_dataset("parquet", data_files=...)`.

Source: datasets 5.2.0, features/features.py and packaged_modules/parquet/parquet.py; TRL 1.16.0, trl/data_utils.py.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Final

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from manifests.exports.base import ExportRow, Kind, Outcome, Part
from manifests.exports.media import Media
from manifests.exports.record import extension, readable
from manifests.exports.rows import representable
from manifests.exports.strict import NEUTRALISED, Conversation, kind_of
from shards.files import replacing, write_text
from shards.schema import IMAGE_MARKER

FILE_BYTES: Final = 384 << 20
"""Size of texts and pictures at which a file ends. Ours: the Hub asks for files of a few hundred megabytes."""
GROUP_ROWS: Final = 100
"""Rows of a row group: what `datasets` writes and reads at once where there are pictures."""
GROUP_BYTES: Final = 64 << 20
"""Size at which a row group ends all the same, so that large pictures need no large memory."""

_STRING: Final = {"dtype": "string", "_type": "Value"}
_PICTURES: Final = [{"_type": "Image"}]
_PARTS: Final = [{"type": _STRING, "text": _STRING}]
# lists in brackets are the spelling that all versions of `datasets` read
_DIALOGUE: Final = {"messages": [{"role": _STRING, "content": _PARTS}], "images": _PICTURES}
_DOCUMENT: Final = {"text": _STRING, "images": _PICTURES}
_ROLES: Final = {"human": "user", "gpt": "assistant"}

_Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class Hf:
    """Writes conversations and running texts; `size` is the number of bytes at which a file is ended."""

    kinds: ClassVar[frozenset[Kind]] = frozenset({"text", "single", "several", "interleaved", "document"})

    size: int = FILE_BYTES

    def __call__(self, parts: Sequence[Part], media: Media, out: Path) -> list[Outcome]:
        """Write files and card."""
        outcomes = [Outcome(part) for part in parts]
        files: dict[str, list[str]] = {}
        for outcome in outcomes:
            name = outcome.part.name
            dialogues = self._write(out, f"data/{name}", _DIALOGUE, _dialogues(outcome, media))
            documents = self._write(out, f"documents/{name}", _DOCUMENT, _documents(outcome, media))
            files.setdefault(outcome.part.entry.id, []).extend(dialogues + documents)
        write_text(out / "README.md", _card(files))
        return outcomes

    def _write(
        self, out: Path, stem: str, features: Mapping[str, object], rows: Iterable[tuple[_Row, int]]
    ) -> list[str]:
        columns = {"key": _STRING, "entry": _STRING, **features}
        info = json.dumps({"info": {"features": columns}})
        schema = pa.schema([(name, _arrow(feature)) for name, feature in columns.items()], {"huggingface": info})
        names: list[str] = []
        groups = _groups(rows)
        group = next(groups, None)
        while group is not None:
            names.append(f"{stem}-{len(names):05d}.parquet")
            used = 0
            with replacing(out / names[-1]) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as to:
                while group is not None and used < self.size:
                    to.write_table(pa.Table.from_pylist([row for row, _ in group], schema), row_group_size=GROUP_ROWS)
                    used += sum(size for _, size in group)
                    group = next(groups, None)
        return names


def _groups(rows: Iterable[tuple[_Row, int]]) -> Iterator[list[tuple[_Row, int]]]:
    group: list[tuple[_Row, int]] = []
    used = 0
    for row, size in rows:
        group.append((row, size))
        used += size
        if len(group) == GROUP_ROWS or used >= GROUP_BYTES:
            yield group
            group, used = [], 0
    if group:
        yield group


def _arrow(feature: object) -> pa.DataType:
    """Arrow type of a feature, as `datasets` stores it."""
    if isinstance(feature, list):
        return pa.list_(_arrow(feature[0]))
    assert isinstance(feature, dict)
    kind = feature.get("_type")
    if kind == "Value":
        return pa.string()
    if kind == "Image":
        return pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    return pa.struct([(name, _arrow(inner)) for name, inner in feature.items()])


def _dialogues(outcome: Outcome, media: Media) -> Iterator[tuple[_Row, int]]:
    part = replace(outcome.part, read=lambda: (row for row in outcome.part.read() if kind_of(row) != "document"))
    for done in range(part.times):
        counted = Outcome(part) if done else outcome
        for row, conversation in representable(part, Hf.kinds, counted):
            counted.write(conversation.adapted)
            yield _with_pictures(row, part, {"messages": _messages(conversation)}, media)


def _documents(outcome: Outcome, media: Media) -> Iterator[tuple[_Row, int]]:
    part = outcome.part
    for done in range(part.times):
        counted = Outcome(part) if done else outcome
        for row in part.read():
            if kind_of(row) == "document":
                text, broken = readable("\n\n".join(text for _, text in row.messages))
                counted.write([NEUTRALISED] * broken)
                yield _with_pictures(row, part, {"text": text}, media)


def _with_pictures(row: ExportRow, part: Part, columns: _Row, media: Media) -> tuple[_Row, int]:
    """The row of a table, and about how many bytes it has."""
    pictures = [{"bytes": media.data(image), "path": f"{image.sha256}.{extension(image)}"} for image in row.images]
    size = sum(image.size for image in row.images) + sum(len(text) for _, text in row.messages)
    return {"key": row.key, "entry": part.entry.id} | columns | {"images": pictures}, size


def _messages(conversation: Conversation) -> list[_Row]:
    system = [] if conversation.system is None else [("system", conversation.system)]
    turns = [(_ROLES[speaker], text) for speaker, text in conversation.turns]
    front = conversation.kind != "interleaved"
    return [{"role": role, "content": _parts(text, front=front)} for role, text in system + turns]


def _parts(text: str, *, front: bool) -> list[_Row]:
    """Parts of a message; the line break that stands behind a picture at the front is no part of the text."""
    first, *others = text.split(IMAGE_MARKER)
    parts: list[_Row] = [{"type": "text", "text": first}] if first else []
    for other in others:
        parts.append({"type": "image", "text": None})
        rest = other.removeprefix("\n") if front else other
        parts += [{"type": "text", "text": rest}] if rest else []
    return parts or [{"type": "text", "text": ""}]


def _card(files: Mapping[str, list[str]]) -> str:
    """Dataset card: which files make which config. Text is for people, the YAML above it for `datasets`."""
    every = [name for names in files.values() for name in names]
    configs: dict[str, list[str]] = {"default": [name for name in every if name.startswith("data/")]}
    configs["documents"] = [name for name in every if name.startswith("documents/")]
    for entry, names in files.items():
        dialogues = [name for name in names if name.startswith("data/")]
        configs.setdefault(entry, dialogues or names)
    listed = [
        {"config_name": name, "data_files": [{"split": "train", "path": paths}]}
        for name, paths in configs.items()
        if paths
    ]
    head = yaml.safe_dump({"task_categories": ["image-text-to-text"], "configs": listed}, sort_keys=False)
    return f"---\n{head}---\n\n{_TEXT}"


_TEXT: Final = """# A training mixture for vision-language models

Made by vlmix; `export.json` counts its rows per entry. Rows stand as often as they are to be seen in one epoch.

- Config `default`: conversations, `messages` in TRL's form and `images`.
- Config `documents`, where there are any: running texts, `text` and `images`; each `<image>` is one picture, in order.
- One config per entry of the recipe.
"""
