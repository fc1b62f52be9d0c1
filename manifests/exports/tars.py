"""Tars of samples whose bytes depend on the samples only: no clock, no user, no file mode of this machine.

Source: WebDataset 1.0.2, webdataset/tariterators.py, for what a sample is: members that follow each other and share the
name up to its first dot.
"""

import io
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final, NamedTuple

from shards.files import replacing

_BLOCK: Final = 512
TAR_BYTES: Final = 512 << 20
"""Size at which a new tar is begun. Ours."""


class TarSample(NamedTuple):
    """One sample: its name in the tar, ASCII without dots, and suffix and bytes of each member, in order."""

    name: str
    members: list[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class TarFile:
    """A finished tar: its name in the folder, samples and bytes."""

    name: str
    samples: int
    size: int


@dataclass(frozen=True, slots=True)
class Cut:
    """When a tar ends: at `size` bytes, and at every border between `blocks` equal runs of `rows` samples."""

    size: int = TAR_BYTES
    rows: int = 0
    blocks: int = 1


def sample_name(part: int, row: int) -> str:
    """Name of a sample in a tar, unique in a mixture: number of the part and of the row in it, counted from 0.

    Keys of samples hold dots and slashes, which would end a name, and may be longer than a tar header has room for.
    """
    return f"{part:05d}_{row:09d}"


def write_tars(folder: Path, samples: Iterable[TarSample], cut: Cut) -> list[TarFile]:
    """Write `000000.tar`, `000001.tar` ... as a stream, each whole or absent; without samples there is no file.

    A sample never spans two tars, and one that is larger than the limit has a tar of its own.

    Raises:
        StoreError: the folder cannot be written.
    """
    return [
        _write(folder / f"{number:06d}.tar", (sample for _, sample in group))
        for number, (_, group) in enumerate(groupby(_placed(samples, cut), key=lambda placed: placed[0]))
    ]


def _placed(samples: Iterable[TarSample], cut: Cut) -> Iterator[tuple[tuple[int, int], TarSample]]:
    """Each sample with its block and the number of the tar in that block."""
    block, tar, used = 0, 0, 0
    for number, sample in enumerate(samples):
        size = sum(_BLOCK - (-len(data) // _BLOCK) * _BLOCK for _, data in sample.members)
        here = number * cut.blocks // cut.rows if cut.rows else 0
        if here != block:
            block, tar, used = here, 0, 0
        elif used and used + size > cut.size:
            tar, used = tar + 1, 0
        used += size
        yield (block, tar), sample


def _write(path: Path, samples: Iterable[TarSample]) -> TarFile:
    count = 0
    with replacing(path) as temporary, tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as tar:
        for sample in samples:
            for suffix, data in sample.members:
                # TarInfo's own defaults are time 0, user 0 and mode 644
                member = tarfile.TarInfo(f"{sample.name}.{suffix}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
            count += 1
    return TarFile(path.name, count, path.stat().st_size)
