"""Compiled kernel: letters of a sample's texts by script, and their n-grams weighed for languages of one script."""

from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from filters.compiled import compiled
from filters.kinds import CYRILLIC_UPPER, LATIN_UPPER, SCRIPTS, kind_of, script_of

Codes = npt.NDArray[np.uint32]
Indices = npt.NDArray[np.int64]

MODEL: Final = Path(__file__).parent / "data" / "language.npz"
"""Made by benchmarks/language_model.py from the model of py3langid 0.4.0 (BSD-3-Clause)."""
MODELLED: Final = ("latin", "cyrillic", "arabic", "devanagari")
"""Scripts of more than one language, which n-grams tell apart."""
SCALE: Final = 16
"""Units of a weight per natural logarithm."""

_GRAM: Final = 5
_BITS: Final = np.uint64(12)  # of one character: all these scripts lie below U+0980, but for Vietnamese
_VIETNAMESE: Final = (0x1E00, 0x1EFF)
_SHIFT_DOWN: Final = 0x1600
_MIX: Final = np.uint64(0x9E3779B97F4A7C15)
_TABLE_BITS: Final = 15
_LEFT, _RIGHT = np.uint64(64 - _TABLE_BITS), np.uint64(64 - 2 * _TABLE_BITS)
_PLACES: Final = np.uint64((1 << _TABLE_BITS) - 1)
_TICK: Final = ord("`")
_SPACE: Final = 0x20
_LOWER: Final = np.array([ord(chr(code).lower()[0]) for code in range(0x530)], dtype=np.uint32)


class Model(NamedTuple):
    """N-grams and weights of all modelled scripts, as the kernel reads them.

    Attributes:
        languages: code of each column.
        first, last: (scripts,) columns of a script, by its number of `script_of`; empty where it is not modelled.
        keys: (t,) uint64 table of n-grams, each in one of its two places, see `_places`; 0 is free.
        rows: (t,) int64 row of each n-gram in `weights`.
        weights: (1 + g, columns) int8, in units of 1 / SCALE nats, centred; 0 in columns of other scripts, and in the
            first row, which n-grams that tell nothing have.
    """

    languages: tuple[str, ...]
    first: npt.NDArray[np.int64]
    last: npt.NDArray[np.int64]
    keys: npt.NDArray[np.uint64]
    rows: npt.NDArray[np.int64]
    weights: npt.NDArray[np.int8]


@cache
def model() -> Model:
    """The model in the package."""
    stored = np.load(MODEL)
    names = [name for name, _ in SCRIPTS]
    first, last = np.zeros(len(names) + 1, np.int64), np.zeros(len(names) + 1, np.int64)
    languages: list[str] = []
    for script in MODELLED:
        number = names.index(script) + 1
        first[number] = len(languages)
        languages += stored[f"{script}_languages"].tolist()
        last[number] = len(languages)
    grams = [gram for script in MODELLED for gram in stored[f"{script}_grams"].tolist()]
    weights = np.zeros((1 + len(grams), len(languages)), dtype=np.int8)
    row = 1
    for script in MODELLED:
        own = stored[f"{script}_weights"]
        number = names.index(script) + 1
        weights[row : row + len(own), first[number] : last[number]] = own
        row += len(own)
    keys, rows = np.zeros(1 << _TABLE_BITS, np.uint64), np.zeros(1 << _TABLE_BITS, np.int64)
    for index, gram in enumerate(grams, 1):
        key = 0
        for char in gram:
            key = key << int(_BITS) | _symbol(ord(char))
        _enter(keys, rows, np.uint64(key), index)
    return Model(tuple(languages), first, last, keys, rows, weights)


@compiled
def _symbol(code: int) -> int:
    return code - _SHIFT_DOWN if _VIETNAMESE[0] <= code <= _VIETNAMESE[1] else code


@compiled
def _places(key: np.uint64) -> tuple[np.uint64, np.uint64]:
    """The two places in the table where a key may stand."""
    mixed = key * _MIX
    return mixed >> _LEFT, mixed >> _RIGHT & _PLACES


@compiled
def _enter(keys: npt.NDArray[np.uint64], rows: npt.NDArray[np.int64], key: np.uint64, row: int) -> None:
    """Put a key into the table; what stands there moves to its other place. Source: Pagh and Rodler 2004."""
    place = _places(key)[0]
    while True:
        key, keys[place] = keys[place], key
        row, rows[place] = rows[place], row
        if key == 0:
            break
        left, right = _places(key)
        place = right if place == left else left


@compiled
def _row(keys: npt.NDArray[np.uint64], rows: npt.NDArray[np.int64], key: np.uint64) -> int:
    """Row of an n-gram, or 0; without a branch, since which n-grams tell something cannot be foretold."""
    left, right = _places(key)
    return int(int(keys[left] == key) * rows[left] | int(keys[right] == key) * rows[right])


