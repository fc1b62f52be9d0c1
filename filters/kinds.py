"""Kinds and scripts of characters as tables over the Basic Multilingual Plane, for the compiled kernels."""

from typing import Final

import numpy as np
import numpy.typing as npt

from filters.compiled import compiled
from filters.letters import DIGITS, HAN, LETTERS, SPACES, UNSPACED, Ranges

(
    SPECIAL,
    SPACE,
    DIGIT,
    LATIN_LOWER,
    LATIN_UPPER,
    GREEK_LOWER,
    GREEK_UPPER,
    CYRILLIC_LOWER,
    CYRILLIC_UPPER,
    LETTER,
    COMBINING,
    CONTROL,
    INVISIBLE,
    BIDI,
    PRIVATE,
    REPLACEMENT,
) = range(16)
"""Punctuation and symbols; white space; digits; cased letters by script; other letters; marks that stand over the
letter before; control codes; characters without a glyph; marks of writing direction; private use; U+FFFD."""
NUM_KINDS: Final = 16

_PLANE: Final = 0x10000
_CASED: Final = (
    (LATIN_LOWER, LATIN_UPPER, ((0x41, 0x5A), (0x61, 0x7A), (0xC0, 0x24F), (0x1E00, 0x1EFF))),
    (GREEK_LOWER, GREEK_UPPER, ((0x370, 0x3FF), (0x1F00, 0x1FFF))),
    (CYRILLIC_LOWER, CYRILLIC_UPPER, ((0x400, 0x52F),)),
)
_MARKED: Final[tuple[tuple[int, Ranges], ...]] = (
    (COMBINING, ((0x300, 0x36F), (0x483, 0x489), (0x1AB0, 0x1AFF), (0x1DC0, 0x1DFF), (0x20D0, 0x20FF))),
    (COMBINING, ((0x591, 0x5BD), (0x5BF, 0x5BF), (0x5C1, 0x5C2), (0x5C4, 0x5C5), (0x610, 0x61A), (0x64B, 0x65F))),
    (COMBINING, ((0xE31, 0xE31), (0xE34, 0xE3A), (0xE47, 0xE4E), (0xFE20, 0xFE2F))),
    (DIGIT, DIGITS),
    (SPACE, SPACES),
    (CONTROL, ((0x00, 0x08), (0x0E, 0x1F), (0x7F, 0x84), (0x86, 0x9F), (0xFDD0, 0xFDEF), (0xFFFE, 0xFFFF))),
    # not the joiners U+200C and U+200D, which Persian, Indic scripts and emoji are spelled with
    (INVISIBLE, ((0xAD, 0xAD), (0x180E, 0x180E), (0x200B, 0x200B), (0x2060, 0x2065), (0xFEFF, 0xFEFF))),
    (BIDI, ((0x200E, 0x200F), (0x202A, 0x202E), (0x2066, 0x206F))),
    (PRIVATE, ((0xE000, 0xF8FF),)),
    (REPLACEMENT, ((0xFFFD, 0xFFFD),)),
)

SCRIPTS: Final[tuple[tuple[str, Ranges], ...]] = (
    ("latin", ((0x41, 0x5A), (0x61, 0x7A), (0xC0, 0xD6), (0xD8, 0xF6), (0xF8, 0x24F), (0x1E00, 0x1EFF))),
    ("greek", ((0x370, 0x3FF), (0x1F00, 0x1FFF))),
    ("cyrillic", ((0x400, 0x52F),)),
    ("armenian", ((0x530, 0x58F),)),
    ("hebrew", ((0x590, 0x5FF),)),
    ("arabic", ((0x600, 0x6FF), (0x750, 0x77F), (0xFB50, 0xFDCF), (0xFE70, 0xFEFE))),
    ("devanagari", ((0x900, 0x963), (0x966, 0x97F))),
    ("bengali", ((0x980, 0x9FF),)),
    ("gurmukhi", ((0xA00, 0xA7F),)),
    ("gujarati", ((0xA80, 0xAFF),)),
    ("oriya", ((0xB00, 0xB7F),)),
    ("tamil", ((0xB80, 0xBFF),)),
    ("telugu", ((0xC00, 0xC7F),)),
    ("kannada", ((0xC80, 0xCFF),)),
    ("malayalam", ((0xD00, 0xD7F),)),
    ("sinhala", ((0xD80, 0xDFF),)),
    ("thai", ((0xE00, 0xE7F),)),
    ("lao", ((0xE80, 0xEFF),)),
    ("tibetan", ((0xF00, 0xFFF),)),
    ("burmese", ((0x1000, 0x109F),)),
    ("georgian", ((0x10A0, 0x10FF),)),
    ("ethiopic", ((0x1200, 0x139F),)),
    ("khmer", ((0x1780, 0x17FF),)),
    ("mongolian", ((0x1800, 0x18AF),)),
    ("hangul", ((0x1100, 0x11FF), (0x3130, 0x318F), (0xAC00, 0xD7A3))),
    ("kana", ((0x3041, 0x30FA), (0x30FC, 0x30FF), (0x31F0, 0x31FF), (0xFF66, 0xFF9F))),
    ("han", ((0x3005, 0x3007), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF))),
)
"""Scripts and the ranges of their letters. Source: blocks of the Unicode standard."""


def _kinds() -> npt.NDArray[np.uint8]:
    kinds = np.full(_PLANE, SPECIAL, dtype=np.uint8)
    for ranges in (LETTERS, HAN, UNSPACED):
        for low, high in ranges:
            kinds[low : min(high, _PLANE - 1) + 1] = LETTER
    for lower, upper, ranges in _CASED:
        codes = [code for low, high in ranges for code in range(low, high + 1) if chr(code).isalpha()]
        kinds[codes] = [upper if chr(code).isupper() else lower for code in codes]
    for kind, ranges in _MARKED:
        for low, high in ranges:
            kinds[low : high + 1] = kind
    return kinds


def _scripts() -> npt.NDArray[np.uint8]:
    scripts = np.zeros(_PLANE, dtype=np.uint8)
    for number, (_, ranges) in enumerate(SCRIPTS, 1):
        for low, high in ranges:
            scripts[low : high + 1] = number
    return scripts


_KINDS: Final = _kinds()
_SCRIPTS: Final = _scripts()
_FAR_HAN: Final = (0x20000, 0x3FFFF)
_FAR_PRIVATE: Final = 0xF0000


@compiled
def kind_of(code: int) -> int:
    """Kind of a code point, one of the constants of this module."""
    if code < _PLANE:
        return int(_KINDS[code])
    if code >= _FAR_PRIVATE:
        return PRIVATE
    return LETTER if _FAR_HAN[0] <= code <= _FAR_HAN[1] else SPECIAL


@compiled
def script_of(code: int) -> int:
    """Script of a letter: 1 + its place in `SCRIPTS`; 0 for everything else."""
    if code < _PLANE:
        return int(_SCRIPTS[code])
    return len(SCRIPTS) if _FAR_HAN[0] <= code <= _FAR_HAN[1] else 0
