"""The messages of a batch as flat arrays, read once for all text filters of a run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
from polars._typing import PolarsDataType

from shards.schema import IMAGE_MARKER, ROLES, VIDEO_MARKER

Codes = npt.NDArray[np.uint32]
Indices = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

SYSTEM, USER, ASSISTANT, DOCUMENT = range(len(ROLES))
"""Values of `Texts.role`."""

_REDUCE: Final = {"max": np.maximum, "min": np.minimum, "sum": np.add}


@dataclass(frozen=True, eq=False)
class Texts:
    """Messages of a batch of n samples, in order, without picture and video markers.

    An answer is an assistant turn or a document. A sample with text and without an answer (a question alone) counts
    as one that has the empty answer.

    Attributes:
        num_samples: n.
        sample: (m,) int64, row in the batch of the sample that message i belongs to; ascending.
        role: (m,) uint8, index in `shards.schema.ROLES`.
        codes: (c,) uint32, Unicode code points of all messages.
        starts: (m + 1,) int64; message i is `codes[starts[i]:starts[i + 1]]`.
    """

    num_samples: int
    sample: Indices
    role: npt.NDArray[np.uint8]
    codes: Codes
    starts: Indices
    _strings: pa.LargeStringArray
    _marked: Indices

    @cached_property
    def strings(self) -> pl.Series:
        """(m,) String: the same messages for what works on strings."""
        if not len(self._marked):
            return self.raw
        plain = self.raw.gather(self._marked).str.replace_all(f"{IMAGE_MARKER}|{VIDEO_MARKER}", "")
        return self.raw.clone().scatter(self._marked, plain)

    @cached_property
    def raw(self) -> pl.Series:
        """(m,) String: the same messages with their markers, in which places are those of the sample."""
        found = pl.from_arrow(self._strings)
        assert isinstance(found, pl.Series)
        return found

    @cached_property
    def prose(self) -> npt.NDArray[np.int32]:
        """(rows, k) sizes of the answers, see `filters.prose.measure`."""
        from filters import prose

        return prose.measure(self.codes, self.starts, self.answers)

    @cached_property
    def answers(self) -> Indices:
        """(k,) int64: the messages that are answers, ascending."""
        return np.flatnonzero((self.role == ASSISTANT) | (self.role == DOCUMENT))

    @cached_property
    def documents(self) -> tuple[Codes, Indices]:
        """The answers of each sample as one text, a blank line between them: code points, and (n + 1,) starts."""
        from filters.documents import joined

        return joined(self.codes, self.starts, self.answers, self.sample, self.num_samples)

    @cached_property
    def applies(self) -> Mask:
        """(n,) bool: whether text filters apply: an assistant turn, empty ones too, or any text but white space."""
        from filters.decoding import any_text

        said = (self.role == ASSISTANT) | any_text(self.codes, self.starts)
        found = np.zeros(self.num_samples, dtype=np.bool_)
        found[self.sample[said]] = True
        return found

    @cached_property
    def _some_apply(self) -> pl.Series | None:
        """(n,) Boolean: where text filters apply; None if they do everywhere."""
        return None if self.applies.all() else pl.Series(self.applies)

    def masked(self, values: npt.NDArray[np.generic] | pl.Series, dtype: PolarsDataType) -> pl.Series:
        """(n,) values of the samples as a column, null where no text filter applies."""
        # not `pl.when`: a query for each of some 60 columns takes as long as a kernel
        series = pl.Series(values)
        if self._some_apply is not None:
            series = series.zip_with(self._some_apply, pl.Series([None], dtype=series.dtype))
        return series.cast(dtype)

    def document_frame(self, values: npt.NDArray[np.float64], columns: Mapping[str, PolarsDataType]) -> pl.DataFrame:
        """(n, c) frame of (c, n) values of the documents; null where no text filter applies."""
        found = zip(columns.items(), values, strict=True)
        return pl.DataFrame([self.masked(row, dtype).alias(name) for (name, dtype), row in found])

    def reduced(
        self,
        values: npt.NDArray[np.generic],
        messages: Indices,
        how: Literal["max", "min", "sum"],
        *,
        empty: float = 0,
    ) -> npt.NDArray[np.generic]:
        """(n,) one value for each sample, as `per_sample` says; nobody asks whether text filters apply."""
        owner = self.sample[messages]
        has = np.zeros(self.num_samples, dtype=np.bool_)
        has[owner] = True
        # the identity of each reduction: the first value replaces it
        start = {"max": values.min(initial=0), "min": values.max(initial=0), "sum": 0}[how] if len(values) else 0
        found = np.full(self.num_samples, start, dtype=values.dtype if len(values) else np.float64)
        _REDUCE[how].at(found, owner, values)
        if not has.all():
            found[~has] = empty
        return found

    def per_sample(
        self,
        values: npt.NDArray[np.generic],
        messages: Indices,
        how: Literal["max", "min", "sum"],
        dtype: PolarsDataType,
        *,
        empty: float = 0,
    ) -> pl.Series:
        """One value for each sample from values of its messages.

        Args:
            values: (k,) numbers or booleans, one for each of `messages`.
            messages: (k,) such as `answers`.
            how: which of several values counts; `max` of booleans is any.
            dtype: of the result.
            empty: value of a sample with text and none of these messages.

        Returns:
            (n,) null where no text filter applies.
        """
        return self.masked(self.reduced(values, messages, how, empty=empty), dtype)


def named(places: pl.Series, names: Sequence[str]) -> pl.Series:
    """(n,) String: the name at each place in a list of names; null stays null."""
    return pl.Series(names, dtype=pl.String).gather(places)


def read_texts(batch: pl.DataFrame) -> Texts:
    """The messages of a batch (column `messages`)."""
    from filters.decoding import code_points

    column = batch["messages"].to_arrow(compat_level=pl.CompatLevel.oldest())
    lengths = batch["messages"].list.len().fill_null(0).to_numpy().astype(np.int64)
    turns = column.flatten()
    strings = turns.field("text").cast(pa.large_string())
    roles = turns.field("role").dictionary_encode()
    index = np.array([ROLES.index(role) for role in roles.dictionary.to_pylist()], dtype=np.uint8)
    # not `np.asarray`, for which pyarrow imports pandas where that is installed: 0.26 s a process
    found = np.frombuffer(roles.indices.buffers()[1] or b"", np.int32)[roles.indices.offset :][: len(roles)]
    role = index[found] if len(index) else np.zeros(0, dtype=np.uint8)
    if len(strings) == 0:
        codes, starts, marked = np.zeros(0, np.uint32), np.zeros(1, np.int64), np.zeros(0, np.bool_)
    else:
        _, offsets, data = strings.buffers()
        places = np.frombuffer(offsets, np.int64)[strings.offset : strings.offset + len(strings) + 1]
        codes, starts, marked = code_points(np.frombuffer(data or b"", np.uint8), places)
    owner = np.repeat(np.arange(batch.height), lengths)
    return Texts(batch.height, owner, role, codes, starts, strings, np.flatnonzero(marked))
