"""Megatron Energon: one prepared WebDataset per entry, and a metadataset that reads each as often as planned.

    mixture.yaml                  MetadatasetV2, `blend_epochized`: load it with `repeat=False`
    sets/ENTRY/000000.tar         K.json, the list of turns {role, content}; then K.jpg or K.0.jpg, K.1.png ...
    sets/ENTRY/.nv-meta/          dataset.yaml (CrudeWebdataset), and the index made by the package
    prepare.sh                    only where the package is missing: the commands that make the index

A crude set needs a task encoder with a cooker; `json` and the pictures in the order of their suffixes are what a
ChatML cooker asks for. Each `<image>` in a turn is one picture, in order.

Source: megatron-energon 7.4.1, flavors/webdataset/prepare.py, tools/prepare.py and metadataset/metadataset_v2.py.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar, Final

import yaml

from manifests.exports.base import Kind, Outcome, Part
from manifests.exports.media import Media
from manifests.exports.record import picture_suffixes
from manifests.exports.rows import representable
from manifests.exports.strict import Conversation
from manifests.exports.tars import TAR_BYTES, Cut, TarSample, sample_name, write_tars
from shards.files import write_text

PREPARE: Final = "prepare.sh"
"""Script that finishes an export which was written without the package."""

_START: Final = """mixture.yaml is the data set:

    get_train_dataset("mixture.yaml", repeat=False, task_encoder=..., ...)

Each pass reads every set as often as planned. The sets are crude: the task encoder needs a cooker that takes `json`, a
list of turns {role, content}, and the pictures `jpg` or `0.jpg`, `1.png` ... in order.
Where prepare.sh stands in this folder, run it first; it needs the package megatron-energon.
"""

_ROLES: Final = {"human": "user", "gpt": "assistant"}
_CRUDE: Final = "__module__: megatron.energon\n__class__: CrudeWebdataset\n"


@dataclass(frozen=True, slots=True)
class Energon:
    """Writes conversations; `size` is the number of bytes at which a tar is cut."""

    kinds: ClassVar[frozenset[Kind]] = frozenset({"text", "single", "several", "interleaved"})

    size: int = TAR_BYTES

    def __call__(self, parts: Sequence[Part], media: Media, out: Path) -> list[Outcome]:
        """Write tars, metadata and metadataset."""
        outcomes = [Outcome(part) for part in parts]
        blend: list[dict[str, str | int]] = []
        sets: dict[str, list[str]] = {}
        for number, outcome in enumerate(outcomes):
            name = f"sets/{outcome.part.name}"
            tars = write_tars(out / name, self._samples(number, outcome, media), Cut(self.size))
            if tars:
                write_text(out / name / ".nv-meta" / "dataset.yaml", _CRUDE)
                sets[name] = [tar.name for tar in tars]
                blend.append({"path": name, "repetitions": outcome.part.times})
        mixture = {"__module__": "megatron.energon", "__class__": "MetadatasetV2"}
        splits = {"splits": {"train": {"blend_epochized": blend}}}
        write_text(out / "mixture.yaml", yaml.safe_dump(mixture | splits, sort_keys=False))
        write_text(out / "README.txt", _START)
        _prepare(out, sets)
        return outcomes

    def _samples(self, number: int, outcome: Outcome, media: Media) -> Iterator[TarSample]:
        for position, (row, conversation) in enumerate(representable(outcome.part, self.kinds, outcome)):
            turns = json.dumps(_turns(conversation), ensure_ascii=False, allow_nan=False)
            suffixes = picture_suffixes(row.images)
            pictures = [(suffix, media.data(image)) for suffix, image in zip(suffixes, row.images, strict=True)]
            outcome.write(conversation.adapted)
            yield TarSample(sample_name(number, position), [("json", turns.encode()), *pictures])


def _turns(conversation: Conversation) -> list[dict[str, str]]:
    system = [] if conversation.system is None else [{"role": "system", "content": conversation.system}]
    return system + [{"role": _ROLES[speaker], "content": text} for speaker, text in conversation.turns]


def _prepare(out: Path, sets: dict[str, list[str]]) -> None:
    """Index every set by the package, or write down how to: it is heavy, and only trainers need it."""
    if find_spec("megatron") is None or find_spec("megatron.energon") is None:
        _write_script(out, list(sets))
        return
    from megatron.energon.flavors.webdataset import BaseWebdatasetFactory

    # the package prints its progress, where a document for programs may be asked for
    with redirect_stdout(sys.stderr):
        for name, tars in sets.items():
            BaseWebdatasetFactory.prepare_dataset(out / name, tars, split_parts_ratio=[("train", 1.0)], workers=1)


def _write_script(out: Path, names: list[str]) -> None:
    options = "--non-interactive --split-ratio 1,0,0 --skip-dataset-yaml --force-overwrite --num-workers 1"
    lines = [f"energon prepare {options} {name}" for name in names]
    why = "# makes the index that readers need; `energon` comes with megatron-energon, vlmix's extra `energon`"
    write_text(out / PREPARE, "\n".join(["#!/bin/sh", why, "set -e", 'cd "$(dirname "$0")"', *lines]) + "\n")
