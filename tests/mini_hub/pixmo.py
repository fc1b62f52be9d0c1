"""S09 to S12: PixMo, most of it lists of addresses."""

import hashlib
from collections.abc import Callable
from typing import Any

import pyarrow as pa
from mini_hub.case import Case, Expected, Made, Messages, Source, pair, refused, sample
from mini_hub.files import in_files
from mini_hub.onevision import BROKEN

Body = Callable[[], tuple[dict[str, Any], Messages]]


def listed(
    source: Source, body: tuple[dict[str, Any], Messages], trap: str = "plain", *, kind: str = "jpeg", sha: bool = True
) -> Case:
    """A row of a list of addresses; its hash is there where `sha` says so."""
    url, path = source.url()
    data = source.picture(kind)
    row, messages = body
    digest = {"image_sha256": hashlib.sha256(data).hexdigest()} if sha else {}
    return Case({"image_url": url, **digest, **row}, (sample(messages, data),), trap, web={path: data})


def url_traps(source: Source, body: Body, *, sha: bool = True) -> list[Case]:
    """What addresses do wrong."""
    first = listed(source, body(), "url_repeated", sha=sha)
    row, messages = body()
    ((path, data),) = first.web.items()
    dead, page = listed(source, body(), sha=sha), listed(source, body(), kind="html", sha=False)
    huge = listed(source, body(), kind="huge", sha=False)
    plain, cut = listed(source, body(), sha=sha), listed(source, body(), kind="truncated", sha=False)
    traps = [
        first,
        Case({**first.raw, **row}, (sample(messages, data),), "url_repeated", web={path: data}),
        Case(dead.raw, (refused("download_404"),), "link_dead"),
        Case(page.raw, (refused("download_not_picture"),), "link_to_page", web=page.web),
        Case({**plain.raw, "image_url": "ftp://old.example.org/a.jpg"}, (refused("wrong_type"),), "address_of_ftp"),
        Case({**plain.raw, "image_url": None}, (refused("wrong_type"),), "address_null"),
        listed(source, body(), "picture_png", kind="png", sha=sha),
        Case(huge.raw, (refused("picture_too_large"),), "picture_huge", web=huge.web),
        Case(cut.raw, (refused("picture_undecodable"),), "picture_truncated", web=cut.web),
    ]
    if sha:
        changed = listed(source, body(), sha=True)
        wrong = {**changed.raw, "image_sha256": "0" * 64}
        traps.append(Case(wrong, (refused("download_sha256"),), "picture_changed", web=changed.web))
        no_hex = {**plain.raw, "image_sha256": "9f86d0"}
        traps.append(Case(no_hex, (refused("wrong_type"),), "hash_cut"))
    return traps


def pixmo_cap(source: Source) -> Made:
    """Rows of image_url, caption and transcripts; no hash."""
    asked = source.prompt("Describe this image in detail.")

    def body(caption: str = "") -> tuple[dict[str, Any], Messages]:
        caption = caption or " ".join(source.answer() for _ in range(5))
        return {"caption": caption, "transcripts": ["um so there is a harbour", "boats"]}, pair(asked, caption)

    null = listed(source, body(), sha=False)
    traps = [
        *url_traps(source, body, sha=False),
        Case({**null.raw, "caption": None}, (refused("wrong_type"),), "caption_null"),
        listed(source, body("\uac00\ub098\ub2e4 \u6e2f\u53e3"), "other_scripts", sha=False),
        Case({**null.raw, "transcripts": []}, null.expected, "transcripts_empty", web=null.web),
    ]
    return in_files(source, source.choose(lambda: listed(source, body(), sha=False), traps), "data/train-*.parquet")


