"""Classes of code points: what parts words, and what is a word by itself.

The regular expression and the compiled kernels are made from the same ranges.
"""

from typing import Final

Ranges = tuple[tuple[int, int], ...]

SPACES: Final[Ranges] = (
    (0x20, 0x20),
    (0x09, 0x0D),
    (0x85, 0x85),
    (0xA0, 0xA0),
    (0x1680, 0x1680),
    (0x2000, 0x200A),
    (0x2028, 0x2029),
    (0x202F, 0x202F),
    (0x205F, 0x205F),
    (0x3000, 0x3000),
)
"""First and last code points of Unicode's White_Space property (Python's `isspace` adds four control codes)."""

HAN: Final[Ranges] = (
    (0x3005, 0x3007),
    (0x3040, 0x30FF),
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)
"""Han and kana characters. Korean is written with spaces and needs no special care."""

MARKS: Final[Ranges] = (
    (0x3001, 0x3004),
    (0x3008, 0x303F),
    (0xFF00, 0xFF0F),
    (0xFF1A, 0xFF20),
    (0xFF3B, 0xFF40),
    (0xFF5B, 0xFF65),
)
"""CJK punctuation: parts words like a space."""

ALNUM: Final[Ranges] = ((0x30, 0x39), (0x41, 0x5A), (0x61, 0x7A), (0x80, 0x10FFFF))
"""Letters and digits, roughly: ASCII ones and every code point beyond ASCII."""


UNSPACED: Final[Ranges] = ((0xE00, 0xEFF), (0xF00, 0xFFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x19E0, 0x1A1F))
"""Thai, Lao, Tibetan, Burmese, Khmer and New Tai Lue: written without spaces between words."""

DIGITS: Final[Ranges] = ((0x30, 0x39), (0x660, 0x669), (0x6F0, 0x6F9), (0x966, 0x96F), (0xFF10, 0xFF19))
"""ASCII, Arabic, Persian, Devanagari and full-width digits."""

LETTERS: Final[Ranges] = (
    (0x41, 0x5A),
    (0x61, 0x7A),
    (0xAA, 0xAA),
    (0xB5, 0xB5),
    (0xBA, 0xBA),
    (0xC0, 0xD6),
    (0xD8, 0xF6),
    (0xF8, 0x589),
    (0x591, 0x5F2),
    (0x610, 0x61A),
    (0x620, 0x669),
    (0x66E, 0x6D3),
    (0x6D5, 0x6FF),
    (0x710, 0x963),
    (0x966, 0x1FFF),
    (0x2C00, 0x2DFF),
    (0xA000, 0xABFF),
    (0xAC00, 0xD7FF),
    (0xFB00, 0xFDFF),
    (0xFE70, 0xFEFE),
    (0xFF21, 0xFF3A),
    (0xFF41, 0xFF5A),
    (0xFF66, 0xFFDC),
)
"""Letters and combining marks of the Basic Multilingual Plane, roughly: what makes up a word of a spaced script."""


def _inside(ranges: Ranges) -> str:
    return "".join(f"\\x{{{low:x}}}-\\x{{{high:x}}}" for low, high in ranges)


WORD: Final = f"[{_inside(HAN)}]|[^{_inside(SPACES + HAN + MARKS)}]+"
"""Regular expression (Rust) of one word: one Han or kana character, or a run of others up to white space or CJK marks.

Thai, Lao, Khmer and Burmese are written without spaces, so a whole phrase of theirs counts as one word.
"""
