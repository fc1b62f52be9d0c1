"""Numbers as a reader wants them: grouped digits, shares in percent, short floats."""

import math
from typing import Final

_UNITS: Final = ("bytes", "kB", "MB", "GB", "TB")
_STEP: Final = 1000
_SMALLEST: Final = 0.1  # percent that one decimal can show


def count(number: int) -> str:
    """Digits in groups of three.

    >>> count(1234567)
    '1,234,567'
    """
    return f"{number:,}"


def percent(part: float, whole: float) -> str:
    """Share in percent; a share that is not 0 or 1 never reads as such.

    >>> percent(1, 8), percent(1, 100000), percent(0, 5), percent(1, 0), percent(99999, 100000)
    ('12.5 %', '< 0.1 %', '0 %', '-', '> 99.9 %')
    """
    if not whole:
        return "-"
    share = 100 * part / whole
    if 0 < share < _SMALLEST:
        return "< 0.1 %"
    if _SMALLEST > 100 - share > 0:
        return "> 99.9 %"
    return f"{share:.1f} %".replace(".0 %", " %")


def short(number: float) -> str:
    """Four significant digits at most, integers in full.

    >>> short(3.14159), short(2.0), short(1234567.0), short(0.00001)
    ('3.142', '2', '1,234,567', '1e-05')
    """
    return f"{int(number):,}" if math.isfinite(number) and number == int(number) else f"{number:.4g}"


def size(number: int) -> str:
    """Bytes in decimal units.

    >>> size(999), size(1_234_567)
    ('999 bytes', '1.2 MB')
    """
    value, unit = float(number), 0
    while value >= _STEP and unit < len(_UNITS) - 1:
        value, unit = value / _STEP, unit + 1
    return f"{value:.1f} {_UNITS[unit]}" if unit else f"{number} bytes"
