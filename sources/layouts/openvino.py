"""OpenVINO text spotting: words in Open Images pictures, in the style of COCO."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from sources.layouts.spotting import Scene, Word, convert_scenes, corners_of
from sources.layouts.value import Fields, as_text, list_of, need, object_of, text_of
from sources.record import Defect, Record
from sources.spec import Source


@dataclass(frozen=True, slots=True)
class OpenVino:
    """One JSON object {images: list of {id, file_name}, annotations: list of {image_id, segmentation, attributes}}.

    Annotations are joined by id: they need not be sorted, and the last picture is not lost. `attributes` holds
    {legible, transcription}; the corners of all polygons of a word count.
    """

    version: ClassVar[int] = 1
    evidence: ClassVar[str] = "upstream code"

    def __call__(self, path: Path, source: Source) -> Iterator[Record | Defect]:
        """One record or defect per picture.

        Raises:
            SourceError: the file cannot be read as a whole.
        """
        return convert_scenes(path, source, ("images", "annotations"), _scene, _word)


def _scene(_: str, fields: Fields) -> Scene:
    image_id = text_of(fields, "id")
    return Scene(image_id, text_of(fields, "file_name"), {"image_id": image_id})


def _word(fields: Fields) -> tuple[str, Word]:
    attributes = object_of(need(fields, "attributes"), "attributes")
    corners = corners_of(list_of(fields, "segmentation"), "segmentation")
    word = Word(text_of(attributes, "transcription"), corners, attributes.get("legible") is not False)
    return as_text(need(fields, "image_id"), "image_id"), word
