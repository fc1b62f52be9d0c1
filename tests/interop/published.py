"""Which published rules a text fails: by our rule sets, and by the packages that publish them."""

import json
import random
import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from filters.c4 import C4, SENTENCE_END
from filters.data_juicer import DataJuicer
from filters.fineweb import FineWeb
from filters.gopher import Gopher
from filters.letters import WORD
from filters.texts import read_texts
from manifests.rules import load_rule_set, parse

HERE = Path(__file__).parent
MESSAGES = pl.Schema({"messages": pl.List(pl.Struct({"role": pl.String, "text": pl.String}))})

DATATROVE = {
    **{"dup_para_frac": "gopher_dup_paragraphs", "dup_para_char_frac": "gopher_dup_paragraph_chars"},
    **{"dup_line_frac": "gopher_dup_lines", "dup_line_char_frac": "gopher_dup_line_chars"},
    **{f"top_{n}_gram": f"gopher_top_{n}_gram" for n in (2, 3, 4)},
    **{f"duplicated_{n}_n_grams": f"gopher_dup_{n}_gram" for n in range(5, 11)},
    **{"gopher_short_doc": "gopher_few_words", "gopher_long_doc": "gopher_many_words"},
    **{"gopher_below_avg_threshold": "gopher_short_words", "gopher_above_avg_threshold": "gopher_long_words"},
    **{"gopher_too_many_hashes": "gopher_hashes", "gopher_too_many_ellipsis": "gopher_ellipses"},
    **{"gopher_too_many_bullets": "gopher_bullet_lines", "gopher_too_many_end_ellipsis": "gopher_ellipsis_lines"},
    **{"gopher_below_alpha_threshold": "gopher_alpha_words", "gopher_enough_stop_words": "gopher_stop_words"},
    **{"lorem_ipsum": "c4_lorem_ipsum", "curly_bracket": "c4_curly_bracket", "too_few_sentences": "c4_few_sentences"},
    **{"line_punct_ratio": "fineweb_terminal_lines", "short_line_ratio": "fineweb_short_lines"},
    **{"char_dup_ratio": "fineweb_dup_lines", "list_ratio": "fineweb_newlines"},
}
"""Reasons of datatrove's filters and the names of our rules."""

DATA_JUICER = {
    **{"CharacterRepetitionFilter": "juicer_char_ngrams", "WordRepetitionFilter": "juicer_word_ngrams"},
    **{"SpecialCharactersFilter": "juicer_special_chars", "AlphanumericFilter": "juicer_alnum"},
    **{"AverageLineLengthFilter": "juicer_mean_line", "MaximumLineLengthFilter": "juicer_max_line"},
    **{"TextLengthFilter": "juicer_chars", "WordsNumFilter": "juicer_words"},
}
"""Operators of data-juicer and the names of our rules."""

SETS = {"datatrove": ("gopher", "c4", "fineweb"), "data-juicer": ("data-juicer-default",)}


def ours(texts: Sequence[str], names: Sequence[str]) -> list[set[str]]:
    """Rules of our sets that each text, as an answer, fails."""
    rows = [{"messages": [{"role": "assistant", "text": text}]} for text in texts]
    read = read_texts(pl.DataFrame(rows, MESSAGES))
    scores = pl.concat([made(read) for made in (Gopher(), C4(), FineWeb(), DataJuicer())], how="horizontal")
    predicates = parse([rule for name in names for rule in load_rule_set(name)], scores.schema)
    said = scores.select(predicate.true().alias(predicate.rule.name) for predicate in predicates)
    return [{name for name, true in row.items() if true} for row in said.iter_rows(named=True)]


def theirs(texts: Sequence[str], package: str, python: Path) -> list[set[str]]:
    """Rules that each text fails by the package, under our names; `error` and `empty` stay."""
    word = re.sub(r"\\x\{([0-9a-f]+)\}", lambda found: f"\\U{int(found[1], 16):08x}", WORD)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "texts"
        path.write_text("".join(json.dumps(text) + "\n" for text in texts))
        command = [str(python), "-W", "ignore", str(HERE / package / "judge.py"), str(path), word, SENTENCE_END]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    renamed = DATATROVE | DATA_JUICER
    lines = [line for line in done.stdout.splitlines() if line.startswith("[")]
    return [{renamed.get(name, name) for name in json.loads(line)} for line in lines]


COMMON = [
    "the",
    "be",
    "to",
    "of",
    "and",
    "that",
    "have",
    "with",
    "a",
    "in",
    "it",
    "is",
    "was",
    "for",
    "on",
    "as",
    "by",
    "an",
    "this",
    "from",
    "or",
    "but",
    "not",
    "they",
    "which",
    "one",
    "all",
    "we",
    "can",
]
SYLLABLES = [
    "ka",
    "lo",
    "mi",
    "ter",
    "ran",
    "sol",
    "vek",
    "ni",
    "pa",
    "dor",
    "est",
    "ul",
    "ing",
    "ment",
    "ar",
    "bel",
    "os",
    "ti",
    "gra",
    "phen",
]
ODD = [
    "#",
    "...",
    "\u2026",
    "$",
    "3.14",
    "{x}",
    "x_1",
    "\u6c34\u6cb3",
    "\u00e9t\u00e9",
    "[1]",
    "--",
    "12",
    "=",
    "http://a.b/c?d=e",
]
PHRASES = ["lorem ipsum dolor sit amet", "javascript", "our privacy policy is this", "it uses cookies", "terms of use"]


def made_texts(number: int, seed: int) -> Iterator[str]:
    """Texts of 0 to some 200 words with every defect that the rules are made for, each in some of them."""
    rng = random.Random(seed)
    rare = ["".join(rng.choices(SYLLABLES, k=rng.randint(1, 4))) for _ in range(800)]
    for _ in range(number):
        yield _text(rng, rare)


def _text(rng: random.Random, rare: list[str]) -> str:
    odd, plain = rng.choice([0, 0, 0.02, 0.1, 0.5]), rng.choice([0.2, 0.45, 0.6])
    ends = rng.choice(
        [[". "], [". ", "? ", "! "], [".\n", ". "], [".\n\n", ". "], ["\n"], ["...\n", ".\n"], ["\u3002\n"], [" "]]
    )
    opening = rng.choice(["", "", "", "- ", "\u2022 ", "  "])
    parts: list[str] = []
    for _ in range(rng.choice([1, 1, 2, 4, 6, 8, 12]) if rng.random() < 0.99 else 0):
        draw = [rng.choice(ODD if rng.random() < odd else COMMON if rng.random() < plain else rare)]
        draw += [
            rng.choice(ODD if rng.random() < odd else COMMON if rng.random() < plain else rare)
            for _ in range(rng.randint(0, 24))
        ]
        parts.append(opening + " ".join(draw) + rng.choice(ends))
        if rng.random() < 0.03:
            parts.append(rng.choice(PHRASES) + rng.choice([".\n", "\n", ". "]))
    if rng.random() < 0.3 and parts:  # a loop, of a part or of all
        parts += rng.choice([parts, parts[-1:], parts[:2]]) * rng.randint(1, 4)
    if rng.random() < 0.02:
        parts.append("x" * 1200 + " y z.\n")
    text = "".join(parts)
    return rng.choice([text, text, text, text.strip(), text.upper(), text.replace(" ", "\n"), text.replace(" ", "")])
