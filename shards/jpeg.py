"""Proof, without decoding, that a JPEG decodes.

libjpeg takes any coded bits for a picture: those that mean nothing give zeros and a warning. It fails over wrong
headers and tables and over a marker where none belongs, and Pillow fails where the end marker is missing. Headers and
tables are read here, markers are found at the speed of memory. What is rare is not proven, and has to be decoded.

Source: ITU-T T.81, annex B; every `ERREXIT` of the decoder in libjpeg-turbo/libjpeg-turbo, src/jd*.c, commit 8a99315b.
"""

from bisect import bisect_left
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate
from typing import Final, NamedTuple

import numpy as np

_DHT, _EOI, _SOS, _DQT, _DRI, _COM = 0xC4, 0xD9, 0xDA, 0xDB, 0xDD, 0xFE
_SEQUENTIAL: Final = (0xC0, 0xC1)
_PROGRESSIVE: Final = 0xC2
_APPLICATION: Final = range(0xE0, 0xF0)
_MARK: Final = 0xFF
_END: Final = bytes((_MARK, _EOI))
_RESTART, _RESTARTS = 0xD0, 0xF8  # the eight restart markers under their mask
_MAX_SIDE: Final = 65_500
_MAX_BLOCKS: Final = 10  # of one interleaved unit
_MAX_LOW_BIT: Final = 13
_BLOCK: Final = 64
_BITS: Final = 8  # of a sample
_COMPONENTS: Final = (1, 3, 4)
_MAX_TABLE: Final = 3
_MAX_CODES: Final = 256
_MAX_CATEGORY: Final = 15
_INTERVAL_BYTES: Final = 2
_CODE_LENGTHS: Final = 16
_REMEMBERED: Final = 64  # segments of tables and sizes; most encoders write the same ones into many pictures
_LONG_ENOUGH: Final = 14  # bytes of a segment up to the last one that Pillow reads by its position, and more
_MAX_DC: Final = (1 << 31) - 1


class _UnprovenError(Exception):
    """Not a picture that this module vouches for."""


class _Component(NamedTuple):
    across: int
    down: int
    quantization: int


@dataclass(frozen=True, slots=True)
class _Frame:
    width: int
    height: int
    progressive: bool
    blocks: int
    """Blocks of the component that has most, rounded up to whole units."""
    components: dict[int, _Component]


@dataclass(slots=True)
class _Tables:
    """The tables in force; a later one takes the place of an earlier one of its number."""

    quantization: set[int] = field(default_factory=set)
    direct: dict[int, int] = field(default_factory=dict)
    """Largest difference that a table of DC codes can say, by number."""
    alternating: set[int] = field(default_factory=set)


class Proof(NamedTuple):
    """Pixels of a JPEG that decodes if Pillow opens it, which is certain too where the header `is_plain`."""

    width: int
    height: int
    is_plain: bool


def prove(data: bytes) -> Proof | None:
    """The proof that Pillow decodes a JPEG; None where that is not known.

    Only for 8 bits, Huffman codes, sequential or progressive, 1, 3 or 4 components, up to its end marker.
    """
    try:
        return _walk(data)
    except (_UnprovenError, IndexError):
        return None


def _walk(data: bytes) -> Proof:
    tables = _Tables()
    frame, marks, at = None, None, 2
    more = is_plain = True
    while True:
        mark, body, at = _segment(data, at)
        if mark == _SOS and frame:
            _need(more)
            components = _scan(body, frame, tables)
            if marks is None:
                # the first scan decides whether libjpeg expects others
                more = frame.progressive or components < len(frame.components)
                marks = _marks(data, at)
            at = marks[bisect_left(marks, at)]
            if data[at + 1] == _EOI:
                return Proof(frame.width, frame.height, is_plain)
        elif mark in (*_SEQUENTIAL, _PROGRESSIVE) and not frame:
            frame = _frame(body, progressive=mark == _PROGRESSIVE)
        elif mark in _APPLICATION or mark == _COM:
            # between scans these are as harmless, and nobody writes them there
            _need(marks is None)
            is_plain = is_plain and _is_plain(body)
        else:
            _define(mark, body, tables)


def _is_plain(body: bytes) -> bool:
    """Whether Pillow cannot stumble over an application segment or a comment; it opens no picture where it does.

    Source: python-pillow/Pillow 13.0, src/PIL/JpegImagePlugin.py, `APP`, `SOF`, `_read_dpi_from_exif`, `jpeg_factory`.
    """
    if body.startswith((b"Exif", b"Photoshop", b"MPF")):
        return False
    return len(body) >= _LONG_ENOUGH or not body.startswith((b"JFIF", b"Adobe", b"ICC_PROFILE"))


def _need(condition: bool) -> None:
    if not condition:
        raise _UnprovenError


def _segment(data: bytes, at: int) -> tuple[int, bytes, int]:
    """Marker, content and end of the segment at `at`."""
    end = at + 2 + (data[at + 2] << 8 | data[at + 3])
    _need(data[at] == _MARK and at + 4 <= end <= len(data))
    return data[at + 1], data[at + 4 : end], end


