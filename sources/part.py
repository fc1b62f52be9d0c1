"""A file that is on its way: the bytes that came, and what the server said of the file they belong to."""

from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict

from shards.files import write_text
from sources.transfer import size_of


class Begun(BaseModel):
    """What the server said when a part was begun; `sha256` is set once the part is whole and checked."""

    model_config = ConfigDict(frozen=True)

    size: int | None = None
    """Bytes of the whole file; null where nobody says."""
    etag: str = ""
    modified: str = ""
    strong: str = ""
    """The tag or date that the file cannot change without; empty where there is none."""
    sha256: str = ""

    @classmethod
    def by(cls, headers: Mapping[str, str], size: int | None) -> Self:
        """What an answer with a whole file of `size` bytes says of it.

        Source of `strong`: RFC 9110, sections 8.8.2.2 and 13.1.5: a tag that is not weak, or a date at least a second
        before the answer.
        """
        etag, modified = headers.get("etag", ""), headers.get("last-modified", "")
        try:
            age = parsedate_to_datetime(headers.get("date", "")) - parsedate_to_datetime(modified)
            old = age.total_seconds() >= 1
        except (ValueError, TypeError):
            old = False
        strong = etag if etag and not etag.startswith("W/") else modified if old else ""
        return cls(size=size, etag=etag, modified=modified, strong=strong)

    def continued(self, headers: Mapping[str, str], start: int) -> bool:
        """Whether an answer holds the bytes from `start` on of the same file; some servers overlook `If-Range`."""
        said = (("etag", self.etag), ("last-modified", self.modified))
        same = all(headers.get(name, value) == value for name, value in said if value)
        place, _, size = headers.get("content-range", "").partition("/")
        return same and place.startswith(f"bytes {start}-") and size in {"*", str(self.size)}


@dataclass(frozen=True, slots=True)
class Part:
    """The bytes in `path`; what is known of them lies beside it and is there before they are."""

    path: Path

    @property
    def size(self) -> int:
        """Bytes that came."""
        return max(0, size_of(self.path))

    @property
    def begun(self) -> Begun:
        """What is known of the file; nothing where no part was begun."""
        return Begun.model_validate_json(self._state.read_bytes()) if self._state.is_file() else Begun()

    @property
    def whole(self) -> bool:
        """Whether all bytes came, as far as can be known without asking."""
        return self.begun.size == size_of(self.path)

    def note(self, known: Begun) -> None:
        """Write down what is known."""
        write_text(self._state, known.model_dump_json())

    def move(self, target: Path) -> None:
        """Give the bytes their name, unless a killed run came to that."""
        if self.path.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            self.path.replace(target)
        self._state.unlink()

    def drop(self) -> None:
        """Throw the bytes away, and then what is known of them."""
        self.path.unlink(missing_ok=True)
        self._state.unlink(missing_ok=True)

    @property
    def _state(self) -> Path:
        return self.path.with_suffix(".json")
