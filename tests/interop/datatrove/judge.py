"""Prints for each text, one JSON string a line of a file, the names of datatrove's rules that it fails.

Words and sentences are cut as the two regular expressions say that are given.
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import datatrove.utils.word_tokenizers as tokenizers
from datatrove.data import Document
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)
from datatrove.pipeline.filters.base_filter import BaseFilter, get_filter_result

texts, word, sentence_end = Path(sys.argv[1]), re.compile(sys.argv[2]), re.compile(sys.argv[3])


class Given(tokenizers.WordTokenizer):
    """Words and sentences by the expressions given."""

    def word_tokenize(self, text: str) -> list[str]:
        return word.findall(text)

    def sent_tokenize(self, text: str) -> list[str]:
        return [piece for piece in sentence_end.split(text) if piece.strip()]

    def span_tokenize(self, text: str) -> list[tuple[int, int]]:
        return [(place, place + 1) for place in range(len(self.sent_tokenize(text)))]


tokenizers.load_word_tokenizer = lambda language: given
given = Given()

NONE = {"dup_line_frac": None, "dup_para_frac": None, "dup_line_char_frac": None, "dup_para_char_frac": None}
NO_QUALITY = {
    **{"min_doc_words": None, "max_doc_words": None, "min_avg_word_length": None, "max_avg_word_length": None},
    **{"max_symbol_word_ratio": None, "max_bullet_lines_ratio": None, "max_ellipsis_lines_ratio": None},
    **{"max_non_alpha_words_ratio": None, "min_stop_words": None},
}
NO_LINES = {"line_punct_thr": 0, "short_line_thr": 2, "char_duplicates_ratio": 2, "new_line_ratio": 1e9}


def alone() -> Iterator[BaseFilter]:
    """Every rule with its published limit and no other; C4's depend on each other and stay together."""
    whole = GopherRepetitionFilter()
    for name in NONE:
        yield GopherRepetitionFilter(**{**NONE, name: getattr(whole, name)}, top_n_grams=(), dup_n_grams=())
    for pair in whole.top_n_grams:
        yield GopherRepetitionFilter(**NONE, top_n_grams=(pair,), dup_n_grams=())
    for pair in whole.dup_n_grams:
        yield GopherRepetitionFilter(**NONE, top_n_grams=(), dup_n_grams=(pair,))
    quality = GopherQualityFilter()
    for name in NO_QUALITY:
        yield GopherQualityFilter(**{**NO_QUALITY, name: getattr(quality, name)})
    lines = FineWebQualityFilter()
    own = {"short_line_thr": "short_line_threshold"}
    for name in NO_LINES:
        yield FineWebQualityFilter(**{**NO_LINES, name: getattr(lines, own.get(name, name))})
    yield C4QualityFilter()


def failed(rules: list[BaseFilter], text: str) -> Iterator[str]:
    """Names of the rules that say no; `error` where the package divides by no words."""
    for rule in rules:
        try:
            kept, reason = get_filter_result(rule.filter(Document(text=text, id="")))
        except ZeroDivisionError:
            yield "error"
            continue
        if not kept:
            yield reason


rules = list(alone())
for line in texts.read_text().splitlines():
    sys.stdout.write(json.dumps(list(dict.fromkeys(failed(rules, json.loads(line))))) + "\n")
