import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.characters import Characters
from filters.texts import read_texts

ODD = ["xkcdfgh", "pQrStUvW", "a1b2c3", "bcdfgh"]


def measured(batch_of_answers, answer):
    return Characters()(read_texts(batch_of_answers([answer]))).row(0, named=True)


@pytest.mark.parametrize(
    ("answer", "score", "value"),
    [
        ("ab!?", "special_share", 0.5),
        ("a b", "special_share", 0.0),
        ("\u6c34\u3002", "special_share", 0.5),
        ("\U0001f600a", "special_share", 0.5),
        ("12ab", "digit_share", 0.5),
        ("\uff11\u0661ab", "digit_share", 0.5),
        ("ABcd", "upper_share", 0.5),
        ("\u0410\u0411\u0432\u0433", "upper_share", 0.5),
        ("\u6c34", "upper_share", 0.0),
        ("a\x00b\x07\x85\n\t", "control_chars", 2),
        ("\ufffd\ufffd", "replacement_chars", 2),
        ("caf\u00c3\u00a9 it\u00e2\u20ac\u2122s", "mojibake", 2),
        ("\u00c2\u00b0C", "mojibake", 1),
        ("\u00c3o S\u00c3O \u00c2ge \u00e2ge", "mojibake", 0),
        ("\ue000\U000f0000", "private_chars", 2),
        ("a\u200bb\u00adc\ufeff", "invisible_chars", 3),
        ("\u0645\u06cc\u200c\u062e \U0001f468\u200d\U0001f469", "invisible_chars", 0),
        ("\u202eabc\u202c", "bidi_marks", 2),
        ("a\u0301\u0302\u0303 e\u0301", "mark_run", 3),
        ("p\u0430yp\u0430l is", "mixed_script_words", 1),
        ("\u03b1-rays and \u03b2x", "mixed_script_words", 0),
        ("good words here " + ODD[0], "odd_word_share", 0.25),
        ("McDonald NASA rhythm strength Angstschweiss", "odd_word_share", 0.0),
        ("", "odd_word_share", 0.0),
        ("123 456", "odd_word_share", 0.0),
    ],
)
def test_kinds_of_characters(batch_of_answers, answer, score, value):
    assert measured(batch_of_answers, answer)[score] == pytest.approx(value)


@pytest.mark.parametrize("word", ODD)
def test_words_that_no_language_has(batch_of_answers, word):
    assert measured(batch_of_answers, word)["odd_word_share"] == 1


def test_answers_of_a_sample_are_taken_together(batch_of):
    turns = [("user", "!!!!"), ("assistant", "12"), ("user", "q"), ("assistant", "abcdef")]
    assert Characters()(read_texts(batch_of(turns)))["digit_share"].to_list() == [0.25]


ASCII = st.text(alphabet=st.characters(min_codepoint=1, max_codepoint=126), max_size=60)


@settings(deadline=None)
@given(ASCII)
def test_shares_of_ascii_against_slow_ones(batch_of_answers, text):
    found = measured(batch_of_answers, text)
    shown = [char for char in text if char not in " \t\n\x0b\x0c\r"]
    letters = [char for char in text if char.isalpha()]
    controls = sum(ord(char) < 32 for char in shown)
    special = [char for char in shown if not char.isalnum()]
    assert found["control_chars"] == controls
    assert found["special_share"] == pytest.approx(len(special) / max(len(shown), 1))
    assert found["digit_share"] == pytest.approx(sum(char.isdigit() for char in shown) / max(len(shown), 1))
    assert found["upper_share"] == pytest.approx(sum(char.isupper() for char in letters) / max(len(letters), 1))
