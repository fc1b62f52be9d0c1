"""Runs one peer's default text rules in the peer's own interpreter; `text_rules.py` calls this.

    python benchmarks/text_rules_peer.py NAME FILE

FILE holds a JSON string a line. Prints one line of JSON: CPU seconds, peak memory in MiB, and which texts are flagged.
"""

import json
import resource
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

Flags = Callable[[Sequence[str]], list[bool]]


def datatrove() -> Flags:
    """Gopher repetition and quality, C4, FineWeb, with datatrove's own English words (spaCy)."""
    from datatrove.data import Document
    from datatrove.pipeline.filters import (
        C4QualityFilter,
        FineWebQualityFilter,
        GopherQualityFilter,
        GopherRepetitionFilter,
    )
    from datatrove.pipeline.filters.base_filter import get_filter_result

    rules = [GopherRepetitionFilter(), GopherQualityFilter(), FineWebQualityFilter(), C4QualityFilter()]

    def flags(texts: Sequence[str]) -> list[bool]:
        # every rule looks at every text, as ours do; a pipeline would stop at the first that drops it
        said = [[get_filter_result(rule.filter(Document(text=text, id="")))[0] for rule in rules] for text in texts]
        return [not all(kept) for kept in said]

    return flags


def data_juicer() -> Flags:
    """The eight operators of `manifests/rules/data-juicer-default.yaml`."""
    from data_juicer.ops import filter as operators
    from data_juicer.utils.constant import Fields

    names = ["CharacterRepetition", "WordRepetition", "SpecialCharacters", "Alphanumeric", "AverageLineLength"]
    names += ["MaximumLineLength", "TextLength", "WordsNum"]
    made = [getattr(operators, f"{name}Filter")() for name in names]

    def flags(texts: Sequence[str]) -> list[bool]:
        samples = {"text": list(texts), Fields.stats: [{} for _ in texts]}
        kept = [True] * len(texts)
        for operator in made:
            samples = operator.compute_stats_batched(samples)
            kept = [a and b for a, b in zip(kept, operator.process_batched(samples), strict=True)]
        return [not one for one in kept]

    return flags


def nemo_curator() -> Flags:
    """The English heuristic filters of NeMo Curator with their defaults, and Gopher's limits for n-grams."""
    from nemo_curator.stages.text.filters.heuristic import string
    from nemo_curator.stages.text.filters.heuristic.repetition import repetition

    names = ["NonAlphaNumeric", "SymbolsToWords", "Numbers", "Urls", "WhiteSpace", "Parentheses", "BoilerPlateString"]
    names += ["WordCount", "Punctuation", "MeanWordLength", "LongWord", "WordsWithoutAlphabets", "Bullets", "Ellipsis"]
    made = [getattr(string, f"{name}Filter")() for name in [*names, "CommonEnglishWords"]]
    lines = ["RepeatedLines", "RepeatedParagraphs", "RepeatedLinesByChar", "RepeatedParagraphsByChar"]
    made += [getattr(repetition, f"{name}Filter")() for name in lines]
    made += [repetition.RepeatingTopNGramsFilter(n, limit) for n, limit in ((2, 0.2), (3, 0.18), (4, 0.16))]
    made += [repetition.RepeatingDuplicateNGramsFilter(n, 0.2 - n / 100) for n in range(5, 11)]

    def kept(text: str) -> bool:
        # some divide by the number of words or lines
        said = [one.keep_document(one.score_document(text)) for one in made] if text.strip() else [False]
        return all(said)

    def flags(texts: Sequence[str]) -> list[bool]:
        return [not kept(text) for text in texts]

    return flags


PEERS = {"datatrove": datatrove, "data-juicer": data_juicer, "nemo-curator": nemo_curator}


def main() -> None:
    """Flag every text of the file."""
    name, path = sys.argv[1:]
    texts = [json.loads(line) for line in Path(path).read_text().splitlines()]
    flags = PEERS[name]()
    flags(texts[:2])  # what is loaded on the first call is not counted
    begin = time.process_time()
    found = flags(texts)
    seconds = time.process_time() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "peak": peak, "flags": [bool(one) for one in found]}))


if __name__ == "__main__":
    main()
