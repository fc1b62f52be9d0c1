"""S20: words in pictures, as HierText, COCO-Text and Uber-Text write them."""

import gzip
import json
from typing import Any, NamedTuple

from mini_hub.case import Case, Made, Source, pair, refused, sample
from mini_hub.files import names_of

PROMPT = "Read all text in this picture from top to bottom and separate the words by commas."


class Word(NamedTuple):
    """A transcription and its box: left, top, width, height."""

    text: str
    box: tuple[int, int, int, int]
    legible: bool = True

    @property
    def corners(self) -> list[list[int]]:
        left, top, width, height = self.box
        return [[left, top], [left + width, top], [left + width, top + height], [left, top + height]]


class Scene(NamedTuple):
    """A picture, its words, and what to make of them."""

    trap: str
    words: tuple[Word, ...]
    said: str | None


def _scenes(source: Source, unread: str) -> list[Scene]:
    """Pictures with words; `unread` is how the publisher writes a word that nobody could read."""
    # where a mark stands in place of such words there is no flag beside them
    blurred = unread or "0PEM"
    return [
        Scene(
            "two_lines",
            (Word("down", (9, 50, 8, 8)), Word("right", (60, 2, 9, 9)), Word("left", (1, 2, 9, 9))),
            "left, right, down",
        ),
        Scene("centre_not_corner", (Word("low", (1, 1, 9, 60)), Word("high", (40, 9, 9, 9))), "high, low"),
        Scene("not_read", (Word("OPEN", (1, 1, 9, 9)), Word(unread, (1, 30, 9, 9), False)), "OPEN"),
        Scene("comma_inside", (Word("1,50", (1, 1, 9, 9)), Word("EUR", (20, 1, 9, 9))), "1,50, EUR"),
        Scene(
            "other_scripts",
            (Word("\u8336", (1, 1, 9, 9)), Word("\u0634\u0627\u064a", (1, 20, 9, 9))),
            "\u8336, \u0634\u0627\u064a",
        ),
        Scene("blurred", (Word("OPEN", (1, 1, 9, 9)), Word(blurred, (1, 30, 9, 9), False)), "OPEN"),
        Scene("nothing_read", (Word(unread, (1, 30, 9, 9), False),), None),
        Scene("no_words", (), None),
    ]


def word_cases(source: Source, unread: str) -> list[tuple[Case, Scene, str]]:
    """Cases whose raw row is the scene; the caller writes its files."""
    asked = source.prompt(PROMPT)

    def case(scene: Scene | None = None, missing: bool = False) -> Case:
        number = source.random.randrange(10**6)
        scene = scene or Scene(
            "plain", (Word(f"no{number}", (1, 1, 9, 9)), Word("exit", (1, 40, 9, 9))), f"no{number}, exit"
        )
        name, data = f"{source.random.randrange(10**9)}", source.picture()
        outcome = sample(pair(asked, scene.said), data) if scene.said else refused("nothing_legible")
        outcome = refused("picture_missing") if missing else outcome
        return Case(
            (scene, name),
            (outcome,),
            "picture_missing" if missing else scene.trap,
            {} if missing else {f"{name}.jpg": data},
        )

    traps = [case(scene) for scene in _scenes(source, unread)] + [case(missing=True)]
    return [(item, *item.raw) for item in source.choose(case, traps)]


def hiertext(source: Source) -> Made:
    """One JSON object of info and annotations in a file that is called `.jsonl.gz`."""
    names, declared = names_of(source, "gt/train.jsonl.gz")
    made = Made({}, [], declared)
    cases = word_cases(source, "")
    for index, name in enumerate(names):
        share = cases[index :: len(names)]
        rows = [
            {"image_id": image, "image_width": 640, "image_height": 480, "paragraphs": _paragraphs(scene)}
            for _, scene, image in share
        ]
        text = json.dumps({"info": {"date": "2022"}, "annotations": rows}, indent=1)
        made.files[name] = gzip.compress(text.encode(), mtime=0)
        made.rows += [(name, row, case) for row, (case, _, _) in enumerate(share)]
    return made


def _paragraphs(scene: Scene) -> list[dict[str, Any]]:
    words = [
        {"vertices": word.corners, "text": word.text, "legible": word.legible, "handwritten": False, "vertical": False}
        for word in scene.words
    ]
    lines = [
        {"text": " ".join(word.text for word in scene.words), "words": words[:1]},
        {"text": "", "words": words[1:]},
    ]
    return [{"vertices": [[0, 0]], "legible": True, "lines": lines}]


def coco_text(source: Source) -> Made:
    """One JSON object of imgs, anns and imgToAnns; ids are text as names and numbers as values."""
    (name,), declared = names_of(source, "cocotext.v2.json")
    imgs, anns, back = {}, {}, {}
    cases = word_cases(source, "")
    for number, (_, scene, image) in enumerate(cases):
        imgs[str(number)] = {"id": number, "file_name": f"{image}.jpg", "set": "train" if number % 3 else "val"}
        back[str(number)] = [1000 * number + index for index in range(len(scene.words))]
        for index, word in enumerate(scene.words):
            legibility = "legible" if word.legible else "illegible"
            row = {"image_id": number, "bbox": list(word.box), "utf8_string": word.text, "legibility": legibility}
            anns[str(1000 * number + index)] = row
    text = json.dumps({"anns": anns, "imgs": imgs, "imgToAnns": back, "cats": {}, "info": {}})
    return Made({name: text.encode()}, [(name, row, case) for row, (case, _, _) in enumerate(cases)], declared)


def uber_text(source: Source) -> Made:
    """One text file per picture: numbers, a tab, the text, more columns."""
    globs, declared = source.entry.get("files") or "truth/*.txt", {}
    folder = str(globs).rsplit("/", maxsplit=1)[0]
    made = Made({}, [], declared)
    for case, scene, image in word_cases(source, "*"):
        name = f"{folder}/truth_{image}.txt"
        lines = [
            f"{' '.join(str(side) for corner in word.corners for side in corner)}\t{word.text}\tBusiness"
            for word in scene.words
        ]
        made.files[name] = ("\ufeff" + "\n".join(lines) + "\n").encode()
        made.rows.append((name, 0, case))
    return made
