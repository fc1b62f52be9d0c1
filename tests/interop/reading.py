"""What every reader prints, and what the test expects of it: one line of JSON per row that the outside package gave.

Only the standard library is used, since each environment imports this.
"""

import hashlib
import json
import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any

Row = dict[str, Any]


def row(entry: str, key: str | None, texts: Iterable[str], pictures: Sequence[bytes]) -> Row:
    """A row in a form that all formats share.

    Args:
        entry: id of the entry, or name of its part.
        key: of the sample; null where the format has no room for it.
        texts: of all messages, with `<image>` where pictures stand.
        pictures: original bytes, in order.

    Returns:
        `entry`, `key`, `text`: digest of all texts without white space and markers; `places`: for each marker, the
        characters before it; `pictures`: their digests.
    """
    literal = re.sub(r"< (image|video)>", r"(\1)", "\0".join(texts))
    pieces = re.sub(r"[\s\0]|<video>", "", literal).split("<image>")
    places = [sum(map(len, pieces[:number])) for number in range(1, len(pieces))]
    text = hashlib.sha256("".join(pieces).encode()).hexdigest()
    found = [hashlib.sha256(picture).hexdigest() for picture in pictures]
    return {"entry": entry.removesuffix(".more"), "key": key, "text": text, "places": places, "pictures": found}


def tell(rows: Iterable[Row]) -> None:
    """Print the rows."""
    for found in rows:
        sys.stdout.write(json.dumps(found, sort_keys=True) + "\n")
