"""S15 RICO, S21 KVQA, S22 MATH-Vision, and lists of captions from the web."""

from typing import Any

import pyarrow as pa
from mini_hub.case import Case, Expected, Made, Source, pair, refused, sample
from mini_hub.files import in_files, in_object
from mini_hub.onevision import BROKEN
from mini_hub.pixmo import listed, url_traps
from mini_hub.text import columns

_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_TEXTS = pa.list_(pa.string())


def _screen(source: Source, kind: str) -> tuple[dict[str, Any], bytes]:
    data = source.picture(kind)
    name = f"{source.random.randrange(70000)}.jpg"
    return {"file_name": name, "image": {"bytes": data, "path": None}}, data


def screen2words(source: Source) -> Made:
    """Rows of file_name, image and captions."""
    asked = source.prompt("Describe this screen in one sentence.")

    def case(trap: str = "plain", captions: int = 5, kind: str = "jpeg", reason: str = "") -> Case:
        row, data = _screen(source, kind)
        texts = [source.answer() for _ in range(captions)]
        return Case({**row, "captions": texts}, _parts([(asked, text) for text in texts], data, reason), trap)

    empty = case("no_captions", 0)
    traps = [
        case("one_caption", 1),
        Case(empty.raw, (refused("missing_field"),), empty.trap),
        *(case(f"picture_{kind}", 2, kind, reason) for kind, reason in BROKEN.items()),
    ]
    schema = pa.schema([("file_name", pa.string()), ("image", _IMAGE), ("captions", _TEXTS)])
    return in_files(source, source.choose(case, traps), "data/train-*.parquet", schema)


def _parts(pairs: list[tuple[str, str]], data: bytes, reason: str) -> tuple[Expected, ...]:
    return tuple(
        refused(reason, str(part)) if reason else sample(pair(*texts), data, part=str(part))
        for part, texts in enumerate(pairs)
    )


def screenqa_rico(source: Source) -> Made:
    """Rows of file_name, image, question and ground_truth."""

    def case(trap: str = "plain", truths: int = 1, kind: str = "jpeg", reason: str = "") -> Case:
        row, data = _screen(source, kind)
        asked, texts = source.question(), [source.answer() for _ in range(truths)]
        truth = [{"full_answer": text, "ui_elements": []} for text in texts]
        expected = refused(reason) if reason else sample(pair(asked, texts[0]), data)
        return Case({**row, "question": asked, "ground_truth": truth}, (expected,), trap)

    traps = [
        case("several_truths", 3),
        case("no_truth", 0, reason="missing_field"),
        *(case(f"picture_{kind}", 1, kind, reason) for kind, reason in BROKEN.items()),
    ]
    truth = pa.list_(pa.struct([("full_answer", pa.string()), ("ui_elements", pa.list_(pa.string()))]))
    columns = [("file_name", pa.string()), ("image", _IMAGE), ("question", pa.string()), ("ground_truth", truth)]
    return in_files(source, source.choose(case, traps), "data/train-*.parquet", pa.schema(columns))


def widget_captioning(source: Source) -> Made:
    """Rows of file_name, image, bbox and captions."""
    prompt = source.prompt("Describe the element of this screen in the box (left, top, right, bottom)")

    def case(trap: str = "plain", captions: int = 3, sides: int = 4, reason: str = "") -> Case:
        row, data = _screen(source, "jpeg")
        box, texts = [source.random.randrange(900) for _ in range(sides)], [source.answer() for _ in range(captions)]
        asked = f"{prompt} [{', '.join(map(str, box))}]"
        row = {**row, "bbox": box, "captions": texts}
        expected = (refused(reason),) if reason else _parts([(asked, text) for text in texts], data, "")
        return Case(row, expected, trap)

    traps = [case("no_captions", 0, reason="missing_field"), case("box_of_three", 2, 3, reason="wrong_type")]
    columns = [("file_name", pa.string()), ("image", _IMAGE), ("bbox", pa.list_(pa.int64())), ("captions", _TEXTS)]
    return in_files(source, source.choose(case, traps), "data/train-*.parquet", pa.schema(columns))


