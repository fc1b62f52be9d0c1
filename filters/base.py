"""What a filter is: a frozen dataclass that turns a batch of samples into score columns of equal height."""

from collections.abc import Mapping
from typing import ClassVar, Protocol, runtime_checkable

import polars as pl
from polars._typing import PolarsDataType

from filters.texts import Texts
from shards.picture import Picture

Columns = Mapping[str, PolarsDataType]


@runtime_checkable
class Filter(Protocol):
    """Measures samples; writes values, never verdicts.

    `reads` names the columns of `shards.schema.SAMPLE` that the batch must hold, `writes` the score columns with
    their dtypes. Raise `version` whenever the same input may give another value. The dataclass fields are the
    parameters; with class name and version they make the fingerprint of the output.

    A null means `not_applicable` (nothing of this kind in the sample) unless the filter also returns a String column
    `NAME_state` with the state of each null: `not_applicable`, `no_answer` or `error`.
    """

    reads: ClassVar[tuple[str, ...]]
    version: ClassVar[int]

    @property
    def writes(self) -> Columns:
        """Score columns with their dtypes; a ClassVar in all filters but those whose parameters name the score."""
        ...

    def __call__(self, batch: pl.DataFrame) -> pl.DataFrame:
        """(n, columns in `reads`) frame to (n, columns in `writes`) frame, same order."""
        ...


class TextFilter(Protocol):
    """Measures the messages of samples; all text filters of a run share one reading of them.

    Otherwise as `Filter`: `writes` and `version` mean the same, and so does a null.
    """

    writes: ClassVar[Columns]
    version: ClassVar[int]

    def __call__(self, texts: Texts) -> pl.DataFrame:
        """Texts of n samples to (n, columns in `writes`) frame, same order."""
        ...


class PictureFilter(Protocol):
    """Measures one decoded picture; every picture filter of a run shares one decode.

    `writes` names the columns of the per-picture table, `reduces` the sample scores made from it: score name to
    (column, `min` | `max` | `first`).
    """

    writes: ClassVar[Columns]
    reduces: ClassVar[Mapping[str, tuple[str, str]]]
    version: ClassVar[int]

    def __call__(self, picture: Picture) -> tuple[float | int | None, ...]:
        """Values in the order of `writes`; None where the measure does not apply."""
        ...
