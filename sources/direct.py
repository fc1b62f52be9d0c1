"""Files that publishers serve by address: resumed after a cut, checked, the same bytes at each fetch.

Nobody lists digests for such files, so the first fetch writes down what it found (sources/lock.py). A part goes on
only where the server says, by entity tag or date, that the bytes behind it belong to the bytes before it.
"""

import threading
from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from shards.errors import SourceError
from shards.files import file_sha256, fingerprint
from sources.download import Download
from sources.lock import LockedFile, lock_file, locked_file
from sources.origin import Answer, Origin
from sources.part import Begun, Part
from sources.raw import RawDigest
from sources.transfer import (
    PASSING,
    Broken,
    Failed,
    Progress,
    Transfer,
    TransferPolicy,
    seconds,
    size_of,
    wished_offline,
)

_OURS: Final = ".downloads"
"""Folder beside the files for parts; hidden, so that no glob of a source finds it."""


def download(
    source: str,
    *,
    files: tuple[Download, ...],
    folder: Path,
    lock: Path,
    page: str = "",
    policy: TransferPolicy | None = None,
    update: bool = False,
    private: Collection[str] = (),
    progress: Progress = lambda done, total: None,
) -> tuple[RawDigest, ...]:
    """Files of a source below `folder`, whole and checked; asks for nothing that is there already.

    `HF_HUB_OFFLINE` works like `policy.offline`. Call under the store's lock, from one process.

    Args:
        source: name for messages.
        files: what is asked for.
        folder: place of these files and no others.
        lock: see sources/lock.py; written for each file that is finished.
        page: the publisher's page, for messages.
        policy: bounds; None for the defaults.
        update: ask again for files without a declared `sha256`, and take what is published now.
        private: names of hosts that may be at addresses that are not public.
        progress: hears of bytes; the total is what is known so far.

    Raises:
        SourceError: refused, missing, changed, unreachable or too slow; what is finished is kept for the next run.
        StoreError: the disk is full or cannot be written, or the lock file is damaged.
    """
    bounds = policy or TransferPolicy()
    bounds = replace(bounds, offline=bounds.offline or wished_offline())
    transfer = Transfer(f"source `{source}`", bounds, progress)
    origin, shared = Origin(silence=bounds.timeout, private=private), threading.Lock()
    with transfer.writing(folder):
        (folder / _OURS).mkdir(parents=True, exist_ok=True)
        jobs = [
            _Job(
                transfer,
                origin,
                file,
                folder / file.path,
                Part(folder / _OURS / f"{fingerprint(file.url, file.path)[:20]}.part"),
                lock,
                shared,
                page or file.url,
                # bytes that the declaration pins cannot be other ones today
                update and file.sha256 is None,
            )
            for file in files
        ]
        return tuple(transfer.run([partial(_Job.fetch, job) for job in jobs]))


