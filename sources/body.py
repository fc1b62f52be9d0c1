"""Bodies of answers: unpacked within bounds, and written only as long as they may be a picture."""

import hashlib
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import httpx
from PIL import Image as PillowImage

from shards.errors import PictureError
from shards.picture import FORMATS

_PIECE: Final = 64 << 10  # bytes that a content encoding may unfold to at a time
_SNIFF: Final = 16  # first bytes by which Pillow tells formats apart
_WBITS: Final = {"gzip": 31, "x-gzip": 31, "deflate": 15}  # content encodings by zlib's window argument


async def decoded(response: httpx.Response) -> AsyncIterator[bytes]:
    """The body without its content encoding, in bounded pieces; httpx unfolds whatever arrives at once.

    Raises:
        PictureError: `download_undecodable`.
    """
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding == "identity":
        async for piece in response.aiter_raw():
            yield piece
        return
    if encoding not in _WBITS:
        raise PictureError("download_undecodable", f"content encoding `{encoding[:40]}`")
    unpacker = zlib.decompressobj(_WBITS[encoding])
    try:
        async for piece in response.aiter_raw():
            yield unpacker.decompress(piece, _PIECE)
            while unpacker.unconsumed_tail:
                yield unpacker.decompress(unpacker.unconsumed_tail, _PIECE)
    except zlib.error as error:
        raise PictureError("download_undecodable", f"{encoding}: {error}") from error
    if not unpacker.eof:
        raise PictureError("download_undecodable", f"{encoding}: ends early")


async def write_body(path: Path, pieces: AsyncIterator[bytes], max_bytes: int) -> str:
    """Write a body that a decoder would look at, as the decoders themselves say; gives its SHA-256.

    Raises:
        PictureError: `download_not_picture`, or `download_too_large`: more than `max_bytes`.
    """
    PillowImage.init()
    accepts = [PillowImage.OPEN[name][1] for name in FORMATS]
    digest, total, head = hashlib.sha256(), 0, b""
    with path.open("wb") as file:
        async for piece in pieces:
            total += len(piece)
            if total > max_bytes:
                raise PictureError("download_too_large", f"more than {max_bytes} bytes")
            if len(head) < _SNIFF:
                head += piece[:_SNIFF]
                if len(head) >= _SNIFF and not any(accept is None or accept(head) for accept in accepts):
                    raise PictureError("download_not_picture", f"no known picture format, starts with {head[:8]!r}")
            digest.update(piece)
            file.write(piece)
    return digest.hexdigest()
