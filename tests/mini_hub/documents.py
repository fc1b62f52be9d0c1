"""S05 mPLUG-DocOwl, S07 Cauldron and S08 M3IT."""

import base64
from typing import Any

import pyarrow as pa
from mini_hub.case import Case, Made, Messages, Source, pair, refused, sample
from mini_hub.files import in_files
from mini_hub.onevision import BROKEN, GOOD

MARK = "<|image|>"
TABLE = "<md> | Year | Sum |\n| --- | --- |\n| 2019 | 4 | </md>"


def mplug(source: Source) -> Made:
    """Rows of image, messages, task_name and dataset_name."""
    asked, answered = source.question(), source.answer()
    traps = [
        _mplug(source, "table_and_tags", f"{MARK}Turn the table into Markdown.", TABLE),
        _mplug(source, "boxes", f"{MARK}Where?", "<bbox>12,40,310,77</bbox> <ocr>a < b</ocr>"),
        _mplug(source, "long_answer", f"{MARK}Read all.", "\n".join(f"line {number}" for number in range(2000))),
        _mplug(source, "empty_answer", f"{MARK}{asked}", ""),
        _mplug(source, "marker_at_end", f"{asked}{MARK}", answered),
        _mplug(source, "two_pictures", f"{MARK}{MARK}{asked}", answered, pictures=2),
        _mplug(source, "path_with_dot", f"{MARK}{asked}", answered, written="./{}"),
        _mplug(source, "picture_png", f"{MARK}{asked}", answered, kind="png"),
        _mplug(source, "no_picture", asked, answered, pictures=0),
        _mplug(source, "literal_marker", f"{MARK}What does <image> mean?", answered, meant=r"What does <\image> mean?"),
        _mplug(source, "marker_repeated", f"{MARK}{MARK}{asked}", answered, reason="marker_mismatch"),
        _mplug(source, "two_pictures_one_marker", f"{MARK}{asked}", answered, reason="marker_mismatch", pictures=2),
        _mplug(source, "other_marker", f"<image>{asked}", answered, reason="marker_mismatch", pictures=2),
        _mplug(source, "path_missing", f"{MARK}{asked}", answered, reason="picture_missing", written="./imgs/gone-{}"),
        _mplug(source, "path_upwards", f"{MARK}{asked}", answered, reason="unsafe_path", written="../{}"),
        Case(b'{"image": ["./imgs/a', (refused("broken_record"),), "line_cut"),
    ]
    traps += [_mplug(source, kind, f"{MARK}{asked}", answered, kind=kind, reason=why) for kind, why in BROKEN.items()]
    plain = f"{MARK}{{}}"
    return in_files(
        source,
        source.choose(lambda: _mplug(source, "plain", plain.format(source.question()), source.answer()), traps),
        "train.jsonl",
    )


def _mplug(
    source: Source, trap: str, asked: str, answered: str, *, pictures: int = 1, kind: str = "jpeg",
    written: str = "./imgs/{}", reason: str = "", meant: str = "",
) -> Case:  # fmt: skip
    beside = {f"imgs/{source.path()}": source.picture(kind) for _ in range(pictures)}
    paths = [written.format(path.removeprefix("imgs/") if "imgs" in written else path) for path in beside]
    turns = [{"role": "user", "content": asked}, {"role": "assistant", "content": answered}]
    row = {"image": paths, "messages": turns, "task_name": "md_parse", "dataset_name": "TableBank"}
    text = asked.replace(MARK, "<image>") if not meant else f"<image>{meant}"
    messages = (("user", text), ("assistant", answered))
    return Case(row, (refused(reason) if reason else sample(messages, *beside.values()),), trap, beside)


