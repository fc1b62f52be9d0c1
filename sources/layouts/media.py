"""What records say about their pictures and videos."""

import base64
import re
from typing import Final

from sources.layouts.value import Fields, RowError, kind, need, shown
from sources.record import Embedded, Member, PictureRef, Url

_SHA256: Final = re.compile(r"[0-9a-f]{64}")


def pictures_of(value: object, name: str) -> tuple[PictureRef, ...]:
    """The pictures of a column: a path, a URL, bytes, a {bytes, path} object, or a list of these.

    Null, empty text, an empty list and an object without bytes and path say that there is no picture.

    Raises:
        RowError: `wrong_type`, the column holds something else, or a list holds an empty item.
    """
    if not isinstance(value, list):
        picture = _picture(value, name)
        return () if picture is None else (picture,)
    found = [_picture(item, name) for item in value]
    pictures = tuple(picture for picture in found if picture is not None)
    if len(pictures) < len(found):
        raise RowError("wrong_type", f"expected pictures in the list `{name}`, found an empty item")
    return pictures


def picture_at(location: str) -> PictureRef:
    """The picture behind a path, an http(s) URL, or a base64 `data:` URL.

    Raises:
        RowError: `wrong_type`, the base64 is broken.
    """
    if location.startswith(("http://", "https://")):
        return Url(location)
    if location.startswith("data:"):
        return decoded(location.partition(",")[2], "a data URL")
    return Member(relative(location))


def decoded(text: str, name: str) -> Embedded:
    """The picture that a text holds as base64, line breaks in it left out.

    Raises:
        RowError: `wrong_type`.
    """
    try:
        return Embedded(base64.b64decode("".join(text.split()), validate=True))
    except ValueError as error:  # binascii.Error, or letters outside ASCII
        raise RowError("wrong_type", f"expected base64 in {name}, found {error}") from error


def encoded_pictures(value: object, name: str) -> tuple[PictureRef, ...]:
    """The pictures of a base64 text or a list of them; null, empty text and an empty list say that there is none.

    Raises:
        RowError: `wrong_type`.
    """
    items = value if isinstance(value, list) else [] if value in (None, "") else [value]
    return tuple(_encoded(item, name) for item in items)


def url_of(fields: Fields) -> Url:
    """The picture of a PixMo row: `image_url`, with `image_sha256` where the row has one.

    Raises:
        RowError: `missing_field` or `wrong_type`.
    """
    url, sha256 = need(fields, "image_url"), fields.get("image_sha256")
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        raise RowError("wrong_type", f"expected an http(s) address in `image_url`, found {shown(url)}")
    if sha256 in (None, ""):
        return Url(url)
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256.lower()):
        raise RowError("wrong_type", f"expected 64 hex digits in `image_sha256`, found {shown(sha256)}")
    return Url(url, sha256.lower())


def videos_of(value: object, name: str) -> tuple[str, ...]:
    """The videos of a column: a path or a list of paths; null, empty text and an empty list say that there is none.

    Raises:
        RowError: `wrong_type`.
    """
    if value in (None, ""):
        return ()
    return tuple(_video(item, name) for item in (value if isinstance(value, list) else [value]))


def relative(path: str) -> str:
    """The path without leading `./`."""
    while path.startswith("./"):
        path = path[2:].lstrip("/")
    return path


def _encoded(value: object, name: str) -> Embedded:
    if not isinstance(value, str) or not value:
        raise RowError("wrong_type", f"expected base64 text in `{name}`, found {kind(value) if value else 'nothing'}")
    return decoded(value, f"`{name}`")


def _video(value: object, name: str) -> str:
    if not isinstance(value, str) or not value:
        raise RowError("wrong_type", f"expected paths of videos in `{name}`, found {kind(value)}")
    return relative(value)


def _picture(value: object, name: str) -> PictureRef | None:
    if isinstance(value, dict):
        data, value = value.get("bytes"), value.get("path")
        if isinstance(data, bytes):
            return Embedded(data)
        if data is not None:
            raise RowError("wrong_type", f"expected bytes in `{name}.bytes`, found {kind(data)}")
    if isinstance(value, bytes):
        return Embedded(value)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise RowError("wrong_type", f"expected a picture in `{name}`, found {kind(value)}")
    return picture_at(value)
