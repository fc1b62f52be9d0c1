"""Writes the miniature hub: repositories, pictures behind addresses, an overlay of the catalogue and the truth."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from mini_hub.case import HOST, Case, Made, Source
from mini_hub.catalogue import dump, entries, overlay, repo_of
from mini_hub.families import FAMILIES
from mini_hub.files import packed
from mini_hub.shared import merge, overlap

TRUTH = pa.schema(
    [
        ("source", pa.string()),
        ("file", pa.string()),
        ("row", pa.int64()),  # in its file, from 0
        ("part", pa.string()),  # empty where the row is one sample
        ("expected", pa.string()),  # `sample`, or the reason of the quarantine
        ("messages", pa.string()),  # JSON list of {role, text}; empty list for quarantined rows
        ("pictures", pa.int32()),
        ("sha256", pa.list_(pa.string())),  # of each picture, in order
        ("videos", pa.list_(pa.string())),
        ("trap", pa.string()),
    ]
)


@dataclass
class Repo:
    """Files of one repository; archives are packed when every source has put its pictures in."""

    files: dict[str, bytes] = field(default_factory=dict)
    archives: dict[str, dict[str, bytes]] = field(default_factory=lambda: defaultdict(dict))

    def add(self, name: str, data: bytes) -> None:
        if self.files.setdefault(name, data) != data:
            raise ValueError(f"two sources write `{name}`")


@dataclass(frozen=True)
class Summary:
    """Sources by layout, and those that were left out with the reason."""

    sources: Mapping[str, list[str]]
    left_out: Mapping[str, str]


def build(catalog: Path, out: Path, host: str = HOST) -> Summary:
    """Write `out`/hub, `out`/web, `out`/pictures, `out`/catalog/mini_hub.yaml, `out`/beside.json and truth.parquet.

    `host` is what URL lists point to, where `out`/web is to be served. `out`/pictures holds what a user has to bring
    along: the picture sets of `pictures_from`. `beside.json` has, for each source on no hub, the globs of the pictures
    in the repository that stands for its publisher.
    """
    wanted = [entry for entry in entries(catalog) if entry.get("layout") in FAMILIES]
    left_out = {entry["name"]: _why(entry) for entry in entries(catalog) if entry.get("layout") not in FAMILIES}
    layouts: dict[str, list[str]] = defaultdict(list)
    for entry in wanted:
        layouts[entry["layout"]].append(entry["name"])
    made = {
        entry["name"]: FAMILIES[entry["layout"]](
            Source(entry, layouts[entry["layout"]].index(entry["name"]), len(layouts[entry["layout"]]), host)
        )
        for entry in wanted
    }
    merge(wanted, made)
    overlap(wanted, made)
    repos: dict[str, Repo] = defaultdict(Repo)
    beside = {entry["name"]: _place(entry, made[entry["name"]], repos[repo_of(entry)], out) for entry in wanted}
    commits = {name: _write_repo(out / "hub" / name, name, repo) for name, repo in repos.items()}
    for case in (case for item in made.values() for _, _, case in item.rows):
        for path, data in case.web.items():
            _write(out / "web" / path.lstrip("/"), data)
    overlays = [
        overlay(entry, made[entry["name"]].declared, len(made[entry["name"]].rows), commits[repo_of(entry)])
        for entry in wanted
    ]
    _write(out / "catalog" / "mini_hub.yaml", dump(overlays).encode())
    _write(out / "beside.json", json.dumps(beside, indent=1, sort_keys=True).encode())
    pq.write_table(
        pa.Table.from_pylist([row for name in made for row in _truth(name, made[name])], TRUTH), out / "truth.parquet"
    )
    return Summary(layouts, left_out)


def _why(entry: Mapping[str, Any]) -> str:
    return f"no family for layout `{entry['layout']}`" if entry.get("layout") else "its records are unknown: no layout"


def _place(entry: Mapping[str, Any], made: Made, repo: Repo, out: Path) -> list[str]:
    """Put files and pictures of a source where its publisher has them; gives the globs that find the pictures."""
    for name, data in made.files.items():
        repo.add(name, data)
    declared = {**entry, **made.declared}
    root, archive = declared.get("root", "."), declared.get("archive")
    pictures = {path: data for _, _, case in made.rows for path, data in case.beside.items()}
    if archive:
        repo.archives[archive] |= pictures
        return made.also
    if "pictures_from" in declared:
        for path, data in pictures.items():
            _write(out / "pictures" / root / path, data)
        return made.also
    for path, data in pictures.items():
        repo.add(f"{root}/{path}".removeprefix("./"), data)
    globs = {f"{root}/{path.split('/')[0]}/**/*" if "/" in path else f"{root}/*" for path in pictures}
    return sorted(made.also + [glob.removeprefix("./") for glob in globs])


def _write_repo(folder: Path, name: str, repo: Repo) -> str:
    """Write a repository and give its commit, which follows from names and bytes as on the server of the tests."""
    for glob, members in repo.archives.items():
        for file, data in packed(glob, members).items():
            repo.add(file, data)
    for file, data in repo.files.items():
        _write(folder / file, data)
    blobs = {file: hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest() for file, data in repo.files.items()}
    return hashlib.sha1(json.dumps([name, sorted(blobs.items())]).encode()).hexdigest()


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _truth(source: str, made: Made) -> list[dict[str, Any]]:
    return [row for file, index, case in made.rows for row in _expected(source, file, index, case)]


def _expected(source: str, file: str, index: int, case: Case) -> list[dict[str, Any]]:
    place = {"source": source, "file": file, "row": index, "trap": case.trap}
    return [
        {
            **place,
            "part": item.part,
            "expected": item.outcome,
            "messages": json.dumps([{"role": role, "text": text} for role, text in item.messages], ensure_ascii=False),
            "pictures": len(item.sha256),
            "sha256": list(item.sha256),
            "videos": list(item.videos),
        }
        for item in case.expected
    ]
