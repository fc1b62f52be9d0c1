"""OmniCorpus: interleaved documents with a mark for each picture that could be used."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from shards.schema import IMAGE_MARKER
from sources.layouts.interleaved import document, uneven
from sources.layouts.rows import Raw, convert
from sources.layouts.value import Fields, RowError, chosen, extras, list_of
from sources.record import Defect, Record
from sources.spec import Source


@dataclass(frozen=True, slots=True)
class OmniCorpus:
    """Rows of {images, texts, metadata, general_metadata, valid_image}; one document each, as in `interleaved`.

    A text that is `<image>` where there is a picture says the same as null. `valid_image` has one item per picture;
    those marked false are left out, which is the repair `invalid_picture_left_out`. The numbers of
    `general_metadata` can be native scores, `general_metadata.NAME`, where it is an object.

    Source: OpenGVLab/InternVL, the interleaved data set of its pre-training code, for `valid_image` and the tokens;
    no row of the published Parquet files was seen.
    """

    version: ClassVar[int] = 1
    evidence: ClassVar[str] = "upstream code"

    def __call__(self, path: Path, source: Source) -> Iterator[Record | Defect]:
        """One record or defect per row."""
        return convert(path, source, _record)


def _record(raw: Raw, source: Source) -> Record:
    fields = raw.fields()
    texts, images = list_of(fields, "texts"), list_of(fields, "images")
    if len(texts) != len(images):
        raise uneven(texts, images)
    texts = [None if text == IMAGE_MARKER and image else text for text, image in zip(texts, images, strict=True)]
    shown = [index for index, image in enumerate(images) if image not in (None, "")]
    dropped = {index for index, valid in zip(shown, _valid(fields, len(shown)), strict=True) if not valid}
    kept = [index for index in range(len(images)) if index not in dropped]
    message, pictures = document([texts[index] for index in kept], [images[index] for index in kept])
    return Record(
        row=raw.row,
        messages=(message,),
        pictures=pictures,
        meta=extras(fields, ("texts", "images", "metadata", *source.native)),
        native=chosen(fields, source.native),
        repairs=("invalid_picture_left_out",) if dropped else (),
    )


def _valid(fields: Fields, num_pictures: int) -> list[object]:
    if fields.get("valid_image") is None:
        return [True] * num_pictures
    valid = list_of(fields, "valid_image")
    if len(valid) != num_pictures or not all(isinstance(item, bool) for item in valid):
        raise RowError(
            "wrong_type",
            f"expected a bool for each of {num_pictures} pictures in `valid_image`, found {len(valid)} items",
        )
    return valid
