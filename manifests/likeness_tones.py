"""One picture in the tones and the sharpness of another that it lies on."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from manifests.likeness_align import Placement
from manifests.likeness_kernels import Gray, levels_of, smooth_apart, square_apart, tone_counts, tone_sums, toned
from manifests.likeness_regions import Region

Tones = NDArray[np.uint16]
"""(h, w) sixteenths of gray levels, as `sixteenths` smooths a picture."""

_OUTLIER: Final = 24.0
"""Gray levels: a pixel further from what it should be says nothing of tones and sharpness."""

_BEND: Final = 48.0
"""Gray levels that a tone curve may lie off a straight one: a gamma of 1.5 reaches 40."""

_FINE: Final = 16
_LEVELS: Final = np.arange(255 * _FINE + 1) / _FINE
"""Steps by gray level, and gray levels, that a picture has once smoothed: whole sixteenths."""

_BLURS: Final = 4


def straight(mine: Tones, placement: Placement) -> Gray:
    """The first picture in the gain and offset of a placement, (h, w) float32."""
    curve = np.float32(placement.gain) * _LEVELS.astype(np.float32) + np.float32(placement.offset)
    return np.asarray(toned(mine, curve))


def matched(mine: Tones, other: Tones, placement: Placement, captions: list[Region]) -> tuple[Gray, Gray]:
    """The first picture in the tones of the second, and the sharper one blurred as long as that brings them nearer."""
    shown = levels_of(other)
    pair = _toned(mine, other, shown, placement, captions), shown
    apart = float(square_apart(*pair, _OUTLIER))  # mean square, of what lies within the reach of blur and noise
    for sharper in (0, 1):
        blurred = False
        for _ in range(_BLURS):
            soft, left = smooth_apart(pair[sharper], pair[1 - sharper], _OUTLIER, 0.97 * apart)
            if left >= 0.97 * apart:
                break
            pair, apart, blurred = (pair[0], soft) if sharper else (soft, pair[1]), left, True
        if blurred:
            break
    return pair


def _toned(mine: Tones, other: Tones, shown: Gray, placement: Placement, captions: list[Region]) -> Gray:
    """A curve through the mean tone of the second at each of 32 tones of the first, of pixels near a straight one.

    The straight one is that of the placement, which no caption bends; the tones that few pixels have follow it.
    """
    if not captions and (placement.gain, placement.offset) == (1.0, 0.0):
        number, tones, bends = tone_counts(mine, other, _BEND)
    else:
        shown = shown.copy() if captions else shown
        for region in captions:
            shown[region.top : region.bottom, region.left : region.right] = np.nan
        number, tones, bends = tone_sums(levels_of(mine), shown, placement.gain, placement.offset, _BEND)
    known = number > 1e-4 * mine.size
    curve = placement.gain * _LEVELS + placement.offset
    if known.any():
        curve += np.interp(_LEVELS, tones[known] / number[known], bends[known] / number[known])
    return np.asarray(toned(mine, curve.astype(np.float32)))
