"""What one person said about one sample, and the file that keeps it."""

import fcntl
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from shards.errors import StoreError

ANSWERS_FILE: Final = "answers.jsonl"

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


@dataclass(frozen=True, slots=True)
class Journal:
    """The answers of all reviewers in the order in which they came: one JSON document a line, never rewritten."""

    folder: Path

    @property
    def path(self) -> Path:
        """The file; absent before the first answer."""
        return self.folder / ANSWERS_FILE

    def append(self, answers: Iterable[Answer]) -> int:
        """Write answers durably, all or none, and those whose `answer_id` and `item` are there already not again.

        Returns:
            How many were written.

        Raises:
            StoreError: the disk is full or the folder cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with self.path.open("a+b") as handle:
                fcntl.flock(handle, fcntl.LOCK_EX)
                return _append(handle.fileno(), self._read(), answers)
        except OSError as error:
            remedy = "free space; the answer is not written, give it again"
            raise StoreError(f"cannot write `{self.path}`: {error.strerror}; {remedy}") from error

    def read(self) -> list[Answer]:
        """All answers, the oldest first; a line that a killed process cut is left out.

        Raises:
            StoreError: a whole line is no answer.
        """
        return list(self._read())

    def _read(self) -> Iterator[Answer]:
        if not self.path.is_file():
            return
        with self.path.open("rb") as handle:
            for number, line in enumerate(handle, start=1):
                if not line.endswith(b"\n"):
                    return
                try:
                    yield Answer.model_validate_json(line)
                except ValidationError as error:
                    found = error.errors()[0]
                    raise StoreError(
                        f"`{self.path}`, line {number}: no answer ({found['msg']}); mend or remove the line"
                    ) from error


def _append(file: int, before: Iterable[Answer], answers: Iterable[Answer]) -> int:
    known = {(answer.answer_id, answer.item) for answer in before}
    fresh = [answer for answer in answers if (answer.answer_id, answer.item) not in known]
    lines = "".join(answer.model_dump_json() + "\n" for answer in fresh).encode()
    end = _end_of_last_line(file)
    os.ftruncate(file, end)  # what a killed process left of its last line
    try:
        written = 0
        while written < len(lines):
            written += os.write(file, lines[written:])
        os.fsync(file)
    except OSError:
        os.ftruncate(file, end)
        raise
    return len(fresh)


def _end_of_last_line(file: int) -> int:
    """Bytes up to the last line feed; the file is small, and only its end is read."""
    end = os.fstat(file).st_size
    while end:
        start = max(0, end - 4096)
        place = os.pread(file, end - start, start).rfind(b"\n")
        if place >= 0:
            return start + place + 1
        end = start
    return 0


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
