"""Layouts whose rows hold questions and answers about one picture, one or several per row."""

import json
from pathlib import Path

import pytest

from shards.errors import CatalogError
from sources.layouts import LAYOUTS
from sources.record import Defect, Embedded, Member, Record
from sources.scan import ScanIndex
from sources.spec import Source


def said(record: Record | Defect) -> list[str]:
    assert isinstance(record, Record), record
    roles = [message.role for message in record.messages if message.role != "system"]
    assert roles == ["user", "assistant"] * (len(roles) // 2)
    return [message.text for message in record.messages]


def summary(items: list[Record | Defect]) -> list[tuple[int, str, str]]:
    return [
        (item.row, item.part, item.reason if isinstance(item, Defect) else item.messages[-1].text) for item in items
    ]


def test_cauldron_makes_one_sample_per_pair(read) -> None:
    pair = {"user": "How many <image>?", "assistant": "Seven.", "source": "FinQA"}
    rows = [
        {
            "images": [{"bytes": b"a", "path": None}, {"bytes": b"b", "path": None}],
            "texts": [pair, {**pair, "user": "?"}],
        },
        {"images": [], "texts": [pair]},
        {"images": [], "texts": []},
    ]
    items = read("cauldron", rows, ".parquet")
    assert said(items[0]) == ["<image>\n<image>\nHow many <\\image>?", "Seven."]
    assert said(items[1]) == ["<image>\n<image>\n?", "Seven."]
    assert items[0].pictures == items[1].pictures == (Embedded(b"a"), Embedded(b"b"))
    assert items[0].meta == {"source": "FinQA"}
    assert (said(items[2])[0], items[2].pictures) == ("How many <\\image>?", ())
    assert summary(items) == [(0, "0", "Seven."), (0, "1", "Seven."), (1, "0", "Seven."), (2, "", "missing_field")]


def test_cauldron_bad_pairs_cost_no_other(read) -> None:
    pair = {"user": "q", "assistant": "a"}
    items = read(
        "cauldron", [{"images": ["a.jpg"], "texts": [pair, {"user": "q"}, 7, pair]}, {"images": 7, "texts": []}]
    )
    assert summary(items) == [
        (0, "0", "a"),
        (0, "1", "missing_field"),
        (0, "2", "wrong_type"),
        (0, "3", "a"),
        (1, "", "wrong_type"),
    ]


@pytest.mark.parametrize(
    "questions",
    [
        {"question": ["a?", "b?"], "answer": ["1", 2]},
        [{"question": "a?", "answer": "1"}, {"question": "b?", "answer": 2}],
    ],
)
def test_pixmo_docs_in_both_encodings(read, questions) -> None:
    items = read("pixmo_docs", [{"image": "a.png", "image_id": "chart_17", "questions": questions}])
    assert [said(item) for item in items] == [["<image>\na?", "1"], ["<image>\nb?", "2"]]
    assert [(item.part, item.meta) for item in items] == [
        ("0", {"image_id": "chart_17"}),
        ("1", {"image_id": "chart_17"}),
    ]


@pytest.mark.parametrize(
    ("questions", "reason"),
    [
        ({"question": ["a?"], "answer": []}, "wrong_type"),
        ({"question": [], "answer": []}, "missing_field"),
        ({"question": ["a?"]}, "missing_field"),
        ("a?", "wrong_type"),
    ],
)
def test_pixmo_docs_defects(read, questions, reason) -> None:
    assert [item.reason for item in read("pixmo_docs", [{"image": "a.png", "questions": questions}])] == [reason]


@pytest.mark.parametrize("label", ["B", "b", "(B)", "B)", "B.", "[B]", "B) falls", "falls", " B "])
@pytest.mark.parametrize("options", [["A) rises", "B) falls"], ["(A) rises", "(B) falls"], ["rises", "falls"]])
def test_arxivqa_labels_and_letters(read, options, label) -> None:
    row = {
        "id": "1",
        "image": "images/1.jpg",
        "options": options,
        "question": "q?",
        "label": label,
        "rationale": "It falls.",
    }
    (record,) = read("arxivqa", [row])
    shown = options if options[0] != "rises" else ["A) rises", "B) falls"]
    assert said(record) == ["<image>\nq?\n" + "\n".join(shown), "It falls.\n\nAnswer: B"]


@pytest.mark.parametrize(
    ("change", "answer"),
    [
        ({"options": ["A) B", "B) A"]}, "r\n\nAnswer: A"),
        ({"options": [], "label": "A"}, "wrong_type"),
        ({"rationale": None}, "Answer: A"),
        ({"rationale": ""}, "Answer: A"),
        ({"label": "C"}, "wrong_type"),
        ({"label": "Neither"}, "wrong_type"),
        ({"label": ""}, "wrong_type"),
        ({"options": "A) x"}, "wrong_type"),
    ],
)
def test_arxivqa_answers_and_defects(read, change, answer) -> None:
    row = {"image": "a.jpg", "options": ["Above", "Below"], "question": "q?", "label": "A", "rationale": "r", **change}
    assert summary(read("arxivqa", [row])) == [(0, "", answer)]


@pytest.mark.parametrize(
    ("query", "prompt", "question", "task"),
    [
        ("<chartqa> What is the peak year?", None, "What is the peak year?", "chartqa"),
        ("<chartqa> What? <s_answer>", "Ask.", "What?", "chartqa"),
        ("<summarize_chart> <s_answer>", None, "Summarize this chart.", "summarize_chart"),
        ("<extract_data_table>", None, "Write the data of this chart as a table.", "extract_data_table"),
        ("<extract_data_table>", "Read it.", "Read it.", "extract_data_table"),
        ("No tag", None, "No tag", ""),
    ],
)
def test_unichart(read, query, prompt, question, task) -> None:
    (record,) = read(
        "unichart", [{"imgname": "two_col_231.png", "query": query, "label": "a | b & 1 | 2"}], prompt=prompt
    )
    assert said(record) == [f"<image>\n{question}", "a | b & 1 | 2"]
    assert (record.pictures, record.meta["task"]) == ((Member("two_col_231.png"),), task)


def test_unichart_without_a_question(read) -> None:
    assert read("unichart", [{"imgname": "a.png", "query": "<other>", "label": "x"}])[0].reason == "missing_field"


SCREEN = {"file_name": "1.jpg", "image": {"bytes": b"jpg", "path": None}}


@pytest.mark.parametrize("prompt", [None, "What is it?"])
def test_screen2words_keeps_every_caption(read, prompt) -> None:
    items = read("screen2words", [{**SCREEN, "captions": ["login page", "password"]}], ".parquet", prompt=prompt)
    question = prompt or "Describe this screen in one sentence."
    assert [said(item) for item in items] == [
        [f"<image>\n{question}", "login page"],
        [f"<image>\n{question}", "password"],
    ]
    assert [item.part for item in items] == ["0", "1"]
    assert read("screen2words", [{**SCREEN, "image": "a", "captions": []}])[0].reason == "missing_field"


def test_screenqa_reads_the_first_answer(read) -> None:
    answers = [{"full_answer": "a@b.c", "ui_elements": []}, {"full_answer": "other", "ui_elements": []}]
    row = {"file_name": "1.jpg", "image": "1.jpg", "question": "mail?", "ground_truth": answers}
    assert said(read("screenqa_rico", [row])[0]) == ["<image>\nmail?", "a@b.c"]
    rows = [{**row, "ground_truth": []}, {**row, "ground_truth": ["a"]}, {**row, "ground_truth": [{}]}]
    assert [item.reason for item in read("screenqa_rico", rows)] == ["missing_field", "wrong_type", "missing_field"]


def test_widget_captioning_names_the_box(read) -> None:
    row = {"file_name": "1.jpg", "image": "1.jpg", "bbox": [0.1, 0.2, 0.5, 1], "captions": ["go back", "return"]}
    items = read("widget_captioning", [row], prompt="Which element is at")
    assert [said(item) for item in items] == [
        ["<image>\nWhich element is at [0.1, 0.2, 0.5, 1]", "go back"],
        ["<image>\nWhich element is at [0.1, 0.2, 0.5, 1]", "return"],
    ]
    assert [item.reason for item in read("widget_captioning", [{**row, "bbox": [1]}])] == ["wrong_type"]


@pytest.mark.parametrize(
    ("question", "expected", "repairs"),
    [
        ("<image>\nIs it linear?", "<image>\nIs it linear?", ()),
        ("Is it linear?", "<image>\nIs it linear?", ("marker_added",)),
    ],
)
def test_mmc(read, question, expected, repairs) -> None:
    (record,) = read("mmc", [{"image_id": "1706.0001_3.png", "question": question, "answer": "No."}])
    assert (said(record), record.repairs) == ([expected, "No."], repairs)
    assert record.pictures == (Member("1706.0001_3.png"),)


@pytest.mark.parametrize(
    ("captions", "normal", "answer", "repairs"),
    [
        (["Figure 2: Our model."], ["figure number-tk : our model."], "Our model.", ("number_stripped",)),
        (None, ["figure number-tk : our model."], "our model.", ("number_stripped",)),
        ([], ["fig. number-tk. our model."], "our model.", ("number_stripped",)),
        (["Fig. 2a. Our model.", "other"], [], "Our model.", ("number_stripped",)),
        (["Fig. 2.5. Our model."], [], "Our model.", ("number_stripped",)),
        (["Fig. 1.5 m of kite."], [], "Fig. 1.5 m of kite.", ()),
        (["Figures of kites"], [], "Figures of kites", ()),
        (["The curve of Figure 2: it falls"], [], "The curve of Figure 2: it falls", ()),
    ],
)
def test_paper2fig(read, captions, normal, answer, repairs) -> None:
    row = {"figure_id": "1901.0001v1-Figure2-1", "captions": captions, "captions_norm": normal}
    (record,) = read("paper2fig", [row], ".json")
    assert (said(record), record.repairs) == (["<image>\nWrite a caption for this figure.", answer], repairs)
    assert record.pictures == (Member("1901.0001v1-Figure2-1.png"),)


def test_paper2fig_without_captions(read) -> None:
    assert read("paper2fig", [{"figure_id": "1", "captions_norm": []}], ".json")[0].reason == "missing_field"


def test_kvqa(read) -> None:
    good = {"imgPath": "KVQAimgs/36154.jpg", "Questions": ["Who is left?", "How many?"], "Answers": ["A", 2]}
    items = read("kvqa", {"36154": good, "2": {**good, "Answers": ["A"]}, "3": {**good, "Answers": [None, 2]}}, ".json")
    assert summary(items) == [
        (0, "0", "A"),
        (0, "1", "2"),
        (1, "", "wrong_type"),
        (2, "0", "wrong_type"),
        (2, "1", "2"),
    ]
    assert (items[0].name, items[0].pictures) == ("36154", (Member("KVQAimgs/36154.jpg"),))
    assert "found 1 and 2" in items[2].message


@pytest.mark.parametrize(
    ("change", "question", "answer"),
    [
        ({}, "How many? <image>\n(A) one\n(B) two", "Answer: B"),
        ({"solution": "Count."}, "How many? <image>\n(A) one\n(B) two", "Count.\n\nAnswer: B"),
        ({"options": []}, "How many? <image>", "Answer: B"),
        ({"question": "How many?", "options": None}, "<image>\nHow many?", "Answer: B"),
        ({"question": "<image1> and <image1>", "options": []}, "<image> and image 1", "Answer: B"),
        ({"question": "the tag <image>", "options": []}, "<image>\nthe tag <\\image>", "Answer: B"),
    ],
)
def test_mathvision(read, change, question, answer) -> None:
    row = {"question": "How many? <image1>", "options": ["one", "two"], "answer": "B", "solution": None, "level": 2}
    (record,) = read("mathvision", [{**row, "image": "images/4.jpg", **change}])
    assert said(record) == [question, answer]
    assert (record.pictures, record.meta) == ((Member("images/4.jpg"),), {"level": 2})


@pytest.mark.parametrize("layout", ["mathvision", "arxivqa", "tabmwp"])
def test_more_options_than_letters_are_a_defect(read, layout) -> None:
    row = {"question": "q", "options": ["x"] * 27, "choices": ["x"] * 27, "label": "A", "answer": "A", "solution": "s"}
    (defect,) = read(layout, {"1": row}, ".json")
    assert (defect.reason, defect.message[-8:]) == ("wrong_type", "found 27")


def test_mathvision_prefers_bytes_and_counts_tokens(read) -> None:
    row = {"question": "<image1> or <image2>?", "image": "a.jpg", "answer": "B"}
    assert read("mathvision", [row])[0].reason == "marker_mismatch"
    (record,) = read(
        "mathvision", [{**row, "question": "?", "decoded_image": {"bytes": b"jpg", "path": None}}], ".parquet"
    )
    assert record.pictures == (Embedded(b"jpg"),)


CHART_FILES = ("dataset_split/*.csv", "captions/*.txt", "multiColumn/captions/*.txt")


@pytest.fixture
def charts(tmp_path: Path) -> Path:
    for folder, number, text in (
        ("captions", "42", "\ufeffSales of kites ( big ones ) rose , reaching 40 % in 2019 .\nMore .\n"),
        ("multiColumn/captions", "42", "Kites do n't fall."),
    ):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / f"{number}.txt").write_text(text, encoding="utf-8")
    (tmp_path / "dataset_split").mkdir()
    return tmp_path


