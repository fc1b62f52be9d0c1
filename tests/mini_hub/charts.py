"""S13 ArXivQA, S14 UniChart, S16 SciGraphQA, S17 MMC, S18 Chart-to-Text and S19 Paper2Fig."""

from typing import Any

from mini_hub.case import Case, Made, Source, pair, refused, sample
from mini_hub.files import in_files, names_of
from mini_hub.talk import turn


def arxivqa(source: Source) -> Made:
    """Rows of id, image, options, question, label and rationale."""

    def case(
        trap: str = "plain", *, options: Any = None, label: Any = "B", shown: str = "", reason: str = "", **extra: Any
    ) -> Case:
        path, data, asked = f"images/{source.path()}", source.picture(), source.question()
        options = ["A) rises", "B) falls"] if options is None else options
        row = {
            "id": "cs-101",
            "image": path,
            "options": options,
            "question": asked,
            "label": label,
            "rationale": "It grows.",
        }
        said = "Answer: B" if "rationale" in extra else "It grows.\n\nAnswer: B"
        lines = shown or "\n".join(options)
        expected = refused(reason) if reason else sample(pair(f"{asked}\n{lines}", said), data)
        return Case({**row, **extra}, (expected,), trap, {} if reason == "picture_missing" else {path: data})

    lettered = "A) rises\nB) falls"
    traps = [
        case("options_without_letters", options=["rises", "falls"], shown=lettered),
        case("label_small", label="b"),
        case("label_in_brackets", label="(B)"),
        case("label_with_bracket", label="B)"),
        case("label_is_option", label="B) falls"),
        case("label_is_text", options=["rises", "falls"], label="falls", shown=lettered),
        case("rationale_null", rationale=None),
        case("label_of_no_option", label="E", reason="wrong_type"),
        case("label_null", label=None, reason="wrong_type"),
        case("options_are_text", options="A) rises B) falls", shown="-", reason="wrong_type"),
        case("picture_missing", reason="picture_missing"),
    ]
    return in_files(source, source.choose(case, traps), "arxivqa.jsonl")


def unichart(source: Source) -> Made:
    """Rows of imgname, query and label; the pictures are a zip file, which upstream lies in another repository."""

    def case(
        trap: str = "plain", query: str = "<chartqa> {}", asked: str = "{}", label: str = "", reason: str = ""
    ) -> Case:
        name, data = f"{source.path('png')}".replace("/", "_"), source.picture("png")
        question, label = source.question(), label or source.answer()
        row = {"imgname": name, "query": query.format(question), "label": label}
        expected = refused(reason) if reason else sample(pair(asked.format(question), label), data)
        return Case(row, (expected,), trap, {} if reason == "picture_missing" else {name: data})

    first = case("picture_shared")
    again = {**first.raw, "query": "<opencqa> Why? <s_answer>", "label": "So."}
    traps = [
        first,
        Case(again, (sample(pair("Why?", "So."), *first.beside.values()),), "picture_shared", first.beside),
        case("task_only", "<summarize_chart>", source.prompt("Summarize this chart.")),
        case("task_only", "<extract_data_table> <s_answer>", source.prompt("Write the data of this chart as a table.")),
        case("flat_table", label="Year | Sum & 2019 | 4 & 2020 | 5"),
        case("no_tag", "{}"),
        case("nothing_asked", "<unknown_task>", reason="missing_field"),
        case("picture_missing", reason="picture_missing"),
    ]
    return in_files(source, source.choose(case, traps), "data/train-*.parquet")


def scigraphqa(source: Source) -> Made:
    """Rows of image_file, id, caption, conversations, first_mention, response, title and abstract."""

    def case(
        trap: str = "plain",
        pairs: int = 0,
        reason: str = "",
        first_only: bool = False,
        said: tuple[str, ...] = (),
        **extra: Any,
    ) -> Case:
        texts = [
            text
            for _ in range(pairs or source.random.randint(1, 3))
            for text in (_flat(source.question()), source.answer())
        ]
        name, data = f"{source.random.randrange(10**9)}v1-Figure1-1.png", source.picture("png")
        marks = ("Question: ", "\nAnswer: ")
        response = "".join(f"{marks[i % 2]}{text}{chr(10) * (2 * (i % 2))}" for i, text in enumerate(texts)).strip()
        row = {
            "image_file": name, "id": name, "caption": "Fig. 1: Loss.",
            "conversations": [turn("human", f"{texts[0]} <image>"), turn("gpt", texts[1])],
            "first_mention": "Fig. 1 shows ...", "response": response, "title": "On loss", "abstract": "...",
        }  # fmt: skip
        roles, texts = ("user", "assistant"), list(said) or texts
        messages = tuple((roles[i % 2], text) for i, text in enumerate(texts))
        messages = (("user", f"<image>\n{texts[0]}"), *messages[1:])
        if first_only:
            messages = (("user", f"{texts[0]} <image>"), ("assistant", texts[1]))
        expected = refused(reason) if reason else sample(messages, data)
        return Case({**row, **extra}, (expected,), trap, {} if reason == "picture_missing" else {name: data})

    traps = [
        case("several_turns", 4),
        case("response_empty", response="", first_only=True),
        case("response_null", response=None, first_only=True),
        case("response_cannot_be_split", response="It goes up. Question: why?", first_only=True),
        case("answer_missing", response="Question: a? Answer: b Question: c?", first_only=True),
        case("marker_in_response", response="Question: Why <image>? Answer: So.", said=("Why ?", "So.")),
        case("picture_missing", reason="picture_missing"),
        case("nothing_said", response="", conversations=[], reason="wrong_type"),
    ]
    return in_files(source, source.choose(case, traps), "data/train-*.parquet")