@dataclass(slots=True)
class _Job:
    """One file on its way."""

    transfer: Transfer
    origin: Origin
    file: Download
    target: Path
    part: Part
    lock: Path
    shared: threading.Lock
    page: str
    update: bool
    tries: int = 0
    announced: int = 0

    def fetch(self) -> RawDigest:
        """The file, whole and checked, in its place. Wrong bytes are thrown away and asked for once more."""
        self._settle()
        with self.shared:
            known = locked_file(self.lock, self.file.url)
        if known and self._is_here(known):
            self._expect(known.size, known.size)
            return RawDigest(name=self.file.path, sha256=known.sha256, size=known.size)
        self._expect(self.part.begun.size or self.file.size or 0, self.part.size)
        expected = None if self.update else known
        for _ in range(2):
            self._body(expected)
            found = self._found(file_sha256(self.part.path))
            if self._right(found, expected):
                self.part.note(self.part.begun.model_copy(update={"sha256": found.sha256}))
                self._settle()
                return RawDigest(name=self.file.path, sha256=found.sha256, size=found.size)
            self._drop()
            if expected and not self.file.sha256 and (not found.etag or found.etag != expected.etag):
                break  # the same tag on other bytes is damage on the way, another one is another file
        raise SourceError(f"{self.transfer.name}: `{self.file.path}`: {self._wrong(found, expected)}")

    def _settle(self) -> None:
        """Finish a part that is whole and checked; a killed run may have left one at any step."""
        if sha256 := self.part.begun.sha256:
            if size_of(self.part.path) >= 0:
                with self.shared:
                    lock_file(self.lock, self.file.url, self._found(sha256))
            self.part.move(self.target)

    def _is_here(self, known: LockedFile) -> bool:
        """Whether the file is in its place as it was locked and, on update, as the server has it."""
        here = size_of(self.target) == known.size and self.file.sha256 in {None, known.sha256}
        return here and not (self.update and self._changed(known))

    def _found(self, sha256: str) -> LockedFile:
        begun = self.part.begun
        return LockedFile(sha256=sha256, size=self.part.size, etag=begun.etag, modified=begun.modified)

    def _right(self, found: LockedFile, expected: LockedFile | None) -> bool:
        sha256 = self.file.sha256 or (expected.sha256 if expected else found.sha256)
        return found.sha256 == sha256 and self.file.size in {None, found.size}

    def _wrong(self, found: LockedFile, expected: LockedFile | None) -> str:
        if expected and not self.file.sha256:
            return _another(expected.sha256, found.sha256)
        wanted = self.file.sha256 or f"{self.file.size} bytes"
        remedy = f"look at {self.page} and correct `downloads`, or ask the publisher"
        return f"{self.file.url}: expected {wanted}, found {found.sha256} of {found.size} bytes; {remedy}"

    def _changed(self, known: LockedFile) -> bool:
        """Whether the server has another file than the one that is here; no byte of it is read."""
        names = {"If-None-Match": known.etag, "If-Modified-Since": known.modified}
        headers = {name: value for name, value in names.items() if value}

        def ask() -> bool:
            with self._ask(headers) as answer:
                if not (answer.whole or answer.unchanged):
                    raise self._refused(answer)
                return answer.whole

        return self.transfer.patiently(f"`{self.file.path}`", ask) if headers else True

    def _body(self, expected: LockedFile | None) -> None:
        """Bring the part to its end, from where it stands."""

        def ask() -> None:
            begun = self.part.begun
            start = self.part.size if begun.strong else 0
            with self._ask({"Range": f"bytes={start}-", "If-Range": begun.strong} if start else {}) as answer:
                if answer.whole:
                    begun, start = self._begin(answer, expected), 0
                elif not (start and (answer.rest or answer.no_rest)):
                    raise self._refused(answer)
                elif answer.no_rest or not begun.continued(answer.headers, start):
                    self._drop()
                    raise Broken("the server does not go on where the cut was")
                self.transfer.grow(self.part.path, answer.chunks, start, begun.size)
            if begun.size is not None and not self.part.whole:
                raise Broken(f"the answer ended after {self.part.size} of {begun.size} bytes")

        if not self.part.whole:
            self.transfer.patiently(f"`{self.file.path}`", ask, lambda: self.part.size)
        self._announce(self.part.size)

    def _ask(self, headers: Mapping[str, str]) -> AbstractContextManager[Answer]:
        self.tries += 1
        return self.origin.ask(self.file.url, headers, attempt=self.tries - 1)

    def _begin(self, answer: Answer, expected: LockedFile | None) -> Begun:
        """Start anew with an answer that holds a whole file."""
        length = answer.headers.get("content-length", "")
        size = int(length) if length.isdecimal() else self.file.size
        self._check(answer.headers, size, expected)
        self._drop()
        self.part.note(known := Begun.by(answer.headers, size))
        self._announce(size or 0)
        self.transfer.check_space(self.part.path.parent)
        return known

    def _check(self, headers: Mapping[str, str], size: int | None, expected: LockedFile | None) -> None:
        """Refuse what cannot be the file, before its bytes come."""
        encoding, kind = headers.get("content-encoding", "identity"), headers.get("content-type", "")
        ends = size is not None or "chunked" in headers.get("transfer-encoding", "").lower()
        problem = ""
        if kind.startswith("text/html") and not self.file.path.endswith((".html", ".htm")):
            problem = f"the server gives a web page; look at {self.page}, which may ask for a log-in, and check `url`"
        elif encoding.lower() != "identity":
            problem = f"the server packs the file as `{encoding}`, which is not read; get it by hand and register it"
        elif self.file.size not in {None, size}:
            problem = (
                f"expected {self.file.size} bytes, the server has {size}; look at {self.page}, correct `downloads`"
            )
        elif expected and not self.file.sha256 and size not in {None, expected.size}:
            problem = _another(f"{expected.size} bytes", f"{size} bytes")
        elif not (ends or expected or self.file.sha256):
            problem = "the server gives no length, so that a cut looks like the end; add `size` or `sha256`"
        if problem:
            raise Failed(f"{self.file.url}: {problem}", passing=False)

    def _refused(self, answer: Answer) -> Failed:
        what = f"HTTP {answer.status} from {self.file.url}"
        if answer.status in PASSING:
            pause = seconds(answer.headers.get("retry-after", ""))
            return Failed(f"{what}: the server has trouble; run again later, what has come is kept", pause=pause)
        remedy = f"look at {self.page} for the address of today and correct `downloads`"
        if answer.closed:
            remedy = f"{self.page} may ask for a registration; get the files by hand and `vlmix sources register` them"
        return Failed(f"{what}; {remedy}", passing=False)

    def _drop(self) -> None:
        self.transfer.count(-self.part.size)
        self.part.drop()

    def _expect(self, size: int, have: int) -> None:
        self._announce(size)
        self.transfer.count(have)

    def _announce(self, size: int) -> None:
        """Say how large the file is, as far as is known by now."""
        self.transfer.expect(size - self.announced)
        self.announced = size


def _another(before: str, now: str) -> str:
    remedy = "take it as it is with --update"
    return f"the publisher has another file than the first fetch found: {before} then, {now} now; {remedy}"