def pixmo_ask(source: Source) -> Made:
    """Rows of image_url, image_sha256, question and answer."""

    def body(asked: str = "") -> tuple[dict[str, Any], Messages]:
        asked, answered = asked or source.question(), source.answer()
        return {"question": asked, "answer": answered}, pair(asked.replace("<image>", r"<\image>"), answered)

    upper = listed(source, body())
    null = listed(source, body())
    traps = [
        *url_traps(source, body),
        listed(source, body("What does <image> mean?"), "literal_marker"),
        Case(
            {**upper.raw, "image_sha256": upper.raw["image_sha256"].upper()},
            upper.expected,
            "hash_upper",
            web=upper.web,
        ),
        Case({**null.raw, "answer": None}, (refused("wrong_type"),), "answer_null", web=null.web),
    ]
    return in_files(source, source.choose(lambda: listed(source, body()), traps), "data/train-*.parquet")


def pixmo_cap_qa(source: Source) -> Made:
    """Rows of image_url, question, answer and messages: texts in turn, no roles, no hash."""

    def body(exchanges: int = 0) -> tuple[dict[str, Any], Messages]:
        number = exchanges or source.random.randint(1, 3)
        texts = [text for _ in range(number) for text in (source.question(), source.answer())]
        row = {"question": f"[USER] {texts[-2]}", "answer": texts[-1], "messages": texts}
        roles = ("user", "assistant")
        messages = tuple((roles[index % 2], text) for index, text in enumerate(texts))
        return row, (("user", f"<image>\n{texts[0]}"), *messages[1:])

    odd = listed(source, body(2), sha=False)
    marked = listed(source, body(1), sha=False)
    asked, answered = source.question(), source.answer()
    word = {**marked.raw, "messages": [f"[USER] {asked}", answered]}
    old = {**marked.raw, "question": f"[USER] {asked}", "answer": answered, "messages": []}
    packed = {**old, "question": f"[USER] {asked} [ASSISTANT] Yes. [USER] Why?"}
    traps = [
        *url_traps(source, body, sha=False),
        Case({**odd.raw, "messages": odd.raw["messages"][:3]}, (refused("wrong_type"),), "odd_messages", web=odd.web),
        Case(old, (sample(pair(asked, answered), *marked.web.values()),), "no_messages", web=marked.web),
        Case(
            packed,
            (
                sample(
                    (*pair(asked, "Yes.")[:1], ("assistant", "Yes."), ("user", "Why?"), ("assistant", answered)),
                    *marked.web.values(),
                ),
            ),
            "turns_in_question",
            web=marked.web,
        ),
        Case(
            word,
            (sample(pair(f"[USER] {asked}", answered), *marked.web.values()),),
            "role_word_in_text",
            web=marked.web,
        ),
    ]
    return in_files(source, source.choose(lambda: listed(source, body(), sha=False), traps), "data/train-*.parquet")


def pixmo_points(source: Source) -> Made:
    """PixMo-Points, a list of points in percent, or PixMo-Count, two lists in pixels."""
    body = (lambda: _count(source)) if "count" in source.name else (lambda: _points(source))
    traps = url_traps(source, body)
    if "count" not in source.name:
        for number in (0, 1, 3):
            traps.append(listed(source, _points(source, number), f"points_{number}"))
        far = _points(source, 1)[0] | {"points": [{"x": 640.0, "y": 12.0}]}
        traps.append(Case({**traps[0].raw, **far}, (refused("wrong_type"),), "pixels_for_percent"))
        label = _points(source, 2, 'red "kite"')
        traps.append(listed(source, label, "quotes_in_label"))
    return in_files(source, source.choose(lambda: listed(source, body()), traps), "data/train-*.parquet")


def _points(source: Source, number: int | None = None, label: str = "lantern") -> tuple[dict[str, Any], Messages]:
    number = source.random.randint(1, 4) if number is None else number
    points = [{"x": source.random.randrange(1000) / 10, "y": source.random.randrange(1000) / 10} for _ in range(number)]
    row = {"points": points, "count": number, "label": label, "collection_method": "pointing"}
    in_order = ", ".join(
        f"({point['x']:.1f}, {point['y']:.1f})" for point in sorted(points, key=lambda p: (p["y"], p["x"]))
    )
    answered = f"{number}: {in_order}" if points else f'There is no "{label}" in this image.'
    return row, pair(POINT_TO.format(label=label), answered)


