"""A judge's grade guessed by a small linear model that was distilled from its answers; see docs/judge.md."""

import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from filters.answer import ANSWER_ROLES, answers, has_text, roles
from filters.base import Columns, Filter, TextFilter
from filters.char_run import CharRuns
from filters.duplicates import DuplicateShares
from filters.holdings import Holdings
from filters.lengths import Lengths
from filters.loops import Loops
from filters.texts import read_texts
from filters.turns import Turns
from shards.complaint import complaint
from shards.errors import UsageError
from shards.files import file_sha256, write_bytes
from shards.schema import ROLES

if TYPE_CHECKING:
    from scipy.sparse import csr_array

FORMAT: Final = 1
"""Version of the file and of the n-grams; raised whenever the same file may give another guess."""

BEST: Final = 10.0

_MEASURES: Final[tuple[Filter, ...]] = (Holdings(),)
_TEXT_MEASURES: Final[tuple[TextFilter, ...]] = (Lengths(), Turns(), Loops(), DuplicateShares(), CharRuns())
_READ: Final[tuple[Filter | TextFilter, ...]] = (*_MEASURES, *_TEXT_MEASURES)
_NAMES: Final = tuple(sorted(name for item in _READ for name in item.writes))
_CELL: Final = 0.3
"""Weight of one measure's cell in a row, where all n-grams together weigh 1. Ours: of 0.1 to 3 none is better."""

Floats = npt.NDArray[np.float64]
Edges = tuple[Floats, ...]


