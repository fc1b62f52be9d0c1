"""Text instructions: turns by role, flat lists of texts, and columns that the catalogue maps."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from mini_hub.case import Case, Expected, Made, Messages, Source, refused, sample
from mini_hub.files import in_files, names_of
from mini_hub.onevision import BROKEN

_ROLES = ("user", "assistant")


def said(*texts: str) -> Messages:
    """Texts of user and assistant in turn."""
    return tuple((_ROLES[index % 2], text) for index, text in enumerate(texts))


def turns(messages: Messages) -> list[dict[str, str]]:
    """Messages as the chat format of today writes them."""
    return [{"role": role, "content": text} for role, text in messages]


def messages(source: Source) -> Made:
    """Rows of messages and what else a publisher keeps beside them."""

    def case(trap: str = "plain", written: Any = "", meant: Messages = (), reason: str = "") -> Case:
        meant = meant or said(
            *(text for _ in range(source.random.randint(1, 3)) for text in (source.question(), source.answer()))
        )
        row = {"prompt_id": str(source.random.randrange(10**9)), "messages": turns(meant) if written == "" else written}
        return Case(row, (refused(reason) if reason else sample(meant),), trap)

    asked, answered = source.question(), source.answer()
    traps = [
        case("system_first", meant=(("system", "Be brief."), *said(asked, answered))),
        case("code", meant=said(asked, "```python\nif a < b:\n\tprint('<img>')\n```\n")),
        case("other_scripts", meant=said("\u8bf7\u95ee\u8fd9\u662f\u4ec0\u4e48\uff1f", "\u0647\u0630\u0627 \u2028")),
        case("empty_answer", meant=said(asked, "")),
        case("marker_without_picture", meant=said("What does <image> mean?", answered), reason="marker_mismatch"),
        case("unknown_role", [{"role": "tool", "content": asked}, {"role": "assistant", "content": answered}],
             reason="wrong_type"),
        case("no_turns", [], reason="wrong_type"),
        case("null_turns", None, reason="wrong_type"),
    ]  # fmt: skip
    schema = pa.schema(
        [
            ("prompt_id", pa.string()),
            ("messages", pa.list_(pa.struct([("content", pa.string()), ("role", pa.string())]))),
        ]
    )
    return in_files(source, source.choose(case, traps), "data/train-*.parquet", schema)


def flat_chat(source: Source) -> Made:
    """Rows of id and a list of texts: `data` of UltraChat, `conversations` of LIMA."""
    name = "data" if source.name == "ultrachat" else "conversations"

    def case(trap: str = "plain", texts: Any = "", shown: Any = "", reason: str = "") -> Case:
        if texts == "":
            texts = [text for _ in range(source.random.randint(1, 4)) for text in (source.question(), source.answer())]
        expected = refused(reason) if reason else sample(said(*(texts if shown == "" else shown)))
        return Case({"id": str(source.random.randrange(10**6)), name: texts, "source": "made up"}, (expected,), trap)

    asked, answered = source.question(), source.answer()
    traps = [
        case("literal_marker", ["What is <image>?", answered], [r"What is <\image>?", answered]),
        case("number_as_text", [asked, 7], [asked, "7"]),
        case("line_separator", [f"{asked}\u2028", answered]),
        case("nobody_answered", [asked, answered, asked], reason="wrong_type"),
        case("no_texts", [], reason="wrong_type"),
        case("null_texts", None, reason="wrong_type"),
        Case({"id": "x", "text": asked}, (refused("missing_field"),), "texts_absent"),
        Case(b'{"id": "cut', (refused("broken_record"),), "line_cut"),
    ]
    return in_files(source, source.choose(case, traps, rows=30), "train.jsonl")


def columns(source: Source) -> Made:
    """Whatever columns of text the catalogue maps, with a picture in the row where it names one."""
    mapped = source.entry["columns"]
    made = source.choose(lambda: _mapped(source, mapped), list(_column_traps(source, mapped)))
    return in_files(source, made, "data/train-*.parquet")


def _mapped(
    source: Source, mapped: Any, trap: str = "plain", *, asked: str = "", shown: str = "", answer: str | None = "",
    kind: str = "jpeg", reason: str = "",
) -> Case:  # fmt: skip
    row: dict[str, Any] = {}
    asked, answer = asked or source.question(), source.answer() if answer == "" else answer
    context = source.answer() if source.random.random() < 0.5 else ""
    users = list(zip(mapped.get("user", ()), (asked, context), strict=False))
    for name, text in (*users, *((name, answer) for name in mapped["assistant"])):
        _put(row, name, text)
    for name in mapped.get("meta", ()):
        _put(row, name, "made up")
    pictures = [source.picture(kind) for _ in mapped.get("images", ())]
    for name, data in zip(mapped.get("images", ()), pictures, strict=True):
        _put(row, name, {"bytes": data, "path": None})
    lines = ["<image>" for _ in pictures] + [text for _, text in [(0, shown or asked), *users[1:]] if users and text]
    user = (("user", "\n".join(lines)),) if lines else ()
    expected = refused(reason) if reason else sample((*user, ("assistant", answer or "")), *pictures)
    return Case(row, (expected,), trap)


def _put(row: dict[str, Any], path: str, value: Any) -> None:
    """Write a value at a dotted path; a list there gets a second item that nobody asks for."""
    first, *rest = path.split(".")
    if not rest:
        row[first] = value
    elif len(rest) == 2:
        items = row.setdefault(first, [{}, {}])
        items[int(rest[0])][rest[1]] = value
        items[1].setdefault(rest[1], "of another item")
    else:
        raise ValueError(f"`{path}` is a path that this miniature cannot write")


def _column_traps(source: Source, mapped: Any) -> Iterator[Case]:
    yield _mapped(source, mapped, "answer_null", answer=None)
    if mapped.get("user"):
        yield _mapped(source, mapped, "literal_marker", asked="What is <image>?", shown=r"What is <\image>?")
        yield _mapped(
            source, mapped, "other_scripts", asked="\u0421\u043a\u043e\u043b\u044c\u043a\u043e?\n\u2028 \u4f60\u597d"
        )
    if mapped.get("images"):
        for kind, reason in BROKEN.items():
            yield _mapped(source, mapped, f"picture_{kind}", kind=kind, reason=reason)
    if names_of(source, "data/train-*.parquet")[0][0].endswith((".json", ".jsonl")):
        yield Case({"unrelated": 1}, (refused("missing_field"),), "columns_absent")
        yield Case(["not", "an", "object"], (refused("wrong_type"),), "row_is_a_list")


_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def mtvqa(source: Source) -> Made:
    """Rows of id, image, qa_pairs as the text of a Python list, and lang."""

    def case(trap: str = "plain", pairs: int = 2, written: str | None = "", kind: str = "jpeg", reason: str = "",
             asked: str = "") -> Case:  # fmt: skip
        data = source.picture(kind)
        texts = [(asked or source.question(), source.answer()) for _ in range(pairs)]
        held = [{"question": question, "answer": answer} for question, answer in texts]
        row = {"image": {"bytes": data, "path": None}, "id": str(source.random.randrange(10**6)), "lang": "FR"}
        row["qa_pairs"] = repr(held) if written == "" else written
        return Case(row, _parts(texts, data, reason, whole=written != "" or not pairs), trap)

    traps = [
        case("one_pair", 1),
        case("quotes", asked="Qu'est-ce que c'est que \"\u00e7a\" ?"),
        case("other_scripts", asked="\u0e19\u0e35\u0e48\u0e04\u0e37\u0e2d\u0e2d\u0e30\u0e44\u0e23 \u0645\u0627"),
        case("no_pairs", 0, reason="missing_field"),
        case("text_cut", 1, "[{'question': 'a", reason="wrong_type"),
        case("not_a_list", 1, "7", reason="wrong_type"),
        case("null_pairs", 1, None, reason="wrong_type"),
        *(case(f"picture_{kind}", 1, kind=kind, reason=reason) for kind, reason in BROKEN.items()),
    ]
    names = [("image", _IMAGE), ("id", pa.string()), ("qa_pairs", pa.string()), ("lang", pa.string())]
    return in_files(source, source.choose(case, traps, rows=40), "data/train-*.parquet", pa.schema(names))


def _parts(texts: list[tuple[str, str]], data: bytes, reason: str, *, whole: bool) -> tuple[Expected, ...]:
    if whole:
        return (refused(reason),)
    return tuple(
        refused(reason, str(part)) if reason else sample(said(f"<image>\n{asked}", answer), data, part=str(part))
        for part, (asked, answer) in enumerate(texts)
    )


def chat(source: Source) -> Made:
    """Rows of id, images by path, conversation and source, as Mantis uploads them."""

    def case(trap: str, asked: list[str], pictures: int, reason: str = "", missing: int = 0) -> Case:
        texts = [text for ask in asked for text in (ask.format(source.question()), source.answer())]
        beside = {source.path(): source.picture() for _ in range(pictures)}
        images = [{"bytes": None, "path": path} for path in beside]
        row = {"id": f"{source.slug}_{source.random.randrange(10**6)}", "images": images or None}
        row |= {"conversation": turns(said(*texts)), "source": source.slug}
        expected = refused(reason) if reason else sample(said(*texts), *beside.values())
        return Case(row, (expected,), trap, dict(list(beside.items())[missing:]))

    traps = [
        case("markers_over_turns", ["<image> {}", "And <image>? {}", "{}"], 2),
        case("marker_in_the_middle", ["Between <image> and <image>: {}"], 2),
        case("one_picture", ["<image>\n{}"], 1),
        case("five_pictures", ["<image>" * 5 + "{}"], 5),
        case("no_picture", ["{}"], 0),
        case("marker_missing", ["<image> {}"], 2, "marker_mismatch"),
        case("marker_too_many", ["<image><image><image>{}"], 2, "marker_mismatch"),
        case("picture_missing", ["<image><image>{}"], 2, "picture_missing", missing=1),
    ]
    schema = pa.schema(
        [
            ("id", pa.string()),
            ("images", pa.list_(_IMAGE)),
            ("conversation", pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))),
            ("source", pa.string()),
        ]
    )
    cases = source.choose(lambda: case("plain", ["<image><image>{}"], 2), traps)
    return in_files(source, cases, "data/train-*.parquet", schema)