_IMAGES = pa.list_(pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
_TEXTS = pa.list_(pa.struct([("user", pa.string()), ("assistant", pa.string()), ("source", pa.string())]))


def cauldron(source: Source) -> Made:
    """Rows of images and texts, one sample per text."""

    def case(trap: str, pairs: int, kinds: tuple[str, ...] = ("jpeg",), reason: str = "", asked: str = "") -> Case:
        pictures = [source.picture(kind) for kind in kinds]
        texts = [(asked or source.question(), source.answer()) for _ in range(pairs)]
        row = {
            "images": [{"bytes": data, "path": None} for data in pictures],
            "texts": [{"user": user, "assistant": said, "source": "FinQA"} for user, said in texts],
        }
        expected = [
            refused(reason, str(part))
            if reason
            else sample(pair(_literal(user), said, len(kinds)), *pictures, part=str(part))
            for part, (user, said) in enumerate(texts)
        ]
        return Case(row, tuple(expected), trap)

    traps = [
        case("several_pairs", 4),
        case("several_pictures", 1, ("png", "jpeg", "png")),
        case("no_picture", 1, ()),
        case("literal_marker", 1, asked="What is <image> here?"),
        case("empty_question", 1, asked=" "),
        Case(
            {"images": [{"bytes": source.picture(), "path": None}], "texts": []},
            (refused("missing_field"),),
            "no_pairs",
        ),
        Case({"images": [], "texts": None}, (refused("wrong_type"),), "texts_null"),
        *(case(f"picture_{kind}", 1, (kind,)) for kind in GOOD),
        *(case(f"picture_{kind}", 2, (kind,), reason) for kind, reason in BROKEN.items()),
        case("one_of_two_broken", 1, ("png", "truncated"), "picture_undecodable"),
    ]
    cases = source.choose(lambda: case("plain", source.random.randint(1, 3)), traps)
    return in_files(source, cases, "data/train-*.parquet", pa.schema([("images", _IMAGES), ("texts", _TEXTS)]))


def _literal(text: str) -> str:
    return text.replace("<image>", r"<\image>")


def m3it(source: Source) -> Made:
    """Rows of instruction, inputs, image_base64_str, outputs and meta."""
    answered = source.answer()
    traps = [
        _m3it(source, "inputs_empty", inputs=""),
        _m3it(source, "blanks_behind", outputs=f"{answered} \n", said=answered),
        _m3it(source, "one_token", outputs="yes"),
        _m3it(source, "several_pictures", kinds=("jpeg", "png")),
        _m3it(source, "no_picture", kinds=()),
        _m3it(source, "base64_in_lines", lines=True),
        _m3it(source, "literal_marker", inputs="What is <image>?", shown=r"What is <\image>?"),
        _m3it(source, "base64_broken", reason="wrong_type", text="iVBOR*w0KGgo=="),
        _m3it(source, "outputs_null", outputs=None, reason="wrong_type"),
        Case(
            {"instruction": "Look.", "inputs": "", "image_base64_str": []},
            (refused("missing_field"),),
            "outputs_absent",
        ),
        Case(b'{"instruction": "Decide', (refused("broken_record"),), "line_cut"),
        *(_m3it(source, f"picture_{kind}", kinds=(kind,)) for kind in GOOD),
        *(
            _m3it(source, f"picture_{kind}", kinds=(kind,), reason=why)
            for kind, why in BROKEN.items()
            if kind != "empty"
        ),
    ]
    dialog = "dialog" in source.name
    return in_files(
        source,
        source.choose(lambda: _history(source) if dialog else _m3it(source, "plain"), traps),
        f"data/vqa/{source.slug}/train.jsonl",
    )


def _m3it(
    source: Source, trap: str, *, inputs: str | None = None, outputs: Any = "", said: str = "", shown: str = "",
    kinds: tuple[str, ...] = ("jpeg",), lines: bool = False, reason: str = "", text: str = "",
) -> Case:  # fmt: skip
    inputs = source.question() if inputs is None else inputs
    outputs = source.answer() if outputs == "" else outputs
    pictures = [source.picture(kind) for kind in kinds]
    encoded = [(base64.encodebytes if lines else base64.b64encode)(data).decode() for data in pictures]
    row = _m3it_row("Decide whether text and picture agree.", inputs, [text] if text else encoded, outputs)
    asked = "\n".join(filter(None, ("Decide whether text and picture agree.", shown or inputs)))
    if reason:
        return Case(row, (refused(reason),), trap)
    return Case(row, (sample(pair(asked, said or outputs, len(pictures)), *pictures),), trap)


def _m3it_row(instruction: str, inputs: str, pictures: list[str], outputs: Any) -> dict[str, Any]:
    row = {"instruction": instruction, "inputs": inputs, "image_base64_str": pictures, "outputs": outputs}
    return {**row, "meta": {"split": "train"}}


def _history(source: Source) -> Case:
    """Visual Dialog: earlier turns stand in `inputs`."""
    texts = [source.question().replace("\n", " ") for _ in range(2 * source.random.randint(1, 3) + 1)]
    marks = ("Question: ", "Answer: ")
    inputs = " ".join(f"{marks[index % 2]}{text}" for index, text in enumerate(texts))
    data, answered = source.picture(), source.answer()
    row = _m3it_row("Go on with the dialogue.", inputs, [base64.b64encode(data).decode()], f"{answered} ")
    texts[0] = f"<image>\nGo on with the dialogue.\n{texts[0]}"
    roles = ("user", "assistant")
    messages: Messages = tuple((roles[index % 2], text) for index, text in enumerate([*texts, answered]))
    return Case(row, (sample(messages, data),), "dialogue_in_inputs")
