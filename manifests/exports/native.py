"""Entries of a stage in a trainer's own words: what `--native` writes, and what is held to published configurations."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final, Literal

from manifests.operators import Take
from manifests.recipe import Entry, Stage
from shards.errors import RecipeError

Flavour = Literal["llava-next", "instellavl-offline", "instellavl-online", "internvl", "vila"]
"""`instellavl-online`: configurations of shards (`choose`, `repeat`); `instellavl-offline`: those of JSON lists."""

Words = tuple[str, str]
"""(strategy, value); the value is empty where the strategy needs none."""


@dataclass(frozen=True, slots=True)
class NativeEntry:
    """One line of a trainer's configuration; the value is empty where the strategy needs none.

    `all` in every flavour; `first`, `end`, `random` with rows or `P%` (LLaVA-NeXT, InstellaVL offline); `repeat`
    (InstellaVL), `choose` (InstellaVL online); `repeat_time` (InternVL, always); `*` and `@` (VILA).
    """

    name: str
    strategy: str
    value: str = ""
    entries: tuple[str, ...] = field(default=(), compare=False)
    """Ids of the recipe's entries that the line stands for."""


def native_entries(stage: Stage, flavour: Flavour) -> list[NativeEntry]:
    """The stage's entries as the trainer's configuration has them, in order.

    Different sources next to each other with one published name are one file of the publisher, hence one line. A slice
    is the part of a source that such a file holds; it is no operator.

    Raises:
        RecipeError: an entry that the trainer has no words for.
    """
    return [
        NativeEntry(group[0].published_name, *_group_words(group, flavour), tuple(entry.id for entry in group))
        for group in _groups(stage.entries)
    ]


def _groups(entries: Sequence[Entry]) -> list[list[Entry]]:
    groups: list[list[Entry]] = []
    for entry in entries:
        last = groups[-1] if groups else []
        same = bool(last) and last[0].published_name == entry.published_name
        # the same source again is a second line: Instella-VL lists two files twice, with two operators
        if same and all((entry.source, entry.slice) != (other.source, other.slice) for other in last):
            last.append(entry)
        else:
            groups.append([entry])
    return groups


def _group_words(group: Sequence[Entry], flavour: Flavour) -> Words:
    words = {_entry_words(entry, flavour) for entry in group}
    if len(words) == 1:
        return words.pop()
    if len({entry.repeat for entry in group}) > 1:
        raise RecipeError(f"entries of `{group[0].published_name}` have different repeat factors, but are one line")
    # parts of one file may differ in what they take of their sources; the file holds just that, and is taken whole
    return _WORDS[flavour](group[0].model_copy(update={"take": Take()}))


def _entry_words(entry: Entry, flavour: Flavour) -> Words:
    if entry.cap is not None:
        raise _unsaid(entry, flavour, "`cap`")
    return _WORDS[flavour](entry)


def _unsaid(entry: Entry, flavour: Flavour, what: str) -> RecipeError:
    return RecipeError(f"entry `{entry.id}`: {what} cannot be said in words of {flavour}; export without `--native`")


def _whole(number: float) -> str | None:
    """An integer above 0 in words; None where it is none."""
    return str(int(number)) if number >= 1 and number == int(number) else None


def _list_words(entry: Entry, flavour: Flavour) -> Words:
    """`first:10%` and its like; the percentage is a whole number, and its share of the rows is rounded up."""
    take = entry.take
    if take.kind == "all":
        return "all", ""
    if take.kind not in ("first", "end", "random") or (take.kind == "end" and take.rows == 0):
        raise _unsaid(entry, flavour, f"`{take.kind}`{' of 0 rows' if take.kind == 'end' else ''}")
    if take.rows is not None:
        return take.kind, str(take.rows)
    percent = None if take.percent is None else _whole(take.percent)
    if percent is None or take.rounding not in (None, "ceil"):
        raise _unsaid(entry, flavour, "a share that is no whole percentage, rounded up,")
    return take.kind, f"{percent}%"


def _llava_next(entry: Entry) -> Words:
    if entry.repeat != 1:
        raise _unsaid(entry, "llava-next", "`repeat`")
    return _list_words(entry, "llava-next")


def _offline(entry: Entry) -> Words:
    # the loader skips `repeat:2` without a word; the published configuration has it six times all the same
    if entry.repeat == 1:
        return _list_words(entry, "instellavl-offline")
    times = _whole(entry.repeat)
    if entry.take.kind != "all" or times is None:
        raise _unsaid(entry, "instellavl-offline", "`repeat` of a part, or by a fraction,")
    return "repeat", times


def _online(entry: Entry) -> Words:
    take = entry.take
    if take.kind == "all":
        return ("all", "") if entry.repeat == 1 else ("repeat", f"{entry.repeat:g}")
    # `choose: 0` means all, and `choose` above `repeat` wins
    if take.kind != "random" or not take.rows or entry.repeat != 1:
        raise _unsaid(entry, "instellavl-online", "anything but `random` rows or `repeat`")
    return "choose", str(take.rows)


def _internvl(entry: Entry) -> Words:
    take = entry.take
    if take.kind == "all":
        times = _whole(entry.repeat)
        if times is None:
            raise _unsaid(entry, "internvl", "a repeat factor that is no whole number")
        return "repeat_time", times
    if take.kind != "first" or take.fraction is None or take.rounding not in (None, "float-floor") or entry.repeat != 1:
        raise _unsaid(entry, "internvl", "anything but a first fraction, or `repeat`,")
    return "repeat_time", f"{take.fraction:g}" if take.fraction < 1 else "1"


def _vila(entry: Entry) -> Words:
    """`name*2@tag`; a list at `tag/name.json` is what the folder of lists calls it.

    VILA takes `even`ly spaced rows and the `top` ones when it prepares its files; its trainer takes these whole.
    Source: VILA, data_prepare/sft/preprocess_flan.py and data_prepare/coyo/coyo_downloader.py.
    """
    times = _whole(entry.repeat)
    if times is None or entry.take.kind not in ("all", "exclude", "even", "top"):
        raise _unsaid(entry, "vila", "anything but whole `repeat`, `exclude`, and what its preparation takes,")
    tag = "" if entry.take.file is None else PurePosixPath(entry.take.file).parent.name
    if times == "1":
        return ("@", tag) if tag else ("all", "")
    return "*", f"{times}@{tag}" if tag else times


_WORDS: Final[Mapping[Flavour, Callable[[Entry], Words]]] = {
    "llava-next": _llava_next,
    "instellavl-offline": _offline,
    "instellavl-online": _online,
    "internvl": _internvl,
    "vila": _vila,
}
