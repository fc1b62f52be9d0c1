"""OpenCQA, TabMWP and TAT-QA: questions about charts and tables."""

from dataclasses import replace
from typing import Any

from mini_hub.case import Case, Made, Source, pair, refused, sample
from mini_hub.files import in_files, in_object


def opencqa(source: Source) -> Made:
    """An object of six texts by id."""

    def case(trap: str = "plain", reason: str = "", items: int = 6, literal: str = "", shown: str = "") -> Case:
        name, data, answer = f"{source.random.randrange(10**6)}.png", source.picture("png"), source.answer()
        asked = literal or source.question()
        texts = [name, "Kites sold", "Sales rose.", asked, answer, "rose"][:items]
        expected = refused(reason) if reason else sample(pair(shown or asked, answer), data)
        return Case(texts, (expected,), trap, {} if reason == "picture_missing" else {name: data})

    traps = [
        case("literal_marker", literal="What is <image>?", shown=r"What is <\image>?"),
        case("five_texts", "wrong_type", items=5),
        case("picture_missing", "picture_missing"),
        Case({"question": "?"}, (refused("wrong_type"),), "an_object"),
    ]
    cases = source.choose(case, traps)
    return in_object(source, [(str(100 + 3 * row), item) for row, item in enumerate(cases)], "etc/data.json")


def tabmwp(source: Source) -> Made:
    """An object of problems by id; the picture is called like the id."""
    ids = iter(source.random.sample(range(10**6), 200))

    def case(trap: str = "plain", reason: str = "", **extra: Any) -> Case:
        name, data, asked, solved = str(next(ids)), source.picture("png"), source.question(), source.answer()
        row = {"question": asked, "choices": None, "answer": "7", "unit": None, "solution": f"{solved}\n", "grade": 3}
        row |= extra
        lines = asked + (f" (unit: {row['unit']})" if row["unit"] else "")
        lines += "".join(f"\n({letter}) {text}" for letter, text in zip("ABCD", row["choices"] or (), strict=False))
        expected = refused(reason) if reason else sample(pair(lines, f"{solved}\n\nAnswer: {row['answer']}"), data)
        held = (name, {key: value for key, value in row.items() if value != "absent"})
        return Case(held, (expected,), trap, {} if reason == "picture_missing" else {f"{name}.png": data})

    traps = [
        case("choices", choices=["yes", "no"], answer="yes"),
        case("unit", unit="$"),
        case("picture_missing", "picture_missing"),
        case("no_solution", "missing_field", solution="absent"),
        case("choices_as_text", "wrong_type", choices="yes or no"),
    ]
    named = [(item.raw[0], replace(item, raw=item.raw[1])) for item in source.choose(case, traps)]
    return in_object(source, named, "problems_train.json")


def tatqa(source: Source) -> Made:
    """Rows of table, paragraphs and questions: one sample per question."""

    def case(trap: str = "plain", questions: int = 2, answer: Any = "", told: str = "", scale: str = "",
             cells: Any = None, table: str = "", reason: str = "") -> Case:  # fmt: skip
        year = str(source.random.randrange(1900, 2030))
        cells = [["", year], ["kites", "4"]] if cells is None else cells
        table = table or f"|  | {year} |\n| --- | --- |\n| kites | 4 |"
        texts = [(source.question(), source.answer()) for _ in range(questions)]
        row = {
            "table": {"uid": "t", "table": cells},
            "paragraphs": [{"uid": "p", "text": "All sold."}, {"uid": "q", "text": "None left."}],
            "questions": [
                {"uid": "u", "question": asked, "answer": said if answer == "" else answer, "scale": scale}
                for asked, said in texts
            ],
        }
        context = "\n\n".join(filter(None, (table, "All sold.\nNone left.")))
        expected = tuple(
            sample(pair(f"{context}\n\n{asked}", told or said, 0), part=str(part))
            for part, (asked, said) in enumerate(texts)
        )
        return Case(row, (refused(reason),) if reason else expected, trap)

    traps = [
        case("scale", 1, "4", "4 thousand", scale="thousand"),
        case("list_answer", 1, ["4", "", "5"], "4, 5"),
        case("number", 1, 0.5, "0.5", scale=""),
        case("bar_in_cell", 1, cells=[["a|b"], ["c\nd"]], table="| a\\|b |\n| --- |\n| c d |"),
        case("no_questions", 0, reason="missing_field"),
        Case({"paragraphs": [], "questions": []}, (refused("missing_field"),), "no_table"),
    ]
    return in_files(source, source.choose(case, traps, rows=30), "tatqa_train.json")
