"""Verdicts from a file into the journal: held against the samples first, then written all or none."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
from pydantic import BaseModel

from flows.mixes import Mix, find, recipes
from flows.review_rows import BATCH_ROWS
from flows.review_scores import journal, shown_of
from review.answer import Answer
from review.given import Given, Refused, Sheet, Via, read_given
from review.item import item_id
from shards.errors import UsageError
from shards.files import file_sha256, fingerprint
from shards.store import Store

NOBODY = "unnamed"
"""Reviewer of rows that name none."""

_ID_DIGITS = 32


class Refusal(BaseModel):
    """A row of the file that was not taken."""

    row: str
    message: str


class Imported(BaseModel):
    """What an import did; with a refusal nothing was written. `answers = new + known + older`.

    `known` are already in the journal, `older` were overtaken by a later word of the same person, `open` rows have no
    verdict. A row without entry answers for every entry that holds its sample.
    """

    file: str
    format: Via
    rows: int
    open: int
    answers: int
    new: int
    known: int
    older: int
    keep: int
    drop: int
    skip: int
    refused: list[Refusal]


def import_answers(
    store: Store, file: Path, *, mix: str | None = None, reviewer: str | None = None, settles: bool = False
) -> Imported:
    """Take the verdicts of a file into the journal of a store.

    The same file twice writes nothing the second time, whatever was said in between; of a file that was changed, what
    differs from the last word of its reviewer is written.

    Args:
        store: holds the samples and the journal.
        file: see review/given.py.
        mix: folder of a mixture, recipe, or recipe.stage that the samples belong to; None for the last run of every
            recipe.
        reviewer: who gave the verdicts of rows that name nobody.
        settles: these verdicts end conflicts.

    Raises:
        UsageError: a file or mixture that is not understood.
        StoreError: the journal cannot be read or written.
    """
    sheet = read_given(file)
    mixes = [found for name in ([mix] if mix else recipes(store)) for found in find(store, name).values()]
    if not mixes:
        raise UsageError(f"store `{store.root}` has no finished mixture; run `vlmix run build-sft-mix` first")
    samples = _Samples(mixes, {given.key for given in sheet.given})
    refused = [*sheet.refused, *_doubles(sheet.given, reviewer or NOBODY)]
    found: list[tuple[Given, str, str]] = []
    for given in sheet.given:
        places = samples.places(given)
        if isinstance(places, Refused):
            refused.append(places)
        else:
            found += [(given, entry, seen) for entry, seen in places]
    known = journal(store)
    new, counts = [], {"known": 0, "older": 0}
    if not refused:
        maker = _Maker(sheet.via, file_sha256(file), reviewer or NOBODY, known.read(), settles=settles)
        for given, entry, seen in found:
            answer = maker(given, entry, seen)
            if isinstance(answer, Answer):
                new.append(answer)
            else:
                counts[answer] += 1
        known.append(new)
    return _report(file, sheet, refused, [given for given, _, _ in found], len(new), counts)


def _report(
    file: Path, sheet: Sheet, refused: list[Refused], found: list[Given], new: int, counts: dict[str, int]
) -> Imported:
    choices = [given.choice for given in found] if not refused else []
    return Imported(
        file=file.name,
        format=sheet.via,
        rows=sheet.rows,
        open=sheet.open,
        answers=len(choices),
        new=new,
        known=counts["known"],
        older=counts["older"],
        keep=choices.count("keep"),
        drop=choices.count("drop"),
        skip=choices.count("skip"),
        refused=[Refusal(row=each.where, message=each.why) for each in refused],
    )


def _doubles(given: Iterable[Given], reviewer: str) -> Iterator[Refused]:
    first: dict[tuple[str, str, str], Given] = {}
    for each in given:
        place = (each.reviewer or reviewer, each.entry, each.key)
        other = first.setdefault(place, each)
        if other.choice != each.choice:
            said = f"`{each.choice}`, but {other.where} says `{other.choice}` of the same sample by the same person"
            yield Refused(each.where, f"{said}; leave one of the two")


class _Samples:
    """The samples of some mixtures that a file speaks of: entries that hold them, and what they show today."""

    def __init__(self, mixes: Iterable[Mix], keys: set[str]) -> None:
        self._entries: dict[str, dict[str, None]] = {}
        self._shown: dict[str, set[str]] = {}
        read: set[str] = set()
        for mix in mixes:
            for key, entry in _entries(mix, keys):
                self._entries.setdefault(key, {})[entry] = None
            for source in {entry.source for entry in mix.manifest.entries}:
                shards = mix.shards(source)
                own = {key for key in keys if key.partition("/")[0] == source}
                if own and shards.name not in read:
                    read.add(shards.name)
                    for key, seen in shown_of(shards, own):
                        self._shown.setdefault(key, set()).add(seen)

    def places(self, given: Given) -> list[tuple[str, str]] | Refused:
        """(entry, what the sample shows) of every item that a verdict is about."""
        entries = self._entries.get(given.key, {})
        if not entries:
            remedy = "correct it, or say with --mix which mixture it belongs to"
            return Refused(given.where, f"no mixture of this store holds the key `{given.key[:120]}`; {remedy}")
        if given.entry and given.entry not in entries:
            return Refused(given.where, f"entry `{given.entry[:80]}` does not hold `{given.key}`; correct one of them")
        chosen = [given.entry] if given.entry else list(entries)
        if given.item and given.item not in {item_id(entry, given.key) for entry in chosen}:
            return Refused(given.where, f"id `{given.item[:40]}` is not that of `{given.key}`; leave both as exported")
        shown = self._shown[given.key]
        if given.seen and given.seen not in shown:
            return Refused(
                given.where, f"`{given.key}` reads otherwise by now; export it again and answer what it says"
            )
        seen = given.seen or min(shown)
        return [(entry, seen) for entry in chosen]


def _entries(mix: Mix, keys: set[str]) -> Iterator[tuple[str, str]]:
    """(key, entry) of decisions about some keys."""
    wanted = pl.Series(sorted(keys), dtype=pl.String).implode()
    for batch in pq.ParquetFile(mix.box.path / "decisions.parquet").iter_batches(BATCH_ROWS, columns=["key", "entry"]):
        frame = pl.from_arrow(batch)
        assert isinstance(frame, pl.DataFrame)
        yield from frame.filter(pl.col("key").is_in(wanted)).select("key", "entry").iter_rows()


class _Maker:
    """Makes answers of what a file says and the journal does not."""

    def __init__(self, via: Via, file: str, reviewer: str, before: Iterable[Answer], *, settles: bool) -> None:
        self._via = via
        self._file = file
        self._reviewer = reviewer
        self._settles = settles
        self._now = datetime.now(UTC)
        self._acts: set[tuple[str, str]] = set()
        self._last: dict[tuple[str, str], Answer] = {}
        for answer in before:
            self._acts.add((answer.answer_id, answer.item))
            self._last[answer.reviewer, answer.item] = answer

    def __call__(self, given: Given, entry: str, seen: str) -> Answer | str:
        """The answer to write; `known` or `older` where there is none."""
        reviewer, item = given.reviewer or self._reviewer, item_id(entry, given.key)
        content = [self._file, reviewer, given.choice, given.note, given.at and given.at.isoformat(), self._settles]
        answer = Answer(
            answer_id=fingerprint("import", item, content)[:_ID_DIGITS],
            item=item,
            entry=entry,
            key=given.key,
            seen=seen,
            choice=given.choice,
            reviewer=reviewer,
            at=given.at or self._now,
            via=self._via,
            note=given.note,
            settles=self._settles,
        )
        last = self._last.get((reviewer, item))
        same = {"choice", "seen", "note", "settles"}
        if (answer.answer_id, item) in self._acts or (
            last and last.model_dump(include=same) == answer.model_dump(include=same)
        ):
            return "known"
        if last and given.at and given.at <= last.at:
            return "older"
        self._last[reviewer, item] = answer
        return answer
