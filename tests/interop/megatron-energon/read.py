"""Reads an export of `--to energon` through the loader of a training run, as stored and as decoded pictures."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import torch
from interop.reading import Row, row, tell
from megatron.energon import (
    Cooker,
    DefaultTaskEncoder,
    Sample,
    WorkerConfig,
    basic_sample_keys,
    edataclass,
    get_loader,
    get_train_dataset,
    stateless,
)


@edataclass
class Turns(Sample):
    """A dialogue as its set has it."""

    entry: str
    turns: bytes | list
    pictures: list


@stateless
def cook(sample: dict) -> Turns:
    suffixes = sorted((name for name in sample if name[0] != "_" and name != "json"), key=place)
    (source,) = sample["__sources__"]
    entry = Path(str(source.dataset_path)).name
    return Turns(
        **basic_sample_keys(sample), entry=entry, turns=sample["json"], pictures=[sample[name] for name in suffixes]
    )


def place(suffix: str) -> int:
    number, _, kind = suffix.partition(".")
    return int(number) if kind else 0


class Stored(DefaultTaskEncoder):
    """Gives bytes."""

    decoder = None
    cookers = (Cooker(cook),)


class Opened(DefaultTaskEncoder):
    """Gives what training sees."""

    cookers = (Cooker(cook),)


def samples(folder: Path, encoder: DefaultTaskEncoder) -> Iterator[Turns]:
    dataset = get_train_dataset(
        folder / "mixture.yaml",
        worker_config=WorkerConfig(rank=0, world_size=1, num_workers=0),
        batch_size=None,
        shuffle_buffer_size=None,
        max_samples_per_sequence=None,
        repeat=False,
        task_encoder=encoder,
    )
    yield from get_loader(dataset)


def read(folder: Path) -> Iterator[Row]:
    opened = 0
    for sample in samples(folder, Opened()):
        opened += 1
        assert isinstance(sample.turns, list)
        assert all(torch.is_tensor(picture) and picture.shape[0] == 3 for picture in sample.pictures)
    stored = 0
    for sample in samples(folder, Stored()):
        stored += 1
        turns = json.loads(sample.turns)
        yield row(sample.entry, None, [turn["content"] for turn in turns], sample.pictures)
    assert stored == opened


tell(read(Path(sys.argv[1])))