@pytest.mark.parametrize("header", ["", "ImageName\n"])
def test_chart_to_text(charts: Path, header: str) -> None:
    path = charts / "dataset_split" / "train_index_mapping.csv"
    path.write_text(f"{header}two_col-42.txt\nmulti_col-42.txt\ntwo_col-7.txt\n../x.txt\n\n")
    items = list(LAYOUTS["chart_to_text"](path, Source(name="s", layout="chart_to_text", files=CHART_FILES)))
    assert summary(items) == [
        (0, "", "Sales of kites (big ones) rose, reaching 40% in 2019."),
        (1, "", "Kites don't fall."),
        (2, "", "caption_missing"),
        (3, "", "broken_record"),
    ]
    assert [item.name for item in items[:2]] == ["two_col-42", "multi_col-42"]
    assert [item.pictures for item in items[:2]] == [(Member("imgs/42.png"),), (Member("multiColumn/imgs/42.png"),)]
    assert items[0].repairs == ("detokenised",)


def test_a_changed_caption_of_chart_to_text_is_read_anew(raw, make, png) -> None:
    files = {
        "dataset_split/index.csv": "two_col-1.txt\ntwo_col-2.txt\n",
        "captions/1.txt": "Sales rose .",
        "captions/2.txt": "Sales fell .\nAs every year .\n",
        "multiColumn/captions/1.txt": "Nobody asks for this .",
        "imgs/1.png": png(1),
        "imgs/2.png": png(2),
    }
    raw(files)
    before = make(layout="chart_to_text", files=CHART_FILES)
    assert [sample["messages"][1]["text"] for sample in before.samples] == ["Sales rose.", "Sales fell."]
    assert (before.index.items, before.scanned.index(ScanIndex).raw_rows) == (2, 2)
    raw({"captions/2.txt": "Sales fell again ."})
    after = make(layout="chart_to_text", files=CHART_FILES)
    assert after.scanned.path != before.scanned.path
    assert [sample["messages"][1]["text"] for sample in after.samples] == ["Sales rose.", "Sales fell again."]


