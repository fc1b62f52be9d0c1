"""S20 ArT, MLT and OpenVINO, and SROIE: one object per challenge, or one small file per picture."""

import json
from dataclasses import replace
from typing import Any

from mini_hub.case import Case, Made, Source, pair, refused, sample
from mini_hub.files import names_of
from mini_hub.spotting import Word, word_cases


def _beside(case: Case, prefix: str, ending: str = "jpg") -> Case:
    """The case with its pictures under other names."""
    return replace(
        case, beside={f"{prefix}{path.removesuffix('jpg')}{ending}": data for path, data in case.beside.items()}
    )


def _flat(word: Word) -> list[int]:
    return [side for corner in word.corners for side in corner]


def art(source: Source) -> Made:
    """One object of lists of words by the name of the picture."""
    (name,), declared = names_of(source, "train_labels.json")
    labels, rows = {}, []
    for row, (case, scene, image) in enumerate(word_cases(source, "###")):
        labels[f"gt_{image}"] = [
            {"transcription": word.text, "points": word.corners, "language": "Latin", "illegibility": not word.legible}
            for word in scene.words
        ]
        rows.append((name, row, _beside(case, "gt_")))
    labels["gt_cut"] = [{"transcription": "OPEN", "points": [[1, 2], [3]]}]
    rows.append((name, len(rows), Case(None, (refused("wrong_type"),), "corner_cut")))
    return Made({name: json.dumps(labels).encode()}, rows, declared)


def mlt(source: Source) -> Made:
    """One file of lines per picture: eight numbers, a language and a text that may hold commas."""
    made = Made({}, [])
    for number, (case, scene, image) in enumerate(word_cases(source, "###")):
        lines = [f"{','.join(map(str, _flat(word)))},Latin,{word.text}" for word in scene.words]
        name = f"gt_img_{image}.txt"
        # some files begin with a byte order mark, some end their lines as on Windows, some pictures are no JPEG by name
        text = ("\r\n" if number % 2 else "\n").join(lines)
        made.files[name] = (b"\xef\xbb\xbf" if number % 3 == 0 else b"") + text.encode()
        made.rows.append((name, 0, _beside(case, "img_", "png" if number % 4 == 3 else "jpg")))
    made.files["gt_img_cut.txt"] = b"1,2,9,2,9,6\n"
    made.rows.append(("gt_img_cut.txt", 0, Case(None, (refused("broken_record"),), "line_cut")))
    return made


def openvino(source: Source) -> Made:
    """One object of images and annotations, joined by the id of the picture and in no order."""
    (name,), declared = names_of(source, "text_spotting_openimages_v5_train_1.json")
    images, annotations, rows = [], [], []
    for row, (case, scene, image) in enumerate(word_cases(source, "")):
        images.append({"id": 7 * row, "file_name": f"{image}.jpg", "width": 640, "height": 480})
        annotations += [_annotation(7 * row, word) for word in scene.words]
        rows.append((name, row, case))
    source.random.shuffle(annotations)
    text = json.dumps({"licenses": [], "images": images, "annotations": annotations, "categories": []})
    return Made({name: text.encode()}, rows, declared)


def _annotation(image: int, word: Word) -> dict[str, Any]:
    attributes = {"legible": word.legible, "transcription": word.text}
    return {"image_id": image, "segmentation": [_flat(word)], "attributes": attributes}


def sroie(source: Source) -> Made:
    """One JSON file of four fields per receipt."""
    made = Made({}, [])
    asked = "Read this receipt and answer with a JSON object of company, date, address and total."

    def case(trap: str = "plain", reason: str = "", drop: str = "", raw: bytes = b"", missing: bool = False) -> Case:
        number, data = f"{source.random.randrange(10**6):06d}", source.picture()
        fields = {"company": source.answer(), "date": "25/12/2018", "address": "1, JLN \u8336", "total": "9.00"}
        fields.pop(drop, None)
        told = json.dumps({key: fields.get(key) for key in ("company", "date", "address", "total")}, ensure_ascii=False)
        expected = refused(reason) if reason else sample(pair(asked, told), data)
        text = raw or json.dumps(fields, indent=4).encode()
        return Case((number, text), (expected,), trap, {} if missing else {f"{number}.jpg": data})

    traps = [
        case("total_absent", drop="total"),
        case("cut", "broken_record", raw=b'{"company": "A'),
        case("no_fields", "missing_field", raw=b'{"shop": "A"}'),
        case("a_list", "wrong_type", raw=b"[1]"),
        case("picture_missing", "picture_missing", missing=True),
    ]
    for item in source.choose(case, traps):
        number, text = item.raw
        made.files[f"key/{number}.json"] = text
        made.rows.append((f"key/{number}.json", 0, item))
    return made
