"""Chart-to-Text: an index file, and a caption and a chart per line of it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from shards.errors import CatalogError
from sources.layouts.rows import UNREADABLE, unreadable
from sources.layouts.turns import exchange
from sources.layouts.value import RowError, shown
from sources.record import Defect, Member, Record
from sources.spec import Source

PROMPT: Final = "Summarize this chart."
"""Question where the source has no `prompt`. Ours."""

_FOLDERS: Final = {"two_col": "", "multi_col": "multiColumn/"}
_NAME: Final = re.compile(r"(two_col|multi_col)-(\d+)\.txt")
_BEFORE: Final = re.compile(r"[ \t]+([,.;:!?%)\]]|'s\b|n't\b)")
_AFTER: Final = re.compile(r"([(\[$])[ \t]+")


@dataclass(frozen=True, slots=True)
class ChartToText:
    """Lines `two_col-42.txt` or `multi_col-7.txt` of `dataset_split/*_index_mapping.csv`, with or without a header.

    The caption is the first line of `captions/42.txt` or `multiColumn/captions/7.txt` in the folder above the index's,
    which is also what `root` has to be: the charts are `imgs/42.png` and `multiColumn/imgs/7.png`. Numbers restart per
    folder, so the whole name names the sample. `files` names the captions too (they hold no rows of their own), or
    nobody would see that one was changed. Blanks before and behind punctuation, left by a tokenizer, are taken
    away: repair `detokenised`.
    """

    version: ClassVar[int] = 1
    evidence: ClassVar[str] = "upstream code"

    def __call__(self, path: Path, source: Source) -> Iterator[Record | Defect]:
        """One record or defect per line.

        Raises:
            CatalogError: `files` names no captions.
            SourceError: the index cannot be read.
        """
        if path.parent.name == "captions":
            return
        if not any(glob.endswith(".txt") for glob in source.files):
            raise CatalogError(
                f"source `{source.name}`: expected the captions in `files` beside `{path.name}`; add "
                "`.../captions/*.txt` and `.../multiColumn/captions/*.txt`, so that a changed caption is noticed"
            )
        try:
            lines = _lines(path)
        except UNREADABLE as error:
            raise unreadable(path, source, error) from error
        for row, line in enumerate(lines):
            try:
                yield _record(row, line, path.parent.parent, source)
            except RowError as error:
                yield Defect(row, error.reason, str(error))


def _lines(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8-sig").split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    return lines[1:] if lines and ".txt" not in lines[0] else lines


def _record(row: int, line: str, folder: Path, source: Source) -> Record:
    match = _NAME.fullmatch(line.strip())
    if match is None:
        raise RowError("broken_record", f"expected a name such as `two_col-42.txt`, found {shown(line)}")
    inside = _FOLDERS[match[1]]
    captions = folder / inside / "captions" / f"{match[2]}.txt"
    try:
        caption = captions.read_text(encoding="utf-8-sig").strip().split("\n")[0].strip()
    except (OSError, ValueError) as error:
        raise RowError("caption_missing", f"expected text in `{captions.name}`, found {error}") from error
    plain = _AFTER.sub(r"\1", _BEFORE.sub(r"\1", caption))
    return Record(
        row=row,
        messages=exchange(PROMPT if source.prompt is None else source.prompt, plain),
        pictures=(Member(f"{inside}imgs/{match[2]}.png"),),
        name=f"{match[1]}-{match[2]}",
        repairs=("detokenised",) if plain != caption else (),
    )