def test_chart_to_text_asks_for_its_captions_in_files(charts: Path) -> None:
    path = charts / "dataset_split" / "train_index_mapping.csv"
    path.write_text("two_col-42.txt\n")
    with pytest.raises(CatalogError, match=r"expected the captions in `files` beside `train_index_mapping.csv`"):
        list(LAYOUTS["chart_to_text"](path, Source(name="s", layout="chart_to_text", files=("dataset_split/*.csv",))))


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("[{'question': \"C'est quoi ?\", 'answer': 'un velo'}]", [["<image>\nC'est quoi ?", "un velo"]]),
        (
            [{"question": "a", "answer": "b"}, {"question": "c", "answer": 2}],
            [["<image>\na", "b"], ["<image>\nc", "2"]],
        ),
        ("[]", "missing_field"),
        ("[{'question': 'a'}]", "missing_field"),
        ("[{'question'", "wrong_type"),
        ("{'question': 'a'}", "wrong_type"),
        ("(" * 10_000, "wrong_type"),
        ("__import__('os').getcwd()", "wrong_type"),
        (None, "wrong_type"),
        (["text"], "wrong_type"),
    ],
)
def test_mtvqa(read, written, found) -> None:
    items = read("mtvqa", [{"id": "1", "image": "a.jpg", "qa_pairs": written, "lang": "FR"}])
    if isinstance(found, str):
        assert [item.reason for item in items] == [found]
    else:
        assert [said(item) for item in items] == found
        assert [item.part for item in items] == [str(part) for part in range(len(found))]
        assert items[0].meta == {"id": "1", "lang": "FR"}