POINT_TO = 'Point at every "{label}" in this image. Give x and y in percent of width and height.'
HOW_MANY = 'How many "{label}" are in this image?'


def _count(source: Source) -> tuple[dict[str, Any], Messages]:
    number = source.random.randint(0, 4)
    sides = {side: [source.random.randrange(600) / 1.0 for _ in range(number)] for side in ("x", "y")}
    return {"points": sides, "count": number, "label": "people"}, pair(HOW_MANY.format(label="people"), str(number))


def pixmo_docs(source: Source) -> Made:
    """Rows of image, image_id and questions: parallel lists, or a list of objects, one sample per question."""

    def case(trap: str = "plain", kind: str = "png", pairs: int = 0, reason: str = "", **extra: Any) -> Case:
        data = source.picture(kind)
        texts = [(source.question(), source.answer()) for _ in range(pairs or source.random.randint(1, 3))]
        questions = {"question": [asked for asked, _ in texts], "answer": [said for _, said in texts]}
        row = {"image": {"bytes": data, "path": None}, "image_id": f"chart_{source.random.randrange(999)}"}
        made = [
            refused(reason, str(part)) if reason else sample(pair(*text), data, part=str(part))
            for part, text in enumerate(texts)
        ]
        return Case({**row, "questions": {**questions, **extra}}, tuple(made), trap)

    uneven = case("uneven_lists", answer=["only one"] * 5)
    empty = case("no_questions", question=[], answer=[])
    traps = [
        case("several_questions", pairs=5),
        case("picture_alpha", "alpha"),
        Case(uneven.raw, (refused("wrong_type"),), uneven.trap),
        Case(empty.raw, (refused("missing_field"),), empty.trap),
        *(case(f"picture_{kind}", kind, 1, reason) for kind, reason in BROKEN.items()),
    ]
    texts = pa.list_(pa.string())
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    schema = pa.schema(
        [
            ("image", image),
            ("image_id", pa.string()),
            ("questions", pa.struct([("question", texts), ("answer", texts)])),
        ]
    )
    return in_files(source, source.choose(case, traps), "train-*.parquet", schema)


def pixmo_point_explanations(source: Source) -> Made:
    """Rows of question, response, parsed_response and three parallel lists."""

    def case(trap: str = "plain", reason: str = "", **extra: Any) -> Case:
        url, path = source.url()
        data, asked = source.picture(), source.question()
        row = {
            "image_url": url, "image_sha256": hashlib.sha256(data).hexdigest(), "question": asked,
            "response": "The exit is <point>here</point>, and there.",
            "parsed_response": "The exit is <|POINT|>, and <|POINT|>.",
            "alt_text": ["the red door", "the window"], "inline_text": ["here", "there"],
            "points": [[{"x": 1.0, "y": 2.0}, {"x": 3.0, "y": 4.25}], [{"x": 50.5, "y": 60.0}]],
        }  # fmt: skip
        said = "The exit is here (1.0, 2.0), (3.0, 4.2), and there (50.5, 60.0)."
        expected: Expected = refused(reason) if reason else sample(pair(asked, said), data)
        return Case({**row, **extra}, (expected,), trap, web={path: data})

    traps = [
        case("not_parsed", "not_parsed", parsed_response=None),
        case("places_and_points_differ", "wrong_type", points=[[{"x": 1.0, "y": 2.0}]]),
        case("link_dead", "download_404"),
        case("picture_changed", "download_sha256", image_sha256="0" * 64),
    ]
    traps = [
        Case(trap.raw, trap.expected, trap.trap, web={} if trap.trap == "link_dead" else trap.web) for trap in traps
    ]
    return in_files(source, source.choose(case, traps), "data/train-*.parquet")
