"""Files that hold the rows of several sources, told apart by the first folder of the picture path."""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import PurePosixPath
from random import Random
from typing import Any

from mini_hub.case import Case, Made
from mini_hub.catalogue import repo_of
from mini_hub.files import written


def merge(entries: list[dict[str, Any]], made: Mapping[str, Made]) -> None:
    """Put the rows of sources of one file into it, in one order, and number each source's own rows by that order.

    A row without a picture, or with a path that no source asks for, is nobody's. A line that cannot be parsed has no
    path: each source of the file has to set it aside, so one is planted per file.
    """
    groups: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for entry in entries:
        if "only" in entry:
            groups[repo_of(entry), str(entry["files"])].append(entry)
    for (repo, file), members in groups.items():
        cases = [case for entry in members for _, _, case in made[entry["name"]].rows]
        cases = [case for case in cases if not isinstance(case.raw, bytes)] + [
            case for case in cases if isinstance(case.raw, bytes)
        ][:1]
        Random(f"mini-hub {repo} {file}").shuffle(cases)
        data = written(file, [case.raw for case in cases])
        for entry in members:
            rows = [(file, row, case) for row, case in enumerate(cases) if _is_of(case, entry["only"]["like"])]
            made[entry["name"]].files, made[entry["name"]].rows = {file: data}, rows


def overlap(entries: list[dict[str, Any]], made: Mapping[str, Made]) -> None:
    """Give a source whose globs match files of other sources of its repository the rows of these files too."""
    own = {entry["name"]: list(made[entry["name"]].rows) for entry in entries}
    for entry in entries:
        globs = entry.get("files", [])
        globs = [globs] if isinstance(globs, str) else globs
        for other in entries:
            if repo_of(other) == repo_of(entry) and other["name"] != entry["name"]:
                made[entry["name"]].rows += [
                    (file, row, case)
                    for file, row, case in own[other["name"]]
                    if file not in made[entry["name"]].files and any(PurePosixPath(file).match(glob) for glob in globs)
                ]


def _is_of(case: Case, globs: list[str]) -> bool:
    if isinstance(case.raw, bytes):
        return True
    picture = case.raw.get("image") if isinstance(case.raw, dict) else None
    picture = picture[0] if isinstance(picture, list) and picture else picture
    folders = tuple(glob.removesuffix("*") for glob in globs)
    return isinstance(picture, str) and picture.removeprefix("./").startswith(folders)
