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


def _inside(ranges: Ranges) -> str:
    return "".join(f"\\x{{{low:x}}}-\\x{{{high:x}}}" for low, high in ranges)


WORD: Final = f"[{_inside(HAN)}]|[^{_inside(SPACES + HAN + MARKS)}]+"
"""Regular expression (Rust) of one word: one Han or kana character, or a run of others up to white space or CJK marks.

Thai, Lao, Khmer and Burmese are written without spaces, so a whole phrase of theirs counts as one word.
"""
