"""Rows as raw files, and pictures as archives."""

import gzip
import io
import json
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from mini_hub.case import Case, Made, Source
from mini_hub.zips import split, zipped


def concrete(glob: str) -> list[str]:
    """Names that a glob of the catalogue matches, in the manner of the hub."""
    folders = [_FOLDERS.get(part, part.replace("*", "cot")) for part in glob.split("/")[:-1]]
    last = glob.rsplit("/", maxsplit=1)[-1]
    if not last.endswith(".parquet") or "*" not in last:
        name = last.replace("*", "")
        return ["/".join([*folders, f"part{name}" if name.startswith(".") else name])]
    stem = last.removesuffix(".parquet").replace("-*", "").replace("*", "train") or "train"
    return ["/".join([*folders, f"{stem}-{number:05d}-of-00002.parquet"]) for number in range(2)]


_FOLDERS = {"**": "data", "*": "vqa"}


def names_of(source: Source, default: str) -> tuple[list[str], dict[str, Any]]:
    """The files of a source, and what to declare where its entry names none."""
    declared = source.entry.get("files") or default
    globs = [declared] if isinstance(declared, str) else list(declared)
    names = [name for glob in globs for name in concrete(glob)]
    return names, {} if source.entry.get("files") else {"files": default}


def in_files(source: Source, cases: Sequence[Case], default: str, schema: pa.Schema | None = None) -> Made:
    """The rows of a source in its files, as many in each; the ending says how they are written."""
    names, declared = names_of(source, default)
    made = Made({}, [], declared)
    for index, name in enumerate(names):
        share = cases[index * len(cases) // len(names) : (index + 1) * len(cases) // len(names)]
        made.files[name] = written(name, [case.raw for case in share], schema, backwards=index % 2 == 1)
        made.rows += [(name, row, case) for row, case in enumerate(share)]
        # what was kept back for evaluation lies beside it and must not leak in; a glob without `train` says take all
        if "train" in str(source.entry.get("files")) and (aside := _aside(name)) != name:
            made.files[aside] = written(aside, [share[0].raw], schema, backwards=False)
    return made


def _aside(name: str) -> str:
    folder, slash, last = name.rpartition("/")
    return f"{folder}{slash}{last.replace('train', 'validation')}"


def in_object(source: Source, cases: Sequence[tuple[str, Case]], default: str) -> Made:
    """One JSON object of rows by id."""
    names, declared = names_of(source, default)
    (name,) = names
    text = json.dumps({key: case.raw for key, case in cases}, ensure_ascii=False, indent=1)
    return Made({name: text.encode()}, [(name, row, case) for row, (_, case) in enumerate(cases)], declared)


def written(name: str, rows: list[Any], schema: pa.Schema | None = None, *, backwards: bool = False) -> bytes:
    """Rows as a file; its ending says how."""
    if name.endswith(".parquet"):
        return parquet(rows, schema, backwards=backwards)
    if name.endswith(".jsonl"):
        return b"".join(_lines(rows))
    return json.dumps(rows, ensure_ascii=False, indent=1).encode()


def _lines(rows: list[Any]) -> Iterator[bytes]:
    for index, row in enumerate(rows):
        # publishers write both; text mode would split lines at U+2028
        line = (
            row if isinstance(row, bytes) else json.dumps(row, ensure_ascii=index % 2 == 0).encode("utf-8", "replace")
        )
        yield line + (b"\r\n" if index % 5 == 4 else b"\n")
    yield b"\n"


def parquet(rows: list[Any], schema: pa.Schema | None = None, *, backwards: bool = False) -> bytes:
    """A Parquet file in small row groups; `backwards` turns the order of columns around, as it differs upstream."""
    names = schema.names if schema else list(dict.fromkeys(name for row in rows for name in row))
    names = names[::-1] if backwards else names
    columns = [pa.array([row.get(name) for row in rows], schema.field(name).type if schema else None) for name in names]
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns, names), buffer, row_group_size=7)
    return buffer.getvalue()


def packed(glob: str, members: Mapping[str, bytes]) -> dict[str, bytes]:
    """Files that a glob of archives matches: raw pieces of one tar.gz, several tar.gz, one tar.gz, tar or zip.

    `*.z*` means two zip files, one of them split.
    """
    if glob.endswith("*.z*"):
        ordered = sorted(members.items())
        first, last = split(dict(ordered[::2]))
        stem = glob[: -len("*.z*")]
        return {f"{stem}spot.zip": zipped(dict(ordered[1::2])), f"{stem}demon.z01": first, f"{stem}demon.zip": last}
    if glob.endswith(".zip"):
        return {glob.replace("*", "0"): zipped(members)}
    if glob.endswith(".*"):
        whole = gzip.compress(_tar(members), mtime=0)
        step = len(whole) // 3 + 1
        return {f"{glob[:-1]}{number:02d}": whole[number * step : (number + 1) * step] for number in range(3)}
    shares = 2 if "*" in glob else 1
    if glob.endswith("*"):
        whole = gzip.compress(_tar(members), mtime=0)
        return {
            f"{glob[:-1]}_part{number}": whole[number * len(whole) // 3 : (number + 1) * len(whole) // 3]
            for number in range(3)
        }
    ordered = sorted(members.items())
    return {
        glob.replace("*", f"images_{number}"): _compressed(glob, _tar(dict(ordered[number::shares])))
        for number in range(shares)
    }


def _compressed(glob: str, data: bytes) -> bytes:
    return data if glob.endswith(".tar") else gzip.compress(data, mtime=0)


def _tar(members: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for index, (name, data) in enumerate(sorted(members.items())):
            # `tar c .` writes a leading ./, and every archive has members that no record asks for
            info = tarfile.TarInfo(f"./{name}" if index % 3 == 0 else name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        info = tarfile.TarInfo("README.txt")
        info.size = len(b"unused")
        archive.addfile(info, io.BytesIO(b"unused"))
    return buffer.getvalue()