def _flat(text: str) -> str:
    return text.replace("\n", " ")


def mmc(source: Source) -> Made:
    """Rows of image_id, question and answer."""

    def case(
        trap: str = "plain", written: str = "<image>\n{}", reason: str = "", shown: str = "<image>\n{}", **extra: Any
    ) -> Case:
        name, data = source.path("png").replace("/", "_"), source.picture("png")
        asked, said = source.question(), source.answer()
        row = {"image_id": name, "question": written.format(asked), "answer": said, **extra}
        messages = (("user", shown.format(asked)), ("assistant", str(row["answer"])))
        expected = refused(reason) if reason else sample(messages, data)
        return Case(row, (expected,), trap, {} if reason == "picture_missing" else {name: data})

    traps = [
        case("marker_missing", "{}"),
        case("marker_at_end", "{}\n<image>", shown="{}\n<image>"),
        case("empty_answer", answer=""),
        case("marker_repeated", "<image>\n<image>\n{}", "marker_mismatch"),
        case("picture_missing", reason="picture_missing"),
        case("answer_null", reason="wrong_type", answer=None),
        Case(b'{"image_id": "1706', (refused("broken_record"),), "line_cut"),
    ]
    return in_files(source, source.choose(case, traps), "mmc.jsonl")


def chart_to_text(source: Source) -> Made:
    """An index file, captions and charts; numbers restart in the folder of charts with several columns."""
    (index, *_), declared = names_of(source, "")
    folder = index.rsplit("/dataset_split/", maxsplit=1)[0]
    asked = source.prompt("Summarize this chart.")
    captions: dict[str, bytes] = {}

    def case(
        trap: str = "plain",
        kind: str = "",
        caption: bytes | None = None,
        said: str = "",
        reason: str = "",
        line: str = "",
    ) -> Case:
        kind, data = kind or source.random.choice(("two_col", "multi_col")), source.picture("png")
        number = 1 + sum(path.startswith("multiColumn") == (kind == "multi_col") for path in captions)
        inside = "multiColumn/" if kind == "multi_col" else ""
        sales = source.random.randrange(10000)
        caption = (
            f"Sales of kites rose , reaching {sales} units ( net ) in 2019 .\nsecond line\n".encode()
            if caption is None
            else caption
        )
        said = said or f"Sales of kites rose, reaching {sales} units (net) in 2019."
        captions[f"{inside}captions/{number}.txt"] = caption
        if reason == "caption_missing":
            captions[f"{inside}captions/{number}.txt"] = b""
        name = f"{inside}imgs/{number}.png"
        expected = refused(reason) if reason else sample(pair(asked, said), data)
        return Case(
            line or f"{kind}-{number}.txt", (expected,), trap, {} if reason == "picture_missing" else {name: data}
        )

    traps = [
        case("same_number_elsewhere", "two_col"),
        case("same_number_elsewhere", "multi_col"),
        case("caption_plain", caption=b"All is well.\n", said="All is well."),
        case("caption_with_bom", caption=b"\xef\xbb\xbfAll is well.", said="All is well."),
        case("picture_missing", reason="picture_missing"),
        case("odd_line", reason="broken_record", line="three_col-1.txt"),
        case("no_such_caption", reason="caption_missing", line="two_col-99999.txt"),
    ]
    cases = source.choose(case, traps)
    lines = [str(case.raw) for case in cases]
    header = ["Image Index"] if source.place % 2 else []
    made = Made(
        {index: ("\n".join([*header, *lines]) + "\n").encode()},
        [(index, row, case) for row, case in enumerate(cases)],
        declared,
    )
    made.files |= {f"{folder}/{path}": data for path, data in captions.items()}
    return made


def paper2fig(source: Source) -> Made:
    """Rows of figure_id, captions and captions_norm."""
    asked = source.prompt("Write a caption for this figure.")

    def case(trap: str = "plain", captions: Any = None, norm: Any = None, said: str = "", reason: str = "") -> Case:
        name, data, caption = f"{source.random.randrange(10**8)}v1-Figure2-1", source.picture("png"), source.answer()
        row = {
            "figure_id": name,
            "captions": [f"Figure 2: {caption}"] if captions is None else captions,
            "captions_norm": [f"figure number-tk : {caption.lower()}"] if norm is None else norm,
        }
        if captions == "absent":
            del row["captions"]
            said = caption.lower()
        expected = refused(reason) if reason else sample(pair(asked, said or caption), data)
        return Case(row, (expected,), trap, {} if reason == "picture_missing" else {f"{name}.png": data})

    traps = [
        case("normalised_only", captions="absent"),
        case("several_captions", captions=["Figure 2: One.", "Figure 2: Two."], said="One."),
        case("no_number", captions=["Our model."], said="Our model."),
        case("picture_missing", reason="picture_missing"),
        case("no_captions", captions=[], norm=[], reason="missing_field"),
    ]
    return in_files(source, source.choose(case, traps), "paper2fig_train.json")
