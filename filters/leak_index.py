"""What is kept of a benchmark's texts: hashes of their n-grams and answers, no word of them."""

from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from filters.base import Columns
from filters.leak_texts import (
    ANSWER_WORDS,
    SHORT,
    Turns,
    Words,
    first_lines,
    pair_hashes,
    read_turns,
    words_of_strings,
)
from filters.texts import USER, read_texts

Hashes = npt.NDArray[np.uint64]
Indices = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.uint32]

COMMON: Final = 64
"""Different pictures, or texts without one, of which a phrase says nothing: from as many on it weighs nothing. Ours."""

_TELLING: Final = 0.02
"""Share of a benchmark's questions that may have an answer which tells one from another: `yes` does not. Ours."""

ITEMS: Final[Columns] = {
    "kind": pl.String,  # question or answer
    "row": pl.String,  # key of the benchmark's row
    "picture": pl.String,  # sha256 of its first picture; null without
    "words": pl.UInt32,
    "run": pl.UInt64,  # hash of all words
    "answer": pl.UInt64,  # of the first words of its answer; null where it has none, or one that many have
    "answer_words": pl.UInt8,
}
GRAMS: Final[Columns] = {"gram": pl.UInt64, "count": pl.UInt32, "items": pl.List(pl.UInt32)}
"""Count: different pictures, or texts without one, whose questions or answers hold the n-gram."""
PAIRS: Final[Columns] = {"pair": pl.UInt64, "row": pl.String, "picture": pl.String}


class Part(NamedTuple):
    """What a batch of a benchmark gives: frames of `ITEMS`, of (item, gram), and of `PAIRS`."""

    items: pl.DataFrame
    grams: pl.DataFrame
    pairs: pl.DataFrame


def index_part(batch: pl.DataFrame) -> Part:
    """The texts of a batch of a benchmark's samples (columns `key`, `messages`, `images`)."""
    from filters.leak_words import run_hashes, text_grams

    texts = read_texts(batch)
    turns, lines = read_turns(texts), words_of_strings(first_lines(texts))
    questions = np.flatnonzero(turns.role == USER)
    briefly = questions[lines.counts()[questions] >= SHORT]
    kept = [
        ("question", turns.words, questions[turns.words.counts()[questions] > 0], turns),
        ("question", lines, briefly, turns),
        ("answer", turns.words, turns.told[turns.words.counts()[turns.told] >= SHORT], None),
    ]
    items: list[pl.DataFrame] = []
    grams: list[pl.DataFrame] = []
    shown = _first_pictures(batch)
    for kind, words, chosen, asking in kept:
        own, places = text_grams(words.hashes, words.starts)
        start = sum(frame.height for frame in items)
        rows = pl.Series(turns.sample[chosen])
        items.append(
            pl.DataFrame(
                {
                    "kind": pl.repeat(kind, len(chosen), dtype=pl.String, eager=True),
                    "row": batch["key"].gather(rows),
                    "picture": shown.gather(rows),
                    "words": words.counts()[chosen].astype(np.uint32),
                    "run": run_hashes(words.hashes, words.starts)[chosen],
                    **_answers(turns, chosen if asking else chosen[:0], len(chosen)),
                },
                schema=ITEMS,
            )
        )
        sizes = np.diff(places)[chosen]
        flat = np.concatenate([own[places[text] : places[text + 1]] for text in chosen] or [own[:0]])
        numbers = np.repeat(np.arange(start, start + len(chosen), dtype=np.uint32), sizes)
        grams.append(pl.DataFrame({"item": numbers, "gram": flat}, schema={"item": pl.UInt32, "gram": pl.UInt64}))
    messages, pairs = pair_hashes(turns)
    rows = pl.Series(turns.sample[messages])
    columns = {"pair": pairs, "row": batch["key"].gather(rows), "picture": shown.gather(rows)}
    return Part(pl.concat(items), pl.concat(grams), pl.DataFrame(columns, schema=PAIRS))


def _first_pictures(batch: pl.DataFrame) -> pl.Series:
    """(n,) SHA-256 of the first picture of each sample; null without."""
    return batch["images"].list.first().struct.field("sha256")


def _answers(turns: Turns, questions: Indices, number: int) -> dict[str, pl.Series]:
    """Hash and number of the first words of the answer to each question; null where there is none."""
    hashes, sizes = leading_runs(turns.words, turns.answer[questions])
    hashes = np.pad(hashes, (0, number - len(hashes)))
    sizes = np.pad(sizes, (0, number - len(sizes)))
    known = pl.Series(sizes > 0)
    return {
        "answer": pl.select(pl.when(known).then(pl.Series(hashes))).to_series(),
        "answer_words": pl.Series(sizes.astype(np.uint8)),
    }