def test_pairs_of_one_row_can_be_one_dialogue(tmp_path: Path) -> None:
    pairs = [{"user": "How many?", "assistant": "Two.", "source": "s"}, {"user": "Which?", "assistant": "Both."}]
    rows = {
        "cauldron": {"images": [{"path": "a.jpg"}, {"path": "b.jpg"}], "texts": pairs},
        "mtvqa": {
            "image": ["a.jpg", "b.jpg"],
            "qa_pairs": [{"question": p["user"], "answer": p["assistant"]} for p in pairs],
        },
    }
    for layout, row in rows.items():
        path = tmp_path / f"{layout}.jsonl"
        path.write_text("\n".join(json.dumps(line) for line in (row, {**row, "texts": [], "qa_pairs": []})))
        joined, empty = LAYOUTS[layout](path, Source(name="s", layout=layout, pairs="join"))
        assert said(joined) == ["<image>\n<image>\nHow many?", "Two.", "Which?", "Both."]
        assert (joined.part, joined.pictures) == ("", (Member("a.jpg"), Member("b.jpg")))
        assert empty.reason == "missing_field"


def test_parts_of_a_row_become_samples_that_share_a_picture(make, raw, png) -> None:
    news = {"imgPath": "KVQAimgs/1.png", "Questions": ["who?", "how many?"], "Answers": ["A", 2]}
    rows = {"36154": news, "2": {**news, "Answers": ["A"]}}
    raw({"dataset.json": json.dumps(rows), "KVQAimgs/1.png": png()})
    made = make(layout="kvqa", files="dataset.json")
    assert made.keys == ["s/train/36154/0", "s/train/36154/1"]
    assert made.reasons == {"dataset.json#1": "wrong_type"}
    first, second = made.images
    assert first == second
