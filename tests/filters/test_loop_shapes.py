"""The 17 shapes of text of our comparison of detectors (9 bad, 8 legitimate), built anew, and what the scores say."""

import itertools
import random

import polars as pl
import pytest

from filters.char_run import CharRuns
from filters.duplicates import DuplicateShares
from filters.judges.score import requests, scores
from filters.judges.tiny import TinyJudge
from filters.loops import Loops
from filters.texts import read_texts

CAPTION = "The image shows a man in a blue shirt standing next to a parked bicycle on a quiet street."
INTRO = (
    "This photograph was taken in a small town on a cloudy afternoon in autumn. Old brick houses with flower boxes "
    "line the road, and a baker carries a tray of bread across the square while two children watch from a window. "
)
STEPS = [
    "Since x is even we may write it as a double.",
    "Hence the square of x is divisible by four.",
    "We now assume that y has the opposite parity.",
    "Therefore the sum of both cannot be even.",
]
REFRAIN = (
    "Row on, row on, across the silver bay,\nRow on, row on, until the break of day.\nThe tide will bring us home."
)


def permuted(count):
    return " ".join(
        " ".join(order) for order in itertools.islice(itertools.cycle(itertools.permutations(STEPS)), count)
    )


def table():
    chooser = random.Random(1)
    rows = [f"| town {n} | {chooser.randrange(10**5)} | {chooser.random():.3f} |" for n in range(40)]
    return "\n".join(["| place | people | share |", "|---|---|---|", *rows])


def code():
    names = ["area", "length", "weight", "volume"]
    return "\n\n".join(
        f"def {name}(shape, factor={n}):\n    '''Return its {name}.'''\n    return shape.{name} * factor + {n}"
        for n, name in enumerate(names, 1)
    )


def boxes():
    chooser = random.Random(2)
    return "\n".join(
        f"<ref>dog {n}</ref><box>[[{', '.join(str(chooser.randrange(1000)) for _ in range(4))}]]</box>"
        for n in range(12)
    )


BAD = {
    "caption sentence x4 after intro": INTRO + " ".join([CAPTION] * 4),
    "caption sentence x30": INTRO + " ".join([CAPTION] * 30),
    "two sentences x2": " ".join([CAPTION + " Behind him a dog waits at the door of a small shop."] * 2),
    "short phrase x100": "very good " * 100,
    "permuted proof loop": permuted(40),
    "800 zeros in prose": INTRO + "0" * 800 + " " + INTRO * 2,
    "zeros in groups of 60": INTRO + " ".join(["0" * 60] * 6) + " end.",
    "chinese sentence x20": "\u56fe\u7247\u663e\u793a\u4e00\u53ea\u732b\u5750\u5728\u57ab\u5b50\u4e0a\u3002" * 20,
    "3.333... without end": "The quotient of ten and three is 3." + "3" * 500,
}
OK = {
    "markdown table, 40 rows": table(),
    "python functions": code(),
    "html list": "<ul>\n"
    + "\n".join(f'  <li><a href="/item/{n * 37}">{w}</a></li>' for n, w in enumerate(INTRO.split()))
    + "\n</ul>",
    "grounding boxes": boxes(),
    "step-by-step sums": "\n".join(
        f"Step {n}: add {n * n} to {n * 7}, which gives {n * n + n * 7}." for n in range(1, 12)
    ),
    "short VQA answer": "Seven.",
    "prose": INTRO,
}
SONG = "\n\n".join([REFRAIN] * 3)


def measured(batch):
    texts = read_texts(batch)
    return pl.concat([score(texts) for score in (Loops(), DuplicateShares(), CharRuns())], how="horizontal")


def flags(found):
    """The limits of the rule sets: loop 0.5, repeated 10-grams 0.3, run of 200."""
    limits = {"loop": 0.5, "dup_ngram_share": 0.3, "char_run": 200}
    return {name for name, limit in limits.items() if found[name].item() >= limit}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("caption sentence x4 after intro", {"loop", "dup_ngram_share"}),
        ("caption sentence x30", {"loop", "dup_ngram_share"}),
        ("two sentences x2", {"loop", "dup_ngram_share"}),
        ("short phrase x100", {"loop", "dup_ngram_share"}),
        ("permuted proof loop", {"loop", "dup_ngram_share"}),
        ("800 zeros in prose", {"loop", "dup_ngram_share", "char_run"}),
        ("zeros in groups of 60", {"loop"}),
        ("chinese sentence x20", {"loop", "dup_ngram_share"}),
        ("3.333... without end", {"loop", "char_run"}),
    ],
)
def test_bad_shapes(batch_of_answers, name, expected):
    assert flags(measured(batch_of_answers([BAD[name]]))) == expected


@pytest.mark.parametrize("name", OK)
def test_legitimate_shapes_raise_nothing(batch_of_answers, name):
    assert flags(measured(batch_of_answers([OK[name]]))) == set()


def test_a_song_that_is_nothing_but_its_refrain_is_no_loop(batch_of_answers):
    # its short lines tell it from a caption said three times; n-grams alone cannot
    assert flags(measured(batch_of_answers([SONG]))) == {"dup_ngram_share"}
    assert flags(measured(batch_of_answers([SONG.replace("\n", " ")]))) == {"loop", "dup_ngram_share"}


def test_a_song_with_verses_raises_nothing(batch_of_answers):
    verses = [" ".join(random.Random(seed).sample(INTRO.split(), 30)) for seed in range(3)]
    song = "\n\n".join(f"{verse}\n\n{REFRAIN}" for verse in verses)
    assert flags(measured(batch_of_answers([song]))) == set()


def judged(text, batch, prompt_id):
    return scores(TinyJudge()(requests(batch([text]), prompt_id)), prompt_id)[prompt_id].item()


@pytest.mark.parametrize("name", BAD)
def test_the_embedded_judge_sees_bad_shapes(batch_of_answers, name):
    assert judged(BAD[name], batch_of_answers, "repetition") < 3
    assert judged(BAD[name], batch_of_answers, "quality") < 7


@pytest.mark.parametrize("name", OK)
def test_the_embedded_judge_spares_legitimate_shapes(batch_of_answers, name):
    assert judged(OK[name], batch_of_answers, "repetition") > 7
    assert judged(OK[name], batch_of_answers, "quality") >= 7
