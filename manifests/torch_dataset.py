"""A mixture as a torch IterableDataset: sharded over ranks and workers, shuffled by epoch, resumable at any sample.

Needs the extra `torch`. It reads the store directly, so no export is needed:

    dataset = MixtureDataset(store, "mixtures/demo.sft/0123456789abcdef0123", batch=8, rank=rank, world=world)
    loader = DataLoader(dataset, batch_size=8, num_workers=2, collate_fn=...)
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, TypedDict

import numpy as np
from torch.utils.data import IterableDataset, get_worker_info

from manifests.stream import WINDOW, Integers, MixtureStream, StreamRow
from shards.markers import pieces, unescape
from shards.pack import PictureReader
from shards.schema import IMAGE_MARKER, VIDEO_MARKER

Tail = Literal["keep", "drop", "repeat"]


class State(TypedDict):
    """Where a dataset stands; plain values, so that any checkpoint can hold it."""

    digest: str
    seed: int
    epoch: int
    begin: int
    """Samples of the epoch, over all ranks, that were given before this dataset began."""
    given: int
    """Samples that this rank's worker gave since then."""


class MixtureDataset(IterableDataset[dict[str, object]]):  # type: ignore[misc]  # torch is no dependency of the checks
    """Samples `{"key", "entry", "domain", "messages", "images", "videos"}`.

    `messages` are `{"role", "content": [{"type": "text", "text"}, {"type": "image"}, ...]}` with pictures in their
    places, `images` the pictures in order: RGB images of PIL, or the stored bytes.

    Sample i of an epoch's order belongs to rank i mod `world`. Within a rank, worker w of k takes batches w, w + k ...
    of `batch` samples, as the DataLoader asks for them: the samples come in the same order for any number of workers.

    Args:
        store: folder of the store.
        mixture: folder of the mixture, relative to the store.
        seed: of the shuffle.
        rank: of this process among `world`.
        world: number of processes that share an epoch.
        batch: `batch_size` of the DataLoader.
        tail: an epoch that `world` does not divide. `keep`: some ranks have one sample more; `drop`: the last samples
            of the order are left out, others each epoch; `repeat`: the first ones are given again. Ranks that step
            together need `drop` or `repeat`.
        decode: give RGB images; otherwise bytes.
        window: emitted rows that are shuffled among each other.
    """

    def __init__(
        self,
        store: str | Path,
        mixture: str,
        *,
        seed: int = 0,
        rank: int = 0,
        world: int = 1,
        batch: int = 1,
        tail: Tail = "keep",
        decode: bool = True,
        window: int = WINDOW,
    ) -> None:
        super().__init__()
        if not 0 <= rank < world:
            raise ValueError(f"rank {rank} is none of 0..{world - 1}")
        self._stream = MixtureStream(Path(store), mixture, seed=seed, window=window)
        self._reader = PictureReader(str(store))
        self._rank, self._world, self._batch = rank, world, batch
        self._tail: Tail = tail
        self._decode = decode
        self._epoch = self._begin = self._given = 0

    def set_epoch(self, epoch: int) -> None:
        """Begin an epoch from its first sample; call it on every rank before iterating.

        Persistent workers hold copies of the dataset that do not hear of it: leave `persistent_workers` off.
        """
        self._epoch, self._begin, self._given = epoch, 0, 0

    def resume(self, epoch: int, samples: int) -> None:
        """Go on in an epoch after `samples` samples were given, counted over all ranks: steps x batch x ranks.

        The numbers of ranks, workers and the batch size may be others than before.
        """
        self._epoch, self._begin, self._given = epoch, samples, 0

    def __len__(self) -> int:
        """Samples that this rank has left in the epoch."""
        return len(self._positions())

    def __iter__(self) -> Iterator[dict[str, object]]:
        """Samples of this rank and worker from where it stands; afterwards it stands at the epoch's begin again."""
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        positions = self._positions()
        own = positions[(np.arange(len(positions)) // self._batch) % workers == worker][self._given :]
        for row in self._rows(own):
            # counted before it is given, so that a state taken now does not give it again
            self._given += 1
            yield self._sample(row)
        self.set_epoch(self._epoch)

    def state_dict(self) -> State:
        """Where this rank's worker stands, for torchdata's StatefulDataLoader or a checkpoint of one's own."""
        return State(
            digest=self._stream.manifest.digest(),
            seed=self._stream.seed,
            epoch=self._epoch,
            begin=self._begin,
            given=self._given,
        )

    def load_state_dict(self, state: State) -> None:
        """Go on where a dataset of the same mixture, seed, ranks, workers and batch size stood.

        Raises:
            ValueError: the state is of another mixture or seed.
        """
        if (state["digest"], state["seed"]) != (self._stream.manifest.digest(), self._stream.seed):
            raise ValueError("the state is of another mixture or seed; begin an epoch instead")
        self._epoch, self._begin, self._given = state["epoch"], state["begin"], state["given"]

    def _positions(self) -> Integers:
        """Positions of this rank in the epoch's order that are still to come; beyond the end they wrap around."""
        total = len(self._stream)
        whole = total // self._world * self._world
        end = {"keep": total, "drop": whole, "repeat": whole + self._world * (whole < total)}[self._tail]
        return np.arange(self._begin + self._rank, end, self._world)

    def _rows(self, positions: Integers) -> Iterator[StreamRow]:
        total = len(self._stream)
        yield from self._stream.rows(self._epoch, positions[positions < total])
        yield from self._stream.rows(self._epoch, positions[positions >= total] - total)

    def _sample(self, row: StreamRow) -> dict[str, object]:
        return {
            "key": row.key,
            "entry": row.entry,
            "domain": row.domain,
            "messages": [{"role": role, "content": content(text)} for role, text in row.messages],
            "images": [
                self._reader.picture(image).rgb() if self._decode else self._reader(image) for image in row.images
            ],
            "videos": list(row.videos),
        }


def content(text: str) -> list[dict[str, str]]:
    """Parts of a message: text, and pictures and videos in their places; literal markers are unescaped.

    The line break behind a marker belongs to the marker, so it goes.
    """
    parts: list[dict[str, str]] = []
    for number, written in enumerate(pieces(text)):
        piece = written.removeprefix("\n") if number else written
        if piece in (IMAGE_MARKER, VIDEO_MARKER):
            parts.append({"type": piece[1:-1]})
        elif piece:
            parts.append({"type": "text", "text": unescape(piece)})
    return parts