def leading_runs(words: Words, messages: Indices) -> tuple[Hashes, Indices]:
    """Hash and number of the first `ANSWER_WORDS` words of messages; 0 words for message -1."""
    from filters.leak_words import run_hashes

    starts = words.starts[messages]
    sizes = np.where(messages >= 0, np.minimum(words.counts()[messages], ANSWER_WORDS), 0) if len(messages) else starts
    places = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    flat = np.repeat(starts - places[:-1], sizes) + np.arange(places[-1])
    return run_hashes(words.hashes[flat], places), sizes


def whole_index(parts: list[Part]) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Frames of `ITEMS`, `GRAMS` and `PAIRS` of a whole benchmark, from its batches in order.

    Items that say the same of the same picture stand once. An answer that many questions of the benchmark have is
    null. Pairs that stand with more than one picture are left out: they are asked of any picture.
    """
    starts = np.cumsum([0, *(part.items.height for part in parts)])
    items = pl.concat([pl.DataFrame(schema=ITEMS), *(part.items for part in parts)]).with_row_index("item")
    grams = [part.grams.with_columns(pl.col("item") + int(at)) for part, at in zip(parts, starts, strict=False)]
    same = ["kind", "run", "picture", "answer"]
    first = items.unique(same, keep="first", maintain_order=True).with_row_index("number")
    asked = max(first.filter(pl.col("kind") == "question").height, 1)
    often = pl.col("answer").is_not_null() & (pl.len().over("answer") > max(1, int(_TELLING * asked)))
    first = first.with_columns(answer=pl.when(~often).then("answer"))
    first = first.with_columns(answer_words=pl.when(pl.col("answer").is_not_null()).then("answer_words").otherwise(0))
    of = pl.coalesce(pl.col("picture"), pl.col("run").cast(pl.String))
    joined = pl.concat([pl.DataFrame(schema={"item": pl.UInt32, "gram": pl.UInt64}), *grams]).join(
        first.select("item", "number", of=of), on="item"
    )
    table = (
        joined.group_by("gram")
        .agg(count=pl.col("of").n_unique().cast(pl.UInt32), items=pl.col("number").unique().sort())
        .sort("gram")
        .cast(pl.Schema(GRAMS))
    )
    pairs = pl.concat([pl.DataFrame(schema=PAIRS), *(part.pairs for part in parts)])
    alone = pl.col("picture").n_unique().over("pair") == 1
    pairs = pairs.filter(alone).unique("pair", keep="first", maintain_order=True).sort("pair")
    return first.select(*ITEMS).cast(pl.Schema(ITEMS)), table, pairs


@dataclass(frozen=True)
class TextIndex:
    """The texts of a benchmark, ready to be looked for."""

    items: pl.DataFrame
    grams: pl.DataFrame
    pairs: pl.DataFrame

    @cached_property
    def table(self) -> tuple[Hashes, Numbers]:
        """See `filters.leak_words.hash_table`."""
        from filters.leak_words import hash_table

        return hash_table(self.grams["gram"].to_numpy())

    @cached_property
    def postings(self) -> tuple[Numbers, Indices]:
        """Items of each n-gram, and where those of each start."""
        lengths = self.grams["items"].list.len().to_numpy()
        return self.grams["items"].explode().drop_nulls().to_numpy(), _starts(lengths)

    @cached_property
    def item_grams(self) -> tuple[Numbers, Indices]:
        """N-grams of each item, and where those of each start."""
        postings, starts = self.postings
        grams = np.repeat(np.arange(self.grams.height, dtype=np.uint32), np.diff(starts))
        order = np.argsort(postings, kind="stable")
        return grams[order], _starts(np.bincount(postings, minlength=self.items.height))

    @cached_property
    def weights(self) -> npt.NDArray[np.float64]:
        """(g,) of each n-gram: 1 by its count; 0 of common ones."""
        counts = self.grams["count"].to_numpy()
        return np.where(counts < COMMON, 1 / np.maximum(counts, 1), 0.0)

    @cached_property
    def totals(self) -> npt.NDArray[np.float64]:
        """(t,) sum of the weights of each item's n-grams; infinite for one that is short or has only common ones.

        A short question is an item for the samples that have its picture.
        """
        grams, starts = self.item_grams
        sums = np.concatenate([[0.0], np.cumsum(self.weights[grams])])
        found: npt.NDArray[np.float64] = sums[starts[1:]] - sums[starts[:-1]]
        long = (self.items["words"] >= SHORT).to_numpy()
        return np.where((found > 0) & long, found, np.inf)


def _starts(lengths: npt.NDArray[np.generic]) -> Indices:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
