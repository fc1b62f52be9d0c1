"""VILA and NVILA: a registry YAML of datasets, and a mixture string that names them.

    registry.yaml               VILA_DATASETS
    mixture.txt                 --data_mixture
    annotations/ENTRY.json      read by LLaVADataset
    annotations/ENTRY.interleaved.json      read by LLaVANextDataset
    slices/                     VILA_SLICE_FOLDER, where a native export has exclusion lists

Paths are relative to the trainer's working directory: start it in the export's folder. LLaVADataset moves all pictures
to the front of the first question, where the strict row has them anyway; rows with pictures elsewhere go to
LLaVANextDataset, which leaves them in place. That one edits its rows as it reads them, so that `name*2` fails at the
second visit; such a set stands in the mixture under its name several times, each of which is loaded for itself.

LLaVADataset fills a set up to the global batch with rows drawn at random. `global_batch` gathers sets of fewer rows
than that in one set, `small`, which is filled up once.

Source: VILA, llava/data/builder.py and llava/data/dataset_impl/llava.py, commit b760c34.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

import yaml

from manifests.exports.base import DIALOGUES, ExportRow, Kind, Outcome, Part
from manifests.exports.media import Media
from manifests.exports.rows import JsonRow, image_paths, representable, row_id, strict_row, write_json_list
from manifests.exports.strict import changes, fold_system
from shards.files import write_text

INTERLEAVED: Final = ".interleaved"
SMALL: Final = "small"

_START: Final = """Start VILA in this folder; paths in registry.yaml are relative to it:

    VILA_DATASETS="$PWD/registry.yaml"{slices} python PATH_OF_VILA/llava/train/train_mem.py \\
        --data_mixture "$(cat mixture.txt)" ...

Videos are named as their publisher names them; put or link their files below videos/.
The trainer fills every set of class LLaVADataset up to a multiple of the global batch (batch per device x devices x
accumulation) with rows drawn at random, and leaves out the rows of other sets that fill no global batch.
Sets of class LLaVANextDataset can be read for one epoch only with `--image_aspect_ratio dynamic`.