def _marks(data: bytes, start: int) -> list[int]:
    """Where markers stand that end coded data: not a stuffed 0xFF, not a restart."""
    codes = np.frombuffer(data, np.uint8)
    is_mark = codes[start:-1] == _MARK
    is_mark &= codes[start + 1 :] != 0
    # 9 us for 100 kB up to the first one, which is mostly the only one; 18 us for all, 41 us by a regular expression
    first = start + int(is_mark.argmax()) if len(is_mark) else start
    if data[first : first + 2] == _END:
        return [first]
    found = start + np.flatnonzero(is_mark)
    marks: list[int] = found[codes[found + 1] & _RESTARTS != _RESTART].tolist()
    return marks


def _define(mark: int, body: bytes, tables: _Tables) -> None:
    if mark == _DHT:
        direct, alternating = _huffman(body)
        tables.direct |= direct
        tables.alternating |= alternating
    elif mark == _DQT:
        tables.quantization |= _quantization(body)
    else:
        _need(mark == _DRI and len(body) == _INTERVAL_BYTES)


@lru_cache(_REMEMBERED)
def _quantization(body: bytes) -> frozenset[int]:
    """Numbers of the tables in a segment."""
    found, at = set(), 0
    while at < len(body):
        wide, number = divmod(body[at], 16)
        at += 1 + _BLOCK * (1 + wide)
        _need(wide <= 1 and number <= _MAX_TABLE and at <= len(body))
        found.add(number)
    return frozenset(found)


@lru_cache(_REMEMBERED)
def _huffman(body: bytes) -> tuple[dict[int, int], frozenset[int]]:
    """Tables in a segment: of DC codes with the largest difference that they can say, and of AC codes."""
    direct, alternating, at = {}, set(), 0
    while at < len(body):
        kind, number = divmod(body[at], 16)
        counts = body[at + 1 : at + 1 + _CODE_LENGTHS]
        symbols = body[at + 1 + _CODE_LENGTHS :][: sum(counts)]
        at += 1 + len(counts) + len(symbols)
        _need(kind <= 1 and number <= _MAX_TABLE and len(counts) == _CODE_LENGTHS)
        _need(len(symbols) == sum(counts) <= _MAX_CODES and _is_prefix_code(counts))
        if kind == 1:
            alternating.add(number)
        else:
            category = max(symbols, default=0)
            _need(category <= _MAX_CATEGORY)
            direct[number] = (1 << category) - 1
    return direct, frozenset(alternating)


def _is_prefix_code(counts: bytes) -> bool:
    """Whether so many codes of each length fit; the one of all ones stays free."""
    # as libjpeg does it: after the codes of a length, the next code must still have that length
    used = list(accumulate(counts, lambda code, count: 2 * code + count, initial=0))[1:]
    return all(code < 1 << length for length, (code, count) in enumerate(zip(used, counts, strict=True), 1) if count)


@lru_cache(_REMEMBERED)
def _frame(body: bytes, *, progressive: bool) -> _Frame:
    height, width, number = body[1] << 8 | body[2], body[3] << 8 | body[4], body[5]
    _need(body[0] == _BITS and number in _COMPONENTS and len(body) == 6 + 3 * number)
    _need(0 < height <= _MAX_SIDE and 0 < width <= _MAX_SIDE)
    parts = [body[at : at + 3] for at in range(6, len(body), 3)]
    components = {name: _Component(*divmod(factors, 16), table) for name, factors, table in parts}
    _need(len(components) == number)
    across, down = (max(part[axis] for part in components.values()) for axis in (0, 1))
    for part in components.values():
        _need(part.across in {1, 2, 4} and part.down in {1, 2, 4})
        # others than whole multiples are refused when rows are scaled up
        _need(across % part.across == 0 and down % part.down == 0)
    blocks = -(-width // (8 * across)) * across * -(-height // (8 * down)) * down
    return _Frame(width, height, progressive, blocks, components)


def _scan(body: bytes, frame: _Frame, tables: _Tables) -> int:
    """Check the header of a scan; the number of its components."""
    number = body[0]
    _need(1 <= number <= max(_COMPONENTS) and len(body) == 4 + 2 * number)
    names, selected = body[1 : 1 + 2 * number : 2], body[2 : 2 + 2 * number : 2]
    first, last, approximation = body[-3:]
    _need(len(set(names)) == number and set(names) <= frame.components.keys())
    parts = [frame.components[name] for name in names]
    _need(number == 1 or sum(part.across * part.down for part in parts) <= _MAX_BLOCKS)
    _need({part.quantization for part in parts} <= tables.quantization)
    if frame.progressive:
        _progression(number, first, last, approximation)
    else:
        _need((first, last, approximation) == (0, _BLOCK - 1, 0))
    refines = frame.progressive and approximation >> 4 != 0
    for table in selected:
        if last:
            _need(table % 16 in tables.alternating)
        if not first and not refines:
            # sums of differences that leave 32 bits are refused
            _need(table // 16 in tables.direct and tables.direct[table // 16] * frame.blocks <= _MAX_DC)
    return number


def _progression(number: int, first: int, last: int, approximation: int) -> None:
    high, low = divmod(approximation, 16)
    _need(last == 0 if first == 0 else number == 1 and first <= last < _BLOCK)
    _need(low <= _MAX_LOW_BIT and (not high or low == high - 1))
