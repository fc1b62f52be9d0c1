"""Texts of a mixture for near-duplicate search: bands from their tables, words from shards, read again."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from filters.text_bands import SHINGLE_WORDS, TextBands, answer_sides, message_bounds
from filters.texts import read_texts
from flows.scoring import score_box
from manifests.near_text import Rows, TextSets
from shards.columns import scan_table
from shards.errors import StoreError
from shards.remote import SCORES_FILE
from shards.sample import ShardsIndex, read_samples, sample_path
from shards.store import Box, Store

_ROWS: Final = 1 << 14
"""Samples whose words are in memory at once."""


@dataclass(frozen=True, slots=True, eq=False)
class StoredTexts:
    """Texts of samples in the store; a `manifests.near_text.TextRows`.

    Attributes:
        store: where `TextBands` of every source are.
        shards: boxes of shards by source name.
        names: of sources.
        source: (n,) int32, place of each text's source in `names`.
        row: (n,) int64, place of its sample in the shards of that source.
    """

    store: Store
    shards: Mapping[str, Box]
    names: Sequence[str]
    source: NDArray[np.int32]
    row: Rows

    def bands(self) -> Iterator[NDArray[np.uint64]]:
        """See `TextRows.bands`.

        Raises:
            StoreError: the bands that the mixture was made with are gone.
        """
        paths = {place: self._bands_of(place) for place in np.unique(self.source).tolist()}
        for name in TextBands.writes:
            found = np.zeros(len(self.row), dtype=np.uint64)
            for place, path in paths.items():
                mine = self.source == place
                band = scan_table(path, [name]).collect()[name].fill_null(0).to_numpy()
                found[mine] = band[self.row[mine]]
            yield found

    def _bands_of(self, place: int) -> Path:
        shards = self.shards[self.names[place]]
        box = score_box(self.store, shards, TextBands())
        if not box.done:
            raise StoreError(f"no TextBands of the texts in `{shards.name}`; run `vlmix run build-sft-mix` again")
        return box.path / SCORES_FILE

    def sets(self, rows: Rows) -> TextSets:
        """See `TextRows.sets`. The shingles lie in a file without a name, so that memory does not grow with them."""
        from filters.signatures import characters, shingle_sets

        places = np.zeros((len(rows), 3), dtype=np.int64)
        numbers = np.zeros(len(rows), dtype=np.uint64)
        end = 0
        with tempfile.TemporaryFile(dir=self.store.root) as file:
            for asked, batch in self._batches(rows):
                texts = read_texts(batch)
                sides, bounds = answer_sides(texts), message_bounds(texts)
                values, ends, said = shingle_sets(texts.codes, texts.starts, sides, bounds, SHINGLE_WORDS, characters())
                places[asked], numbers[asked] = ends + end, said
                file.write(values.tobytes())
                end += len(values)
            file.flush()
            values = np.memmap(file, np.uint32, "r") if end else np.empty(0, np.uint32)
        return TextSets(values, places, numbers)

    def _batches(self, rows: Rows) -> Iterator[tuple[Rows, pl.DataFrame]]:
        """Places among `rows` and the messages of those samples, shard by shard."""
        for place in np.unique(self.source[rows]).tolist():
            shards = self.shards[self.names[place]]
            mine = np.flatnonzero(self.source[rows] == place)
            mine = mine[np.argsort(self.row[rows[mine]], kind="stable")]
            wanted, begin = self.row[rows[mine]], 0
            for number, counts in enumerate(shards.index(ShardsIndex).shards):
                inside = slice(*np.searchsorted(wanted, [begin, begin + counts.samples]))
                asked, own = mine[inside], wanted[inside] - begin
                begin += counts.samples
                if not len(asked):
                    continue
                messages = read_samples(sample_path(shards.path, number), ["messages"])
                for start in range(0, len(asked), _ROWS):
                    part = slice(start, start + _ROWS)
                    yield asked[part], messages[own[part]]