Rows of each set before that:
{sets}"""


@dataclass(frozen=True, slots=True)
class Vila:
    """Writes the planned rows; `name*k` repeats them, unless a part has words of its own.

    `global_batch`: rows of a global batch; parts of fewer emitted rows are gathered in one set, repeats written out.
    0 gathers nothing.
    """

    kinds: ClassVar[frozenset[Kind]] = DIALOGUES

    global_batch: int = 0

    def __call__(self, parts: Sequence[Part], media: Media, out: Path) -> list[Outcome]:
        """Write registry, mixture and rows."""
        outcomes = [Outcome(part) for part in parts]
        sets = _Sets(out, {part.name for part in parts})
        mixed: list[Outcome] = []
        small: list[Outcome] = []
        for outcome in outcomes:
            (small if self._is_small(outcome.part) else mixed).append(outcome)
        if small:
            sets.write_front(sets.free(SMALL), small, media)
        for outcome in mixed:
            sets.write_front(outcome.part.name, [outcome], media)
        for outcome in outcomes:
            sets.write_interleaved(outcome, media)
        sets.finish()
        return outcomes

    def _is_small(self, part: Part) -> bool:
        return part.words is None and part.rows * part.times < self.global_batch


class _Sets:
    """Sets of a registry as they are written."""

    def __init__(self, out: Path, names: set[str]) -> None:
        self._out = out
        self._taken = {name.casefold() for name in names}
        self._registry: dict[str, dict[str, str]] = {}
        self._terms: list[str] = []
        self._listed: list[str] = []
        self._interleaved: set[str] = set()
        self._sliced = False

    def free(self, name: str) -> str:
        """A name that no other set has."""
        while name.casefold() in self._taken:
            name += "_"
        self._taken.add(name.casefold())
        return name

    def write_front(self, name: str, outcomes: Sequence[Outcome], media: Media) -> None:
        """Write rows whose pictures stand at the front; several parts as one set with their repeats written out."""
        alone = len(outcomes) == 1 and outcomes[0].part.name == name
        excluded: list[int] = []
        rows = self._front_rows(outcomes, media, excluded, copies=not alone)
        count = write_json_list(self._out / _annotation(name), rows)
        times, tag = _factor(outcomes[0].part) if alone else (1, "")
        self._add(name, "LLaVADataset", count, times=times, tag=tag, excluded=excluded)

    def write_interleaved(self, outcome: Outcome, media: Media) -> None:
        """Write rows with pictures anywhere, which the first pass met."""
        part = outcome.part
        if part.name not in self._interleaved:
            return
        name = self.free(part.name + INTERLEAVED)
        excluded: list[int] = []
        count = write_json_list(self._out / _annotation(name), _interleaved_rows(outcome, media, excluded))
        times, tag = _factor(part)
        for _ in range(times):
            self._add(name, "LLaVANextDataset", count, tag=tag, excluded=excluded)

    def _front_rows(
        self, outcomes: Sequence[Outcome], media: Media, excluded: list[int], *, copies: bool
    ) -> Iterator[JsonRow]:
        number = 0
        for outcome in outcomes:
            part = outcome.part
            for copy in range(part.times if copies else 1):
                # refusals and changes of a row are counted when it is read for the first time
                counted = outcome if copy == 0 else Outcome(part)
                for row, conversation in representable(part, DIALOGUES, counted):
                    if conversation.kind == "interleaved":
                        self._interleaved.add(part.name)
                        continue
                    turns = fold_system(conversation)
                    counted.write(changes(conversation, turns))
                    found = strict_row(part, row, turns, image_paths(row, media, "images/"))
                    if row.videos:
                        found["video"] = f"videos/{row.videos[0]}"
                    if _is_excluded(part, row):
                        counted.excluded += 1
                        excluded.append(number)
                    number += 1
                    yield found | {"id": row_id(part, row, copy)}

    def _add(
        self, name: str, target: str, rows: int, *, times: int = 1, tag: str = "", excluded: Sequence[int] = ()
    ) -> None:
        if not rows:
            return
        self._registry[name] = {
            "_target_": f"llava.data.{target}",
            "data_path": _annotation(name),
            "media_dir": ".",
        }
        self._terms.append(name + (f"*{times}" if times > 1 else "") + (f"@{tag}" if tag else ""))
        self._listed.append(f"    {rows:>12,}  x {times}  {target:<16}  {name}\n")
        if tag:
            self._sliced = True
            write_text(self._out / "slices" / tag / f"{name}.json", json.dumps(list(excluded)) + "\n")

    def finish(self) -> None:
        """Write registry, mixture and what to do with them."""
        write_text(self._out / "registry.yaml", yaml.safe_dump(self._registry, sort_keys=False, width=1000))
        write_text(self._out / "mixture.txt", "+".join(self._terms) + "\n")
        slices = ' VILA_SLICE_FOLDER="$PWD/slices"' if self._sliced else ""
        write_text(self._out / "README.txt", _START.format(slices=slices, sets="".join(self._listed)))


def _interleaved_rows(outcome: Outcome, media: Media, excluded: list[int]) -> Iterator[JsonRow]:
    part = outcome.part
    # the first pass has counted what is refused
    rows = representable(part, frozenset({"interleaved"}), Outcome(part))
    for number, (row, conversation) in enumerate(rows):
        turns = fold_system(conversation)
        outcome.write(changes(conversation, turns))
        paths = image_paths(row, media, "images/")
        if _is_excluded(part, row):
            outcome.excluded += 1
            excluded.append(number)
        # a string would be read letter by letter
        yield strict_row(part, row, turns, paths) | {"image": paths}


def _annotation(name: str) -> str:
    return f"annotations/{name}.json"


def _is_excluded(part: Part, row: ExportRow) -> bool:
    return part.words is not None and row.key in part.words.excluded


def _factor(part: Part) -> tuple[int, str]:
    """How often a set is read, and the folder of its exclusion list."""
    if part.words is None:
        return part.times, ""
    if part.words.strategy == "*":
        times, _, tag = part.words.value.partition("@")
        return int(times), tag
    return 1, part.words.value