@compiled
def _letter(code: int) -> tuple[int, int]:
    """A letter in lower case with its script; a space and 0 for everything else."""
    script = script_of(code)
    if script == 0:
        return _SPACE, 0
    if code < len(_LOWER):
        code = _LOWER[code]
    elif _VIETNAMESE[0] <= code <= _VIETNAMESE[1] and kind_of(code) in (LATIN_UPPER, CYRILLIC_UPPER):
        code |= 1  # capitals are even there, small letters odd
    return code, script


@compiled
def _gather(codes: Codes, first: int, last: int, text: Codes, size: int, counts: Indices) -> int:
    """Append a text's letters, with single spaces between words, up to the end of `text`; its new size."""
    fenced = False
    ticks = 0
    for place in range(first, last):
        if size == len(text):
            break
        ticks = ticks + 1 if codes[place] == _TICK else 0
        if ticks == 3:  # noqa: PLR2004  a code fence
            fenced = not fenced
        if fenced:
            continue
        code, script = _letter(codes[place])
        if script:
            counts[script] += 1
        elif size and text[size - 1] == _SPACE:
            continue
        text[size] = code
        size += 1
    if 0 < size < len(text) and text[size - 1] != _SPACE:
        text[size] = _SPACE
        size += 1
    return size


@compiled
def _weigh(
    text: Codes,
    size: int,
    keys: npt.NDArray[np.uint64],
    rows: npt.NDArray[np.int64],
    weights: npt.NDArray[np.int8],
    sums: npt.NDArray[np.int32],
    first: int,
    last: int,
) -> None:
    """Add the weights of every n-gram of a text, with a space before its first letter, to `sums[first:last]`."""
    hits = np.empty(_GRAM * len(text), dtype=np.int64)
    count = 0
    for place in range(-1, size - 1):
        key = np.uint64(_SPACE if place < 0 else _symbol(text[place]))
        for end in range(place + 1, min(place + _GRAM, size)):
            key = (key << _BITS) | np.uint64(_symbol(text[end]))
            hits[count] = _row(keys, rows, key)
            count += int(hits[count] > 0)
    own = sums[first:last]
    for hit in range(count):
        added = weights[hits[hit], first:last]
        for column in range(len(own)):
            own[column] += np.int32(added[column])


@compiled
def weigh(
    codes: Codes,
    starts: Indices,
    owners: Indices,
    messages: Indices,
    num_samples: int,
    most: int,
    first: Indices,
    last: Indices,
    keys: npt.NDArray[np.uint64],
    rows: npt.NDArray[np.int64],
    weights: npt.NDArray[np.int8],
) -> tuple[Indices, Indices, Indices, Indices]:
    """Letters by script of the first `most` characters of each sample's messages, and the language of its main script.

    Args:
        codes: (c,) code points of all texts.
        starts: (m + 1,) text i is `codes[starts[i]:starts[i + 1]]`.
        owners: (k,) sample of each of `messages`, ascending.
        messages: (k,) texts that are read.
        num_samples: n.
        most: letters and spaces of a sample that are read.
        first: see `Model`, as the rest.
        last: see `Model`.
        keys: see `Model`.
        rows: see `Model`.
        weights: see `Model`.

    Returns:
        (n, scripts) letters; (n,) column of the best language, or -1; (n,) its sum of weights, and (n,) that of the
        second, in units of 1 / SCALE nats.
    """
    letters = np.zeros((num_samples, len(first)), dtype=np.int64)
    best = np.full(num_samples, -1, dtype=np.int64)
    lead = np.zeros(num_samples, dtype=np.int64)
    second = np.zeros(num_samples, dtype=np.int64)
    text = np.empty(most, dtype=np.uint32)
    sums = np.zeros(weights.shape[1], dtype=np.int32)
    row = 0
    while row < len(messages):
        sample = owners[row]
        size = 0
        while row < len(messages) and owners[row] == sample:
            if size < most:
                size = _gather(codes, starts[messages[row]], starts[messages[row] + 1], text, size, letters[sample])
            row += 1
        main = np.argmax(letters[sample])
        if letters[sample, main] == 0 or first[main] == last[main]:
            continue
        sums[:] = 0
        _weigh(text, size, keys, rows, weights, sums, first[main], last[main])
        lead[sample] = second[sample] = np.iinfo(np.int64).min
        for column in range(first[main], last[main]):
            if sums[column] > lead[sample]:
                second[sample] = lead[sample]
                lead[sample] = sums[column]
                best[sample] = column
            else:
                second[sample] = max(second[sample], sums[column])
    return letters, best, lead, second