class Head(BaseModel):
    """What a student's file says about itself, and how good the copy is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int
    criterion: str
    judge: str
    """Whose grades were learnt."""
    prompts: dict[str, str]
    """Prompts that the judge answered, with the SHA-256 of their texts."""
    measures: dict[str, int]
    """Filters whose scores are read, with their versions."""
    bias: float
    """Grade of a row that has nothing of what was learnt."""
    half_width: float
    """Grades between the guess and either end of its interval."""
    seed: int
    alpha: float
    trained_on: str
    """SHA-256 of the sorted keys of the rows that were learnt from."""
    report: dict[str, JsonValue]
    """Figures on rows that were held out, see flows/distilling.py."""


class Weights(NamedTuple):
    """A student as it computes.

    `weights`: (2**BITS + cells,) float32, of n-grams and then of cells; `edges`: for each measure in the order of
    `_NAMES` the values at which a cell ends.
    """

    head: Head
    weights: npt.NDArray[np.float32]
    edges: Edges


@dataclass(frozen=True, slots=True)
class Student:
    """Scores `student_X`, `student_X_low`, `student_X_high`: a guess of the judge's grade X, 0..10, and its interval.

    The interval is the guess and a constant on either side that held 90 % of the rows kept aside for it (split
    conformal prediction): nine in ten of all rows, not nine in ten of the bad ones. Null where the sample has no text.

    Source: ours; the idea is FineWeb-Edu's (arXiv 2406.17557, section 4), the interval Lei et al. 2018.
    """

    reads: ClassVar[tuple[str, ...]] = ("messages", "images", "videos")
    version: ClassVar[int] = FORMAT

    criterion: str
    sha256: str
    """Of the file, 64 hex digits: what names the output."""
    path: str = field(compare=False, metadata={"names_output": False})
    """Where it lies on this machine."""

    @classmethod
    def of(cls, path: Path) -> "Student":
        """The student in a file that `vlmix judge distil` wrote.

        Raises:
            UsageError: no such file, it is no student, or its features are not those of this version.
        """
        if not path.is_file():
            raise UsageError(f"student `{path}` is no file; `vlmix judge distil` makes one")
        sha256 = file_sha256(path)
        return cls(_load(str(path), sha256).head.criterion, sha256, str(path.absolute()))

    @property
    def head(self) -> Head:
        """What the file says about itself."""
        return _load(self.path, self.sha256).head

    @property
    def writes(self) -> Columns:
        """Three score columns, named after the criterion."""
        return {f"student_{self.criterion}{end}": pl.Float64 for end in ("", "_low", "_high")}

    def __call__(self, batch: pl.DataFrame) -> pl.DataFrame:
        """Scores of each sample."""
        loaded = _load(self.path, self.sha256)
        grades = pl.Series(guess(design(batch, loaded.edges), loaded.weights, loaded.head.bias), dtype=pl.Float64)
        applies = batch.select(has_text()).to_series()
        half = loaded.head.half_width
        ends = (grades, (grades - half).clip(0.0, BEST), (grades + half).clip(0.0, BEST))
        return pl.select([pl.when(applies).then(end).alias(name) for name, end in zip(self.writes, ends, strict=True)])


def versions() -> dict[str, int]:
    """Filters whose scores a student reads, with their versions."""
    return {type(item).__name__: item.version for item in _READ}


def measures(batch: pl.DataFrame) -> Floats:
    """(n, m) values of the cheap scores that a student reads, NaN where null; columns as in `_NAMES`."""
    texts = read_texts(batch)
    found = [item(batch) for item in _MEASURES] + [item(texts) for item in _TEXT_MEASURES]
    frame = pl.concat(found, how="horizontal")
    return frame.select(pl.col(list(_NAMES)).cast(pl.Float64)).fill_null(float("nan")).to_numpy()


def design(batch: pl.DataFrame, edges: Edges) -> "csr_array":
    """(n, 2**BITS + cells) rows of a student's linear model: n-grams that are there, and each measure's cell."""
    from scipy.sparse import csr_array, hstack

    from filters.ngrams import BITS, distinct_ngrams

    others = [role for role in ROLES if role not in ANSWER_ROLES]
    said = batch.select(answers().list.join("\n").alias("answer"), roles(others).list.join("\n").alias("question"))
    buckets, ends = distinct_ngrams(*_codes(said["answer"]), *_codes(said["question"]))
    sizes = np.diff(ends)
    # a row of many n-grams weighs as much as one of few
    shares = np.repeat(1.0 / np.sqrt(np.maximum(sizes, 1)), sizes)
    words = csr_array((shares, buckets, ends), shape=(batch.height, 1 << BITS))
    return csr_array(hstack([words, _cells(measures(batch), edges)], format="csr"))


def _codes(texts: pl.Series) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
    """Code points of all texts, and where each starts; null is the empty text."""
    flat = texts.fill_null("").to_list()
    starts = np.zeros(len(flat) + 1, dtype=np.int64)
    np.cumsum([len(text) for text in flat], out=starts[1:])
    return np.frombuffer("".join(flat).encode("utf-32-le"), dtype="<u4"), starts


def num_cells(edges: Edges) -> int:
    """Cells of all measures: one more than there are edges, and one for null."""
    return sum(len(each) + 2 for each in edges)


def _cells(values: Floats, edges: Edges) -> "csr_array":
    """(n, cells) one entry for each measure: the cell that its value lies in."""
    from scipy.sparse import csr_array

    first = np.cumsum([0, *(len(each) + 2 for each in edges)])
    cells = np.empty(values.shape, dtype=np.int64)
    for column, each in enumerate(edges):
        found = np.searchsorted(each, values[:, column], side="right")
        cells[:, column] = first[column] + np.where(np.isnan(values[:, column]), len(each) + 1, found)
    ends = np.arange(len(values) + 1) * len(edges)
    return csr_array((np.full(cells.size, _CELL), cells.ravel(), ends), shape=(len(values), int(first[-1])))


def guess(rows: "csr_array", weights: npt.NDArray[np.float32], bias: float) -> Floats:
    """Grades 0..10 of rows; each is added up by itself and in order, so a batch may be cut anywhere."""
    found: Floats = np.clip(rows @ weights.astype(np.float64) + bias, 0.0, BEST)
    return found


def write_student(path: Path, made: Weights) -> None:
    """Write a student as a NumPy archive of plain numbers, with its head as UTF-8 JSON; equal ones have equal bytes."""
    out = io.BytesIO()
    np.savez(
        out,
        head=np.frombuffer(made.head.model_dump_json().encode(), dtype=np.uint8),
        weights=made.weights,
        edges=np.concatenate(made.edges),
        sizes=np.array([len(each) for each in made.edges], dtype=np.int64),
    )
    write_bytes(path, out.getvalue())


@cache
def _load(path: str, sha256: str) -> Weights:
    data = Path(path).read_bytes()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise UsageError(f"student `{path}` has changed while it was in use; run the command again")
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            head = Head.model_validate_json(stored["head"].tobytes())
            edges = np.split(stored["edges"], np.cumsum(stored["sizes"])[:-1])
            made = Weights(head, stored["weights"], tuple(edges))
    except ValidationError as error:
        raise UsageError(f"student `{path}` is not understood: {complaint(error)}") from error
    except (
        OSError,
        ValueError,
        TypeError,
        KeyError,
        EOFError,
        zipfile.BadZipFile,
    ) as error:  # what NumPy raises for other kinds of files
        raise UsageError(f"student `{path}` cannot be read: it is no file of `vlmix judge distil`") from error
    _check(path, made)
    return made


def _check(path: str, made: Weights) -> None:
    """Stop where the file is from other features than those that would be computed."""
    from filters.ngrams import BITS

    expected: Mapping[str, int] = {"format": FORMAT, **versions()}
    found: Mapping[str, int] = {"format": made.head.format, **made.head.measures}
    if expected != found:
        changed = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
        raise UsageError(f"student `{path}` was made with another version of {', '.join(changed)}; distil it again")
    if len(made.edges) != len(_NAMES) or made.weights.shape != ((1 << BITS) + num_cells(made.edges),):
        raise UsageError(f"student `{path}` is damaged: its weights do not fit its features; distil it again")
