"""Encoded pictures for tests, the same for the same seed."""

import io

import numpy as np
from PIL import Image


def noise(seed: int, width: int = 64, height: int = 48, kind: str = "PNG") -> bytes:
    """A picture of random pixels."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, kind)
    return target.getvalue()
