"""Which of a benchmark's texts the samples of a batch hold: candidates, with what a decision needs to know."""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from filters.base import Columns
from filters.leak_index import TextIndex
from filters.leak_texts import Turns, pair_hashes
from filters.texts import USER

Indices = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.uint32]

LEAST: Final = 0.35
"""Share of a benchmark's text, by weight, that a candidate holds. A decision asks for more, and may weigh otherwise."""

SAME_QUESTION: Final = 0.5
"""Share of the n-grams of a question about a picture that makes it the same question about that picture. Ours."""

HITS: Final[Columns] = {
    "key": pl.String,
    "message": pl.UInt32,  # of the sample
    "item": pl.UInt32,
    "gram": pl.UInt32,  # place of the n-gram in the index
    "hit": pl.Boolean,  # whether the message holds it
    "agrees": pl.Boolean,  # whether the answer is the benchmark's; null where that says nothing
}
"""One row for each n-gram of the benchmark's text of each candidate."""
SEEN: Final[Columns] = {"gram": pl.UInt32, "of": pl.UInt64}
"""Which n-grams of the index stand in which different texts, by a hash of text and picture."""
PAIR_HITS: Final[Columns] = {"key": pl.String, "message": pl.UInt32, "pair": pl.UInt64, "of": pl.UInt64}


class Found(NamedTuple):
    """What a batch holds of a benchmark: frames of `HITS`, `SEEN` and `PAIR_HITS`."""

    hits: pl.DataFrame
    seen: pl.DataFrame
    pairs: pl.DataFrame


def find_texts(batch: pl.DataFrame, turns: Turns, index: TextIndex) -> Found:
    """Look for the texts of a benchmark in the messages of a batch.

    Args:
        batch: columns `key`, `messages`, `images`.
        turns: `read_turns` of its messages.
        index: of the benchmark.
    """
    first = np.searchsorted(turns.sample, np.arange(batch.height))
    identity = _identities(batch, turns)
    hits, seen = [pl.DataFrame(schema=HITS)], [pl.DataFrame(schema=SEEN)]
    for kind, messages in (("question", turns.asked), ("answer", turns.told)):
        grams, bounds = _grams(turns, messages, index)
        seen.append(_seen(grams, bounds, identity[messages], index))
        hits.append(_hits(batch, turns, messages, (grams, bounds), kind, first, index))
    return Found(pl.concat(hits), pl.concat(seen).unique(maintain_order=True), _pairs(batch, turns, first, index))


def same_questions(turns: Turns, index: TextIndex, pairs: pl.DataFrame) -> pl.DataFrame:
    """Which questions about a picture are asked of it in a sample that has it.

    With the picture in common less is needed than of a text alone: the same words, or half of the n-grams.

    Args:
        turns: `read_turns` of the messages of a batch.
        index: of the benchmark.
        pairs: `sample` (row in the batch) and `item`; items that are no questions find nothing.

    Returns:
        Frame `sample`, `item`, `message` (of the sample, that of the largest share), `share` (0..1) and `agrees`, of
        those found.
    """
    from filters.leak_words import run_hashes

    runs = run_hashes(turns.words.hashes, turns.words.starts)
    grams, bounds = _grams(turns, np.arange(len(turns.role)), index)
    flat, starts = index.item_grams
    asked = turns.role == USER
    first = np.searchsorted(turns.sample, np.arange(turns.sample.max(initial=-1) + 2))
    rows: list[tuple[int, int, int, float]] = []
    wanted = pairs.join(
        index.items.with_row_index("item").filter(pl.col("kind") == "question").select("item", "run"), on="item"
    )
    # a loop over questions about pictures that are known to be the same
    for sample, item, run in wanted.select("sample", "item", "run").iter_rows():
        own = flat[starts[item] : starts[item + 1]]
        shares = [
            (
                1.0
                if runs[at] == run
                else float(np.isin(own, grams[bounds[at] : bounds[at + 1]]).mean())
                if len(own)
                else 0.0,
                at,
            )
            for at in range(first[sample], first[sample + 1])
            if asked[at]
        ]
        share, at = max(shares, key=lambda found: (found[0], -found[1]), default=(0.0, -1))
        if share >= SAME_QUESTION:
            rows.append((sample, item, at, share))
    schema = {"sample": pl.UInt32, "item": pl.UInt32, "message": pl.UInt32, "share": pl.Float64}
    found = pl.DataFrame(rows, schema=schema, orient="row")
    messages, items = found["message"].to_numpy().astype(np.int64), found["item"].to_numpy()
    return found.with_columns(
        message=(messages - first[found["sample"].to_numpy()]).astype(np.uint32),
        agrees=_agrees(turns, messages, items, "question", index),
    )


