"""WebDataset: tars of samples, for any reader of tars.

    shards/ENTRY/000000.tar     K.json, then K.jpg or K.0.jpg, K.1.png ...: original bytes
    mixture.json                every tar with its samples and how often it is to be read
    urls.txt                    every tar, relative to the folder, as often as it is to be read

`K.json` is the record of manifests/exports/record.py with `images`: the suffixes of the sample's pictures in order.
Videos are references, as the source writes them. Readers split by tar: start with at least as many tars as ranks times
workers, see `shards`.

Source: WebDataset 1.0.2, webdataset/tariterators.py and webdataset/autodecode.py.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from manifests.exports.base import KINDS, Kind, Outcome, Part
from manifests.exports.media import Media
from manifests.exports.record import paths_by_times, picture_suffixes, record
from manifests.exports.tars import TAR_BYTES, Cut, TarSample, sample_name, write_tars
from shards.files import canonical_json, write_text

_START: Final = """Read the tars that urls.txt lists, each as often as it stands there:

    urls = [line.strip() for line in open("urls.txt")]
    webdataset.WebDataset(urls, shardshuffle=100).decode("pil")

A sample has `json` (key, entry, messages, images) and the pictures under the suffixes that `images` names, in order;
each `<image>` in the messages is one of them. Ranks and workers share tars, they do not split them.
"""


@dataclass(frozen=True, slots=True)
class Wds:
    """Writes every kind of sample.

    `shards`: tars per part, of equally many samples up to one, so that each rank and worker can have its own; a part
    of fewer samples has fewer. `size`: bytes at which a tar is cut all the same.
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset(KINDS)

    shards: int = 1
    size: int = TAR_BYTES

    def __call__(self, parts: Sequence[Part], media: Media, out: Path) -> list[Outcome]:
        """Write tars, list and index."""
        outcomes = [Outcome(part) for part in parts]
        index: list[dict[str, object]] = []
        times: dict[str, int] = {}
        for number, outcome in enumerate(outcomes):
            part = outcome.part
            cut = Cut(self.size, rows=part.rows, blocks=self.shards)
            for tar in write_tars(out / "shards" / part.name, _samples(number, outcome, media), cut):
                url = f"shards/{part.name}/{tar.name}"
                times[url] = part.times
                facts = {"samples": tar.samples, "bytes": tar.size, "times": part.times}
                index.append({"url": url, "entry": part.entry.id, **facts})
        write_text(out / "README.txt", _START)
        write_text(out / "urls.txt", "".join(f"{url}\n" for url in paths_by_times(times)))
        rows = sum(outcome.written for outcome in outcomes)
        lines = ",\n  ".join(canonical_json(tar) for tar in index)
        write_text(out / "mixture.json", f'{{"rows": {rows}, "shards": [\n  {lines}\n]}}\n')
        return outcomes


def _samples(number: int, outcome: Outcome, media: Media) -> Iterator[TarSample]:
    part = outcome.part
    for position, row in enumerate(part.read()):
        found, adapted = record(row, part.entry.id)
        suffixes = picture_suffixes(row.images)
        text = canonical_json(found | {"images": suffixes})
        pictures = [(suffix, media.data(image)) for suffix, image in zip(suffixes, row.images, strict=True)]
        outcome.write(adapted)
        yield TarSample(sample_name(number, position), [("json", text.encode()), *pictures])
