"""Documents with pictures between their sentences, PaperOwl, Vision-FLAN and folders of pictures."""

import base64
from typing import Any

from mini_hub.case import Case, Made, Source, pair, refused, sample
from mini_hub.files import in_files
from mini_hub.text import said


def interleaved(source: Source) -> Made:
    """Rows of parallel lists of texts and pictures."""
    return in_files(source, source.choose(lambda: _document(source), _document_traps(source)), "documents.jsonl")


def omnicorpus(source: Source) -> Made:
    """The same with a mark in place of null, and a list that says which pictures are good."""
    traps = [
        *_document_traps(source, mark="<image>", general_metadata={"bytes": 7}),
        _document(source, "one_invalid", mark="<image>", valid=[False, True], general_metadata={"bytes": 7}),
        _document(source, "none_valid", mark="<image>", valid=[False, False]),
        _document(source, "valid_too_short", mark="<image>", valid=[True], reason="wrong_type"),
    ]
    cases = source.choose(lambda: _document(source, mark="<image>", valid=[True, True]), traps)
    return in_files(source, cases, "shard-*.jsonl")


def _document(
    source: Source, trap: str = "plain", *, mark: str | None = None, valid: Any = None, reason: str = "",
    literal: bool = False, **extra: Any,
) -> Case:  # fmt: skip
    """A text, a picture, a text, a picture."""
    texts = ["What is <image>?" if literal else source.answer(), source.answer()]
    beside = {source.path(): source.picture() for _ in range(2)}
    first, last = beside
    row = {"texts": [texts[0], mark, texts[1], mark], "images": [None, first, None, last], **extra}
    if valid is not None:
        row["valid_image"] = valid
    kept = [True, True] if valid is None else valid
    shown = [r"What is <\image>?" if literal else texts[0], *["<image>"] * kept[0], texts[1]]
    shown += ["<image>"] * (len(kept) > 1 and kept[1])
    seen = [data for data, good in zip(beside.values(), kept, strict=False) if good]
    missing = {} if reason == "picture_missing" else beside
    expected = refused(reason) if reason else sample((("document", "\n\n".join(shown)),), *seen)
    return Case(row, (expected,), trap, missing)


def _document_traps(source: Source, mark: str | None = None, **extra: Any) -> list[Case]:
    text, path = source.answer(), source.path()
    return [
        _document(source, "literal_marker", mark=mark, literal=True, **extra),
        _document(source, "picture_missing", mark=mark, reason="picture_missing", **extra),
        Case({"texts": [text], "images": [None]}, (sample((("document", text),)),), "text_only"),
        Case({"texts": [text, text], "images": [None]}, (refused("wrong_type"),), "lists_of_two_lengths"),
        Case({"texts": [text], "images": [path]}, (refused("wrong_type"),), "text_and_picture"),
        Case({"texts": [None], "images": [None]}, (refused("wrong_type"),), "neither"),
        Case({"texts": [text]}, (refused("missing_field"),), "images_absent"),
        Case(b'{"texts": ["a', (refused("broken_record"),), "line_cut"),
    ]


def mmc4(source: Source) -> Made:
    """Rows of text_list and image_info: pictures by address, by name or as base64."""

    def case(trap: str = "plain", how: str = "raw_url", index: Any = 1, reason: str = "", number: int = 1) -> Case:
        texts = [source.answer() for _ in range(3)]
        pictures, info, web, beside = [source.picture() for _ in range(number)], [], {}, {}
        for data in pictures:
            (url, path), name = source.url(), source.path()
            held = {"raw_url": url, "image_name": name, "image_base64": base64.b64encode(data).decode()}
            chosen = {key: value for key, value in held.items() if key == how}
            info.append({**chosen, "matched_text_index": index, "matched_sim": 0.3})
            web |= {path: data} if how == "raw_url" and reason != "download_404" else {}
            beside |= {name: data} if how == "image_name" else {}
        text = f"{texts[0]}\n" + "<image>\n" * number + f"{texts[1]} {texts[2]}" if number else " ".join(texts)
        row = {"text_list": texts, "image_info": info, "url": "https://example.org/page"}
        expected = refused(reason) if reason else sample((("document", text),), *pictures)
        return Case(row, (expected,), trap, beside, web)

    traps = [
        case("by_name", "image_name"),
        case("as_base64", "image_base64"),
        case("two_at_one_sentence", number=2),
        case("no_picture", number=0),
        case("link_dead", reason="download_404"),
        case("index_too_large", index=3, reason="wrong_type"),
        case("index_null", index=None, reason="wrong_type"),
        case("no_place", "nowhere", reason="missing_field"),
    ]
    return in_files(source, source.choose(case, traps, rows=30), "docs_shard_*.jsonl")