def _identities(batch: pl.DataFrame, turns: Turns) -> npt.NDArray[np.uint64]:
    """(m,) uint64: equal for messages of the same words in samples of the same first picture."""
    from filters.leak_words import run_hashes

    shas = batch["images"].list.first().struct.field("sha256").fill_null("0" * 16)
    pictures = np.array([int(sha[:16], 16) for sha in shas], dtype=np.uint64)
    return run_hashes(turns.words.hashes, turns.words.starts) ^ pictures[turns.sample]


def _grams(turns: Turns, messages: Indices, index: TextIndex) -> tuple[Numbers, Indices]:
    from filters.leak_words import gram_places

    return gram_places(turns.words.hashes, turns.words.starts, messages, *index.table)


def _seen(grams: Numbers, bounds: Indices, identity: npt.NDArray[np.uint64], index: TextIndex) -> pl.DataFrame:
    """Which n-grams that weigh something stand in which different texts."""
    _, once = np.unique(identity, return_index=True)
    first = np.zeros(len(identity), dtype=np.bool_)
    first[once] = True
    sizes = np.diff(bounds)
    keep = np.repeat(first, sizes) & (index.weights[grams] > 0)
    return pl.DataFrame({"gram": grams[keep], "of": np.repeat(identity, sizes)[keep]}, schema=SEEN)


def _hits(
    batch: pl.DataFrame,
    turns: Turns,
    messages: Indices,
    grams: tuple[Numbers, Indices],
    kind: str,
    first: Indices,
    index: TextIndex,
) -> pl.DataFrame:
    from filters.leak_words import similar_texts

    totals = np.where((index.items["kind"] == kind).to_numpy(), index.totals, np.inf)
    texts, items = similar_texts(*grams, *index.postings, index.weights, totals, LEAST)
    flat, starts = index.item_grams
    sizes = np.diff(starts)[items]
    which = np.repeat(np.arange(len(items)), sizes)
    own = flat[np.repeat(starts[items] - np.cumsum(sizes) + sizes, sizes) + np.arange(sizes.sum())]
    sample = turns.sample[messages[texts]]
    columns = {
        "key": batch["key"].gather(pl.Series(sample))[which],
        "message": (messages[texts] - first[sample]).astype(np.uint32)[which],
        "item": items[which],
        "gram": own,
        "hit": _held(grams, texts[which], own, index.grams.height),
        "agrees": _agrees(turns, messages[texts], items, kind, index)[pl.Series(which)],
    }
    return pl.DataFrame(columns, schema=HITS)


def _held(grams: tuple[Numbers, Indices], texts: Indices, wanted: Numbers, number: int) -> npt.NDArray[np.bool_]:
    """(k,) whether text `texts[i]` holds n-gram `wanted[i]`."""
    places, bounds = grams
    owner = np.repeat(np.arange(len(bounds) - 1, dtype=np.int64), np.diff(bounds))
    return np.isin(texts * number + wanted, owner * number + places)


def _agrees(turns: Turns, messages: Indices, items: Numbers, kind: str, index: TextIndex) -> pl.Series:
    """(k,) Boolean: whether the answer to a question holds the benchmark's; null where either is not known."""
    from filters.leak_words import holds_run

    found: list[bool | None] = []
    # a loop over candidates, which are few
    for message, (run, size) in zip(
        messages, index.items[items].select("answer", "answer_words").iter_rows(), strict=True
    ):
        answer = turns.answer[message] if kind == "question" else -1
        known = answer >= 0 and run is not None
        found.append(bool(holds_run(turns.words.of(answer), size, np.uint64(run))) if known else None)
    return pl.Series(found, dtype=pl.Boolean)


def _pairs(batch: pl.DataFrame, turns: Turns, first: Indices, index: TextIndex) -> pl.DataFrame:
    messages, pairs = pair_hashes(turns)
    held = np.isin(pairs, index.pairs["pair"].to_numpy())
    messages, pairs = messages[held], pairs[held]
    sample = turns.sample[messages]
    columns = {
        "key": batch["key"].gather(pl.Series(sample)),
        "message": (messages - first[sample]).astype(np.uint32),
        "pair": pairs,
        "of": _identities(batch, turns)[messages] ^ pairs,
    }
    return pl.DataFrame(columns, schema=PAIR_HITS)
