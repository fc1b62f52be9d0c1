import pytest

from filters.placeholders import Placeholders
from filters.texts import read_texts


def found(batch_of, question, answer="Fine."):
    return Placeholders()(read_texts(batch_of([("user", question), ("assistant", answer)]))).row(0, named=True)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ("<nooutput>", "output"),
        ("No output required.", "output"),
        ("[Image of a house]", "output"),
        ("Your answer here", "output"),
        ("TODO", "output"),
        ("\u65e0\u8f93\u51fa", "output"),
        ("N/A", "not_available"),
        ("None.", "not_available"),
        ("...", "marks"),
        ("-", "marks"),
        ("?", "marks"),
        ("No", "no"),
        ("7", "no"),
        ("No output is produced, since the loop never starts.", "no"),
        ("Nothing", "no"),
        ("\u6c34", "no"),
        ("", "no"),
    ],
)
def test_placeholders(batch_of, answer, kind):
    assert found(batch_of, "What is it?", answer)["placeholder"] == kind


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("Describe it.\n[Image of a red bus]", "picture"),
        ("Describe it.\n![bus](https://a.bc/d.png)", "picture"),
        ("What is shown in this picture?", "picture"),
        ("Name the colour.\n<\\image>", "picture"),
        ("Draw a picture of a bus.", "no"),
        ("Write [image](a.png) in Markdown.", "no"),
        ("Summarise this article.\nhttps://a.bc/news/1", "link"),
        ("Read it. Link: www.a.bc", "link"),
        ("Is https://a.bc the right address, or is it another one?", "no"),
        ("Correct the following sentence:", "text"),
        ("Correct the following sentence: I is here.", "no"),
        ("Sum up the article.\n[Insert article]", "text"),
        ("Name three colours.\nnoinput", "placeholder"),
        ("Name three colours.\n<No input needed>", "placeholder"),
        ("How much input does it need?", "no"),
        ("Which of these? A) all B) none", "no"),
        ("", "no"),
    ],
)
def test_missing_content(batch_of, question, kind):
    assert found(batch_of, question)["missing_content"] == kind


def test_long_questions_bring_their_content(batch_of):
    assert found(batch_of, "Read on. " * 300 + "https://a.bc")["missing_content"] == "no"


@pytest.mark.parametrize(
    ("turns", "empty"),
    [
        ([("user", "q"), ("assistant", " \n")], 1),
        ([("user", "q"), ("assistant", "a"), ("user", "q"), ("assistant", "<image>")], 1),
        ([("user", "q")], 1),
        ([("document", "text")], 0),
    ],
)
def test_empty_answers(batch_of, turns, empty):
    assert Placeholders()(read_texts(batch_of(turns)))["empty_answers"].to_list() == [empty]
