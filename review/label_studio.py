"""The review queue as Label Studio tasks with the labelling configuration that shows them.

Pictures are served from the local disk. Start Label Studio with LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true and
LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT set to the folder of the export, add its `pictures` folder as local source
storage of the project without syncing it (Label Studio serves only below a registered storage), then import
`tasks.json`. If the document root is a folder further up, `prefix` names the export's folder relative to it.

Source: HumanSignal/label-studio, label_studio/io_storages/localfiles/README.md and label_studio/tasks/validation.py:
a task without a field that the configuration shows is refused, so every task has all picture fields. `Image` draws
nothing for an empty text (its `valueList` breaks on an empty list and needs a feature flag in older versions).
`Paragraphs` shows text as text, never as markup (web/libs/editor/src/tags/object/Paragraphs/Phrases.jsx).
"""

from collections.abc import Iterable
from typing import Final, TextIO
from urllib.parse import quote
from xml.etree import ElementTree

from pydantic import JsonValue

from review.item import Reason, ReviewItem
from review.sheet import show
from shards.files import canonical_json

PICTURE_SLOTS: Final = 8
"""Most pictures that a task shows. Ours; the files of further ones are named in the task."""

_NUL: Final = "\u2400"  # the symbol for NUL: PostgreSQL, which Label Studio may use, refuses the character itself


def write_tasks(handle: TextIO, items: Iterable[ReviewItem], prefix: str) -> int:
    """Write a JSON list with one task a line; returns how many picture slots the fullest task needs."""
    slots = 0
    separator = "[\n"
    for item in items:
        slots = max(slots, min(len(item.pictures), PICTURE_SLOTS))
        handle.write(separator + canonical_json({"data": _data(item, prefix)}))
        separator = ",\n"
    handle.write("[]\n" if separator == "[\n" else "\n]\n")
    return slots


def configuration(slots: int) -> str:
    """The labelling configuration (XML) for tasks of at most `slots` pictures; no text of a sample is in it."""
    view = ElementTree.Element("View")
    _add(view, "Header", value="$key")
    _add(view, "Paragraphs", name="reasons", value="$reasons", nameKey="rule", textKey="why", layout="none")
    for slot in range(1, slots + 1):
        _add(view, "Image", name=f"picture_{slot}", value=f"$picture_{slot}", zoom="true", zoomControl="true")
    _add(
        view,
        "Paragraphs",
        name="conversation",
        value="$conversation",
        nameKey="author",
        textKey="text",
        layout="dialogue",
    )
    verdict = _add(
        view,
        "Choices",
        name="verdict",
        toName="conversation",
        choice="single-radio",
        required="true",
        showInline="true",
    )
    _add(verdict, "Choice", value="keep", hotkey="k")
    _add(verdict, "Choice", value="drop", hotkey="d")
    _add(view, "TextArea", name="note", toName="conversation", rows="2", maxSubmissions="1", placeholder="note")
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="unicode") + "\n"


def _add(parent: ElementTree.Element, tag: str, **attributes: str) -> ElementTree.Element:
    return ElementTree.SubElement(parent, tag, attributes)


def _data(item: ReviewItem, prefix: str) -> dict[str, JsonValue]:
    urls = [_url(picture.file, prefix) for picture in item.pictures]
    shown = [*urls[:PICTURE_SLOTS], *[""] * (PICTURE_SLOTS - len(urls))]
    named = {name: getattr(item, name) or "" for name in ("id", "key", "entry", "source", "domain", "stage", "cluster")}
    return {
        **{name: _clean(text) for name, text in named.items()},
        "margin": item.margin,
        "reasons": _reasons(item),
        "conversation": [{"author": turn.role, "text": _clean(turn.text)} for turn in item.messages],
        **{f"picture_{slot}": url for slot, url in enumerate(shown, 1)},
    }


def _reasons(item: ReviewItem) -> list[JsonValue]:
    lines = [(reason.rule, _why(reason)) for reason in item.reasons]
    lines += [(reason.rule, f"unknown: {reason.predicate}") for reason in item.unknown]
    lines += [(name, show(item, name)) for name in item.scores]
    lines += [("picture not shown", picture.file) for picture in item.pictures[PICTURE_SLOTS:]]
    lines += [("video", video) for video in item.videos]
    return [{"rule": _clean(rule), "why": _clean(why)} for rule, why in lines]


def _why(reason: Reason) -> str:
    away = [f"{each.score} {each.distance:+.4g}" for each in reason.comparisons if each.distance is not None]
    return f"{reason.predicate} ({', '.join(away)})" if away else reason.predicate


def _url(file: str, prefix: str) -> str:
    path = f"{prefix.strip('/')}/{file}".lstrip("/")
    return f"/data/local-files/?d={quote(path)}"


def _clean(text: str) -> str:
    return text.replace("\0", _NUL)
