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

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, TextIO
from urllib.parse import quote
from xml.etree import ElementTree

from pydantic import JsonValue

from review.item import Reason, ReviewItem, shown
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
    slots = [*urls[:PICTURE_SLOTS], *[""] * (PICTURE_SLOTS - len(urls))]
    named = {name: getattr(item, name) or "" for name in ("id", "key", "entry", "source", "domain", "stage", "cluster")}
    return {
        **{name: _clean(text) for name, text in named.items()},
        # the shorter exports of Label Studio put the number of the task over `id`
        "item": item.id,
        "seen": shown(item),
        "asked": item.asked,
        "settles": item.settles,
        "margin": item.margin,
        "reasons": _reasons(item),
        "conversation": [{"author": turn.role, "text": _clean(turn.text)} for turn in item.messages],
        **{f"picture_{slot}": url for slot, url in enumerate(slots, 1)},
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


def annotated(tasks: Iterable[Mapping[str, object]]) -> Iterator[tuple[str, dict[str, object]]]:
    """Verdicts in tasks that Label Studio exported as JSON or JSON-MIN: (task and annotation, fields of a verdict).

    Every annotation of a task is one, whoever gave it; a skipped task is a `skip`. Predictions and drafts are not read.

    Source: HumanSignal/label-studio-sdk, label_studio_sdk/converter/converter.py (`convert_to_json`,
    `_prepare_json_min`): the short form puts the fields of `data`, the names of the tags and `annotator` side by side.
    """
    for number, task in enumerate(tasks, start=1):
        data, where = task.get("data"), f"task {task.get('id', number)}"
        if not isinstance(data, dict):
            note = task.get("note")
            told = {
                "verdict": _chosen(task.get("verdict")),
                "note": _joined(note),
                "reviewer": _person(task.get("annotator")),
            }
            yield where, {**_named(task), **told, "at": task.get("updated_at") or task.get("created_at")}
            continue
        annotations = task.get("annotations")
        for place, annotation in enumerate(annotations if isinstance(annotations, list) else [], start=1):
            yield f"{where}, annotation {annotation.get('id', place)}", {**_named(data), **_said(annotation)}


def _named(data: Mapping[str, object]) -> dict[str, object]:
    return {"id": data.get("item", ""), **{name: data.get(name) for name in ("key", "entry", "seen")}}


def _said(annotation: Mapping[str, object]) -> dict[str, object]:
    results = annotation.get("result")
    values = {
        result.get("from_name"): result.get("value", {}) for result in (results if isinstance(results, list) else [])
    }
    return {
        "verdict": "skip" if annotation.get("was_cancelled") else _chosen(values.get("verdict", {})),
        "note": _joined(values.get("note", {}).get("text")),
        "reviewer": _person(annotation.get("completed_by")),
        "at": annotation.get("updated_at") or annotation.get("created_at"),
    }


def _chosen(value: object) -> object:
    """A choice in any of its forms: the word, a list with it, or `{"choices": [word]}`."""
    choices = value.get("choices", []) if isinstance(value, dict) else value
    return (choices[0] if choices else "") if isinstance(choices, list) else choices


def _joined(text: object) -> object:
    return "\n".join(map(str, text)) if isinstance(text, list) else text


def _person(person: object) -> object:
    if isinstance(person, dict):
        return person.get("email") or _person(person.get("id"))
    return f"user {person}" if isinstance(person, int) else person
