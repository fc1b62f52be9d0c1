"""Prints for each text, one JSON string a line of a file, the names of data-juicer's operators that it fails."""

import json
import sys
from pathlib import Path

from data_juicer.ops.filter.alphanumeric_filter import AlphanumericFilter
from data_juicer.ops.filter.average_line_length_filter import AverageLineLengthFilter
from data_juicer.ops.filter.character_repetition_filter import CharacterRepetitionFilter
from data_juicer.ops.filter.maximum_line_length_filter import MaximumLineLengthFilter
from data_juicer.ops.filter.special_characters_filter import SpecialCharactersFilter
from data_juicer.ops.filter.text_length_filter import TextLengthFilter
from data_juicer.ops.filter.word_repetition_filter import WordRepetitionFilter
from data_juicer.ops.filter.words_num_filter import WordsNumFilter
from data_juicer.utils.constant import Fields

OPERATORS = [
    CharacterRepetitionFilter,
    WordRepetitionFilter,
    SpecialCharactersFilter,
    AlphanumericFilter,
    AverageLineLengthFilter,
    MaximumLineLengthFilter,
    TextLengthFilter,
    WordsNumFilter,
]

texts = [json.loads(line) for line in Path(sys.argv[1]).read_text().splitlines()]
samples = {"text": texts, Fields.stats: [{} for _ in texts]}
failed: list[list[str]] = [[] for _ in texts]
for kind in OPERATORS:
    operator = kind()
    samples = operator.compute_stats_batched(samples)
    for index, kept in enumerate(operator.process_batched(samples)):
        failed[index] += [] if kept else [kind.__name__]
for found in failed:
    sys.stdout.write(json.dumps(found) + "\n")
