"""Stored samples compared with what their raw files hold: the files are read again through the source's layout."""

import hashlib
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import NamedTuple

import polars as pl

from flows.mixes import Mix
from shards.errors import DataError, SourceError, StoreError
from shards.pack import Image, PictureReader
from shards.store import Store
from sources.convert import Unrepresentable, sample_row
from sources.gather import GatheredByRef, load
from sources.raw import Digests, RawFile
from sources.record import Embedded, Member, PictureRef, Record
from sources.scan import ScanIndex, read_items
from sources.spec import Source


class Finding(NamedTuple):
    """Why a row could not be confirmed; `gone` says that its raw file or picture is not on this machine."""

    message: str
    gone: bool = False


class _GoneError(DataError):
    """A raw file or picture is not on this machine."""


def read_again(built: Mix, source: str, samples: pl.DataFrame) -> dict[str, Finding]:
    """Samples of one source that are not what its raw files hold, by key.

    Messages, videos, meta and the SHA-256 of pictures are compared. Pictures from URLs and archives are taken from the
    store, where they were gathered, and hashed again.

    Args:
        built: the mixture that read them.
        source: name.
        samples: frame with the columns of SAMPLE.
    """
    return _Reader(built, source)(samples)


class _Reader:
    def __init__(self, built: Mix, name: str) -> None:
        reading = next(entry.reading for entry in built.manifest.entries if entry.source == name)
        self._source = Source.model_validate({**reading, "name": name})
        root = built.store.root
        self._digests = Digests(root / "cache" / "digests" / f"{name}.json")
        self._known = {
            (file.name, file.blake3) for box in built.store.boxes("scans", name) for file in box.index(ScanIndex).raw
        }
        self._pictures = _RawPictures(built.store, name, self._digests)

    def __call__(self, samples: pl.DataFrame) -> dict[str, Finding]:
        found: dict[str, Finding] = {}
        for name, stored in _by_file(samples).items():
            try:
                found |= self._compare(self._raw(name), stored)
            except (_GoneError, SourceError) as error:
                finding = Finding(str(error), isinstance(error, _GoneError))
                found |= {str(sample["key"]): finding for sample in stored.values()}
        return found

    def _raw(self, name: str) -> RawFile:
        """A raw file, with the bytes that were scanned.

        Raises:
            SourceError: it holds other ones.
        """
        files = self._digests.seen(name)
        where = f"source `{self._source.name}`: raw file `{name}`"
        if not files:
            raise _GoneError(f"{where} is not on this machine any more; get it again, or say --no-raw")
        for file in files:
            if (name, self._digests(file).blake3) in self._known:
                return file
        raise SourceError(f"{where} has changed since it was read; build again to take the change in")

    def _compare(self, file: RawFile, stored: Mapping[str, dict[str, object]]) -> dict[str, Finding]:
        """Findings about samples, given by locator, of one raw file."""
        open_rows = dict(stored)
        found: dict[str, Finding] = {}
        for locator, record in _records(self._source, file):
            sample = open_rows.pop(locator, None)
            if sample is not None:
                finding = self._finding(sample, record, locator)
                found |= {str(sample["key"]): finding} if finding else {}
            if not open_rows:
                break
        lost = {str(sample["key"]): Finding(f"`{sample['key']}`: no row `{at}`") for at, sample in open_rows.items()}
        return found | lost

    def _finding(self, sample: Mapping[str, object], record: Record, locator: str) -> Finding | None:
        key, images = str(sample["key"]), sample["images"]
        assert isinstance(images, list)
        try:
            made = sample_row(key, 0, locator, record, self._pictures)
        except _GoneError as error:
            return Finding(str(error), gone=True)
        except StoreError as error:
            return Finding(f"`{key}`: {error}")
        except Unrepresentable as error:
            return Finding(f"`{key}`: `{locator}` is no sample any more: {error.message}")
        again = {
            "messages": [{"role": role, "text": text} for role, text in made.messages],
            "pictures": [image.sha256 for image in made.images],
            "videos": list(made.videos),
            "meta": made.meta,
        }
        held = {**sample, "pictures": [image["sha256"] for image in images]}
        other = [name for name, value in again.items() if held[name] != value]
        return Finding(f"`{key}`: {', '.join(other)} differ from `{locator}`") if other else None


def _by_file(samples: pl.DataFrame) -> dict[str, dict[str, dict[str, object]]]:
    """Raw file name -> locator -> sample."""
    located = samples.with_columns(pl.col("meta").str.json_path_match("$.locator").alias("locator"))
    files: dict[str, dict[str, dict[str, object]]] = {}
    for sample in located.iter_rows(named=True):
        name = sample["locator"].rpartition("#")[0]
        files.setdefault(name, {})[sample["locator"]] = sample
    return files


def _records(source: Source, file: RawFile) -> Iterator[tuple[str, Record]]:
    """Records of a raw file with their locators."""
    for name, _, item in read_items(source, (file,)):
        if isinstance(item, Record):
            yield f"{name}#{item.row}" + (f"/{item.part}" if item.part else ""), item


class _RawPictures:
    """Looks references up: bytes in the record, files that were read before, and what was gathered."""

    def __init__(self, store: Store, name: str, digests: Digests) -> None:
        self._store = store
        self._name = name
        self._digests = digests
        self._read = PictureReader(str(store.root))

    @cached_property
    def _gathered(self) -> list[GatheredByRef]:
        return [load(box) for box in self._store.boxes("pictures", self._name)]

    def __call__(self, ref: PictureRef) -> Image:
        """The picture; of an `Image` only `sha256` counts here."""
        if isinstance(ref, Embedded):
            return _hashed(ref.data)
        name = ref.path if isinstance(ref, Member) else ref.url
        found = next((row for known in self._gathered if (row := known.get(name))), None)
        if found is not None and found.image is not None:
            return _hashed(self._read(found.image))
        for file in self._digests.seen(name) if isinstance(ref, Member) else ():
            return _hashed(file.path.read_bytes())
        raise _GoneError(f"source `{self._name}`: picture `{name}` is not on this machine any more")


def _hashed(data: bytes) -> Image:
    return Image(hashlib.sha256(data).hexdigest(), "", None, 0, len(data), 0, 0, "")