def paperowl(source: Source) -> Made:
    """Rows of image, text, prompt, task_type and conversations; the pictures' marks stand in `text` only."""

    def case(trap: str = "plain", pictures: int = 2, reason: str = "", turned: bool = True, text: str = "",
             encoded: bool = False) -> Case:  # fmt: skip
        asked, answered = source.question().replace("\n", " "), source.answer()
        beside = {f"imgs/{source.path('png')}": source.picture("png") for _ in range(pictures)}
        images = (
            [base64.b64encode(data).decode() for data in beside.values()] if encoded else [f"./{p}" for p in beside]
        )
        row = {"image": images, "prompt": "", "task_type": "figure_analysis"}
        row["text"] = text or f"Human: {'<image>' * pictures}{asked}\nAI: {answered}"
        if turned:
            row["conversations"] = [
                {"from": "system", "value": "A chat."},
                {"from": "human", "value": asked},
                {"from": "gpt", "value": answered},
            ]
        system = (("system", "A chat."),) if turned else ()
        marks = "<image>\n" * pictures if turned else "<image>" * pictures
        meant = (*system, ("user", f"{marks}{asked}"), ("assistant", answered))
        expected = refused(reason) if reason else sample(meant, *beside.values())
        held = {} if encoded or reason == "picture_missing" else beside
        return Case(row, (expected,), trap, held)

    traps = [
        case("one_picture", 1),
        case("no_conversations", turned=False),
        case("as_base64", 1, encoded=True),
        case("picture_missing", reason="picture_missing"),
        case("no_turns_in_text", turned=False, text="nothing was said", reason="wrong_type"),
        # the files of `meta` hold parts of papers in place of dialogues
        Case({"image": [], "title": "On kites", "abstract": "..."}, (refused("missing_field"),), "part_of_a_paper"),
    ]
    return in_files(source, source.choose(case, traps), "sft/*_train.jsonl")


def vflan(source: Source) -> Made:
    """Rows of question, answer and image, the last two with a colon in their name in some files."""

    def case(trap: str = "plain", colon: str = "", written: str = "{}", number: int = 1, path: bool = False,
             reason: str = "") -> Case:  # fmt: skip
        asked, answered = source.question().replace("\n", " "), source.answer()
        beside = {source.path(): source.picture() for _ in range(number)}
        shown = [*beside] if path else [base64.b64encode(data).decode() for data in beside.values()]
        row = {"question": written.format(asked), f"answer{colon}": f"{answered} "}
        row |= {f"image{colon}": shown[0] if number == 1 else shown} if number else {}
        if reason == "wrong_type":
            row[f"image{colon}"] = "no base64!"
        held = beside if path and reason != "picture_missing" else {}
        expected = refused(reason) if reason else sample(pair(asked, answered, number), *beside.values())
        return Case(row, (expected,), trap, held)

    asked, told = "How many?", source.answer()
    history = f"Image Descriptions: a yard. Question: {asked} Answer: Two. Question: Which? Answer:"
    dialog = said(f"Image Descriptions: a yard.\n{asked}", "Two.", "Which?", told)
    traps = [
        case("names_with_colon", ":"),
        case("marker_in_question", written="<image>\n{}"),
        case("two_pictures", number=2),
        case("text_only", number=0),
        case("by_path", path=True),
        case("picture_missing", path=True, reason="picture_missing"),
        case("not_base64", reason="wrong_type"),
        Case({"question": history, "answer": told}, (sample(dialog),), "dialogue_in_question"),
        Case({"question": "why?"}, (refused("missing_field"),), "no_answer"),
    ]
    return in_files(source, source.choose(case, traps), "vflan-*.jsonl")


def picture_folder(source: Source) -> Made:
    """A folder of pictures and nothing else."""
    made = Made({}, [])
    kinds = ("jpeg", "png", "webp", "grey", "palette", "alpha", "gif", "cmyk", "bits")
    broken = {"html": "picture_unknown_format", "truncated": "picture_undecodable", "empty": "picture_empty"}
    for number in range(20):
        kind = [*broken, *kinds][number] if number < len(broken) + len(kinds) else "jpeg"
        data, name = source.picture(kind), f"{'inner/' * (number % 2)}{number}.jpg"
        outcome = refused(broken[kind]) if kind in broken else sample((("user", "<image>"),), data)
        made.rows.append((name, 0, Case(None, (outcome,), f"picture_{kind}", {name: data})))
    return made
