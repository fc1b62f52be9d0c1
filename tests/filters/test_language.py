import pytest

from filters.kinds import SCRIPTS
from filters.language import ALONE, Language
from filters.texts import read_texts
from filters.tongue import MODELLED, model

TEXTS = {
    "en": "The train to the coast leaves every hour from the old station.",
    "de": "Der Zug an die K\u00fcste f\u00e4hrt jede Stunde vom alten Bahnhof ab.",
    "fr": "Le train pour la c\u00f4te part toutes les heures de la vieille gare.",
    "es": "El tren hacia la costa sale cada hora de la vieja estaci\u00f3n.",
    "it": "Il treno per la costa parte ogni ora dalla vecchia stazione.",
    "pl": "Poci\u0105g na wybrze\u017ce odje\u017cd\u017ca co godzin\u0119 ze starego dworca.",
    "vi": "T\u00e0u ra b\u1edd bi\u1ec3n kh\u1edfi h\u00e0nh m\u1ed7i gi\u1edd t\u1eeb nh\u00e0 ga c\u0169.",
    "ru": (
        "\u041f\u043e\u0435\u0437\u0434 \u043d\u0430 \u043f\u043e\u0431\u0435\u0440\u0435\u0436\u044c\u0435 "
        "\u043e\u0442\u0445\u043e\u0434\u0438\u0442 \u043a\u0430\u0436\u0434\u044b\u0439 \u0447\u0430\u0441."
    ),
    "zh": "\u706b\u8f66\u6bcf\u5c0f\u65f6\u4ece\u8001\u8f66\u7ad9\u53d1\u8f66\u3002",
    "ja": "\u5217\u8eca\u306f\u6bce\u6642\u53e4\u3044\u99c5\u304b\u3089\u51fa\u307e\u3059\u3002",
    "ko": (
        "\uae30\ucc28\ub294 \ub9e4\uc2dc\uac04 \uc624\ub798\ub41c \uc5ed\uc5d0\uc11c \ucd9c\ubc1c\ud569\ub2c8\ub2e4."
    ),
    "el": (
        "\u03a4\u03bf \u03c4\u03c1\u03ad\u03bd\u03bf \u03c6\u03b5\u03cd\u03b3\u03b5\u03b9 \u03ba\u03ac\u03b8"
        "\u03b5 \u03ce\u03c1\u03b1."
    ),
    "th": "\u0e23\u0e16\u0e44\u0e1f\u0e2d\u0e2d\u0e01\u0e17\u0e38\u0e01\u0e0a\u0e31\u0e48\u0e27\u0e42\u0e21\u0e07",
}


def detected(batch_of, question, answer):
    return Language()(read_texts(batch_of([("user", question), ("assistant", answer)]))).row(0)


@pytest.mark.parametrize(("code", "text"), TEXTS.items(), ids=list(TEXTS))
def test_languages(batch_of, code, text):
    language, asked, lead = detected(batch_of, text, text)
    assert language == asked == code
    assert 0 < lead <= 1


def test_capitals_and_code_change_nothing(batch_of):
    assert detected(batch_of, "q", TEXTS["de"].upper())[0] == "de"
    assert detected(batch_of, "q", "```\nfor item in the_list_of_items: pass\n```\n" + TEXTS["fr"])[0] == "fr"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("Yes.", "und"),
        ("12 + 30 = 42", "zxx"),
        ("", "zxx"),
        ("\u6c34\u5728\u6cb3", "zh"),
        ("GPU \u6bd4 CPU \u5feb\u5f97\u591a\u7684\u539f\u56e0", "zh"),
    ],
)
def test_short_and_mixed_text(batch_of, answer, code):
    assert detected(batch_of, "q", answer)[0] == code


def test_answers_are_read_in_order_up_to_the_limit(batch_of):
    turns = [("user", "q"), ("assistant", TEXTS["en"] * 4), ("user", "q"), ("assistant", TEXTS["de"] * 4)]
    assert Language()(read_texts(batch_of(turns)))["language"].to_list() == ["en"]
    swapped = [turns[0], turns[3], turns[2], turns[1]]
    assert Language()(read_texts(batch_of(swapped)))["language"].to_list() == ["de"]


def test_every_script_has_its_languages():
    assert {name for name, _ in SCRIPTS} == {*ALONE, *MODELLED}
    made = model()
    assert len(set(made.languages)) == len(made.languages) == made.weights.shape[1]
    assert (made.keys > 0).sum() == len(made.weights) - 1 and not made.weights[0].any()
