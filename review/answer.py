"""What one person said about one sample, and the files that keep it.

In a folder all write to `answers.jsonl`. At a URL nothing keeps writers on two machines apart, so each working folder
has a file of its own there, `answers-WRITER.jsonl`, and everybody reads all of them.
"""

import fcntl
import heapq
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, BinaryIO, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from shards.errors import StoreError, VlmixError
from shards.remote import inside, publish

ANSWERS_FILE: Final = "answers.jsonl"

Place = Mapping[str, int]
"""How far somebody has read: bytes by name of a file; empty for nothing."""

Choice = Literal["keep", "drop", "skip", "undo"]
"""`skip` leaves the item to others; `undo` takes the reviewer's last answer about this item back."""


class Answer(BaseModel):
    """One answer; the last one of a reviewer about an item counts.

    `seen` is `review.item.shown` of the item as the reviewer saw it: an answer about a row that changed since does not
    count. `settles` marks the word of a person who decides where others disagree. `bulk` is shared by the answers that
    one act gave to a whole cluster or template, null for single ones. `answer_id` is the client's own name of the act,
    so that a request sent twice is written once.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    answer_id: Annotated[str, Field(min_length=1, max_length=64)]
    item: Annotated[str, Field(pattern=r"^r[0-9a-f]{20}$")]
    entry: str
    key: str
    seen: Annotated[str, Field(pattern=r"^[0-9a-f]{20}$")]
    choice: Choice
    reviewer: Annotated[str, Field(min_length=1, max_length=80)]
    at: AwareDatetime
    via: Literal["page", "csv", "jsonl", "parquet", "label-studio", "html"]
    note: Annotated[str, Field(max_length=4000)] = ""
    settles: bool = False
    bulk: str | None = None


@dataclass(slots=True)
class Journal:
    """The answers of all reviewers in the order in which they came: one JSON document a line, never rewritten.

    Those in several files are in the order of their times, and of each file in its own.

    One object may serve several threads, and several processes may write to one folder. It remembers how far it has
    read, so that a long-lived one reads only what others wrote since.
    """

    folder: Path
    _known: set[tuple[str, str]] = field(default_factory=set, init=False, repr=False, compare=False)
    _seen: tuple[int, int] = field(default=(0, 0), init=False, repr=False, compare=False)  # inode, offset
    _others: Place = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def path(self) -> Path:
        """The file that is written here; absent before the first answer."""
        found = inside(self.folder / ANSWERS_FILE)
        return self.folder / (f"answers-{found[0].writer}.jsonl" if found else ANSWERS_FILE)

    def append(self, answers: Iterable[Answer]) -> int:
        """Write answers durably, all or none, and those whose `answer_id` and `item` are there already not again.

        Returns:
            How many were written.

        Raises:
            StoreError: the disk is full or the folder cannot be written, or a line of the file is no answer.
        """
        path = self.path
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with path.open("a+b") as handle:
                # every call opens the file anew, so the lock holds between threads, too
                fcntl.flock(handle, fcntl.LOCK_EX)
                end = self._catch_up(handle, path)
                fresh = {_act(answer): answer for answer in answers if _act(answer) not in self._known}
                written = _write(handle.fileno(), path, end, fresh.values())
                if not end:
                    _sync_folder(self.folder)
                self._known |= fresh.keys()
                self._seen = (os.fstat(handle.fileno()).st_ino, end + written)
                return len(fresh)
        except OSError as error:
            remedy = "free space; the answer is not written, give it again"
            raise StoreError(f"cannot write `{path}`: {error.strerror}; {remedy}") from error

    def read(self) -> list[Answer]:
        """All answers, the oldest first; a line that a killed process cut is left out.

        Raises:
            StoreError: a whole line is no answer.
        """
        return self.read_after({})[0]

    def read_after(self, place: Place) -> tuple[list[Answer], Place]:
        """Answers behind a place, and the place to go on from when more are there; begin with an empty one.

        Raises:
            StoreError: a whole line is no answer.
        """
        return self._read(sorted(self.folder.glob("answers*.jsonl")), place)

    def _read(self, paths: Iterable[Path], place: Place) -> tuple[list[Answer], Place]:
        found, ends = [], dict(place)
        for path in paths:
            with path.open("rb") as handle:
                lines = list(_lines(handle, path, place.get(path.name, 0)))
            found.append([answer for answer, _ in lines])
            if lines:
                ends[path.name] = lines[-1][1]
        return list(heapq.merge(*found, key=lambda answer: answer.at)), ends

    def _catch_up(self, handle: BinaryIO, path: Path) -> int:
        """Learn what is in the files; returns the end of the last whole line of the one that is written here."""
        inode, offset = self._seen
        status = os.fstat(handle.fileno())
        if status.st_ino != inode or status.st_size < offset:  # another file: somebody mended it by hand
            self._known, self._others, offset = set(), {}, 0
        told, self._others = self._read(
            (each for each in self.folder.glob("answers*.jsonl") if each != path), self._others
        )
        self._known |= {_act(answer) for answer in told}
        for answer, end in _lines(handle, path, offset):
            self._known.add(_act(answer))
            offset = end
        return offset


def _lines(handle: BinaryIO, path: Path, offset: int) -> Iterator[tuple[Answer, int]]:
    """Answers from a byte on, each with the end of its line."""
    handle.seek(offset)
    for line in handle:
        if not line.endswith(b"\n"):
            return
        try:
            answer = Answer.model_validate_json(line)
        except ValidationError as error:
            found, where = error.errors()[0]["msg"], f"`{path}`, line {_line_number(path, offset)}"
            raise StoreError(f"{where}: no answer ({found}); mend or remove the line") from error
        offset += len(line)
        yield answer, offset


def _sync_folder(folder: Path) -> None:
    """Make the name of a new file as durable as what is in it."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _act(answer: Answer) -> tuple[str, str]:
    return answer.answer_id, answer.item


def _line_number(path: Path, offset: int) -> int:
    with path.open("rb") as handle:
        return handle.read(offset).count(b"\n") + 1


def _write(file: int, path: Path, end: int, answers: Iterable[Answer]) -> int:
    """Put answers behind byte `end`, over what a killed process left of its last line; returns the bytes written.

    In the working folder of a store at a URL they are written when they are there, too.
    """
    lines = "".join(answer.model_dump_json() + "\n" for answer in answers).encode()
    os.ftruncate(file, end)
    try:
        written = 0
        while written < len(lines):
            written += os.write(file, lines[written:])
        os.fsync(file)
        publish(path, path)
    except (OSError, VlmixError):
        os.ftruncate(file, end)
        raise
    return len(lines)


def latest(answers: Iterable[Answer]) -> Mapping[tuple[str, str], Answer]:
    """The answer that counts of each (reviewer, item); none where it was taken back."""
    standing: dict[tuple[str, str], Answer] = {}
    for answer in answers:
        place = (answer.reviewer, answer.item)
        if answer.choice == "undo":
            standing.pop(place, None)
        else:
            standing[place] = answer
    return standing