def kvqa(source: Source) -> Made:
    """An object of imgPath, Questions and Answers by id."""

    def case(trap: str = "plain", pairs: int = 2, reason: str = "", **extra: Any) -> Case:
        path, data = f"KVQAimgs/{source.path()}", source.picture()
        texts = [(source.question(), source.answer()) for _ in range(pairs)]
        row = {
            "imgPath": path,
            "Questions": [asked for asked, _ in texts],
            "Answers": [said for _, said in texts],
            **extra,
        }
        shown = [(asked, str(said)) for (asked, _), said in zip(texts, row["Answers"], strict=False)]
        if reason == "picture_missing":
            return Case(row, _parts(shown, data, reason), trap)
        return Case(row, (refused(reason),) if reason else _parts(shown, data, ""), trap, {path: data})

    traps = [
        case("number_as_answer", Answers=["A", 2]),
        case("name_of_a_person", Answers=["Jos\u00e9", "\u5f20\u4f1f"]),
        case("lists_of_two_lengths", reason="wrong_type", Answers=["A"]),
        case("no_questions", 0, reason="missing_field"),
        case("picture_missing", reason="picture_missing"),
    ]
    cases = source.choose(case, traps)
    return in_object(source, [(str(36154 + 7 * row), item) for row, item in enumerate(cases)], "raw/dataset.json")


def mathvision(source: Source) -> Made:
    """Rows of id, question, options, image, decoded_image, answer, solution, level and subject."""

    def case(
        trap: str = "plain", written: str = "{} <image1>", shown: str = "{} <image>", reason: str = "", **extra: Any
    ) -> Case:
        data, asked = source.picture(), source.question()
        row = {
            "id": "4", "question": written.format(asked), "options": ["A", "B"], "image": "images/4.jpg",
            "decoded_image": {"bytes": data, "path": None}, "answer": "B", "solution": None, "level": 2,
            "subject": "counting", **extra,
        }  # fmt: skip
        lines = [
            shown.format(asked),
            *(f"({letter}) {text}" for letter, text in zip("ABCDE", row["options"], strict=False)),
        ]
        said = "\n\n".join(filter(None, (row["solution"], f"Answer: {row['answer']}")))
        expected = sample((("user", "\n".join(lines)), ("assistant", said)), data)
        return Case(row, (refused(reason) if reason else expected,), trap)

    traps = [
        case("token_first", "<image1>\n{}", "<image>\n{}"),
        case("token_missing", "{}", "<image>\n{}"),
        case("token_twice", "{} <image1> as in <image1>", "{} <image> as in image 1"),
        case("token_of_no_picture", "{} <image1> <image2>", reason="marker_mismatch"),
        case("no_options", options=[]),
        case("solution", solution="Count them."),
    ]
    columns = [
        ("id", pa.string()), ("question", pa.string()), ("options", _TEXTS), ("image", pa.string()),
        ("decoded_image", _IMAGE), ("answer", pa.string()), ("solution", pa.string()), ("level", pa.int64()),
        ("subject", pa.string()),
    ]  # fmt: skip
    return in_files(source, source.choose(case, traps), "data/test-*.parquet", pa.schema(columns))


def coyo(source: Source) -> Made:
    """Rows of url, text and scores."""
    asked = source.prompt("Write a short caption for this picture.")
    return _captions(
        source, asked, "url", "text", "data/part-*.parquet", ("clip_similarity_vitb32", "clip_similarity_vitl14")
    )


def _captions(source: Source, asked: str | None, url: str, text: str, default: str, scores: tuple[str, ...]) -> Made:
    def body() -> tuple[dict[str, Any], Any]:
        said = source.answer()
        numbers = {name: source.random.random() for name in scores}
        user = f"<image>\n{asked}" if asked else "<image>"
        return {text: said, **numbers}, (("user", user), ("assistant", said))

    def renamed(case: Case) -> Case:
        row = {{"image_url": url}.get(name, name): value for name, value in case.raw.items()}
        return Case({"SAMPLE_ID": source.random.randrange(10**12), **row}, case.expected, case.trap, web=case.web)

    # a path where an address should be is looked up beside the list; PixMo's rules for addresses are not those here
    traps = [renamed(case) for case in url_traps(source, body, sha=False) if not case.trap.startswith("address_")]
    return in_files(source, source.choose(lambda: renamed(listed(source, body(), sha=False)), traps), default)


def table(source: Source) -> Made:
    """Whatever columns the catalogue maps: addresses and captions, or texts and pictures in the row."""
    mapped = source.entry["columns"]
    if not any(name in {"link", "url", "URL"} for name in mapped.get("images", ())):
        return columns(source)
    (said,), (url,) = mapped["assistant"], mapped["images"]
    scores = tuple(source.entry.get("native", ()))
    return _captions(source, source.entry.get("prompt"), url, said, "part-*.parquet", scores)
