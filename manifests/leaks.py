"""Which samples hold something of a benchmark: candidates by text weighed, and the strongest finding of each sample."""

from typing import Final

import polars as pl

from shards.schema import STATE_SUFFIX

VERSION: Final = 1
"""Raised whenever the same candidates may be decided otherwise."""

COMMON: Final = 64
"""Different texts of the training source from which on a phrase weighs nothing, as in the benchmark. Ours."""

SHARE: Final = 0.6
"""Least share of a benchmark's text, by weight, that a leak holds: of ten words one may be another one. Ours."""

SHARE_ANSWERED: Final = 0.4
"""The same where the answer is the benchmark's too: of eight words one may be another one. Ours."""

EVIDENCE: Final = 2.0
"""Least weight of what both hold: as much as two phrases that nobody else has. Ours."""

EVIDENCE_ALONE: Final = 6.0
"""The same for a question whose answer is another one or says nothing: it must be a long one. Ours."""

ASKED: Final = 3
"""Different pictures, or texts, up to which a short question with its answer is one that somebody copied. Ours."""

KINDS: Final = ("picture_question", "picture", "question", "answer")
"""What of a benchmark a sample holds, the strongest first: the picture and a question about it, the picture with other
questions, a question, an answer."""

LEAK_SCORES: Final = {
    "leak_benchmark": pl.String,
    "leak_kind": pl.String,
    "leak_row": pl.String,
    "leak_distance": pl.Float64,
}
"""Scores of a recipe that names benchmarks: the strongest finding of each sample; null where nothing was found."""

LEAKS: Final = {
    "key": pl.String,
    "row": pl.String,  # key of the benchmark's row
    "kind": pl.String,
    "distance": pl.Float64,  # 0 the same .. 1 nothing in common
    "picture": pl.String,  # sha256 of the sample's picture, where that was found
    "bits": pl.UInt8,  # of the hashes that are nearest; null where bytes are equal or no picture was found
    "message": pl.UInt32,  # of the sample, where a text was found
    "share": pl.Float64,  # of the benchmark's text, by weight
    "evidence": pl.Float64,  # weight of what both hold
    "agrees": pl.Boolean,  # whether the answer is the benchmark's; null where that says nothing
    "reason": pl.String,
}
"""What was found of one benchmark in one source: one row for each sample and row of the benchmark."""


def weighed(hits: pl.DataFrame, seen: pl.DataFrame, counts: pl.Series) -> pl.DataFrame:
    """Candidates with the share of the benchmark's text that they hold, and the weight of it.

    A phrase weighs 1 by the number of different pictures, or texts without one, that have it: in the benchmark or in
    the training source, whichever are more. One that `COMMON` have weighs nothing.

    Args:
        hits: frame of `filters.leak_match.HITS`.
        seen: frame of `filters.leak_match.SEEN` of the whole source.
        counts: (g,) of each n-gram in the benchmark.

    Returns:
        Frame `key`, `message`, `item`, `agrees`, `share` (0..1), `evidence`.
    """
    used = hits["gram"].unique().sort()
    here = seen.filter(pl.col("gram").is_in(used.implode())).group_by("gram").agg(here=pl.col("of").n_unique())
    weights = (
        pl.DataFrame({"gram": used, "count": counts.gather(used)})
        .join(here, on="gram", how="left")
        .with_columns(most=pl.max_horizontal("count", pl.col("here").fill_null(1)))
        .select("gram", weight=pl.when(pl.col("most") < COMMON).then(1 / pl.col("most")).otherwise(0.0))
    )
    found = hits.join(weights, on="gram", how="left", maintain_order="left")
    held = (pl.col("weight") * pl.col("hit")).sum()
    return (
        found.group_by("key", "message", "item", maintain_order=True)
        .agg(pl.col("agrees").first(), evidence=held, whole=pl.col("weight").sum())
        .with_columns(share=pl.when(pl.col("whole") > 0).then(pl.col("evidence") / pl.col("whole")).otherwise(0.0))
        .drop("whole")
    )


def decided(candidates: pl.DataFrame, items: pl.DataFrame) -> pl.DataFrame:
    """The candidates that are leaks by their text alone, as rows of `LEAKS`.

    The share and the weight of what both hold must be enough, and more of it where the answer is not the benchmark's
    too. A question about a picture, in a sample that has not the picture, is another question where its answer is
    another one: the same words are asked of many pictures.

    Args:
        candidates: as of `weighed`.
        items: frame of `filters.leak_index.ITEMS`.
    """
    known = items.with_row_index("item").select("item", "row", "kind", about=pl.col("picture").is_not_null())
    joined = candidates.join(known, on="item", how="left", maintain_order="left")
    question = pl.col("kind") == "question"
    answered = pl.col("agrees").fill_null(False)
    enough = pl.when(question & ~answered).then(EVIDENCE_ALONE).otherwise(EVIDENCE)
    share = pl.when(answered).then(SHARE_ANSWERED).otherwise(SHARE)
    another = question & pl.col("about") & ~pl.col("agrees").fill_null(True)
    leak = (pl.col("share") >= share) & (pl.col("evidence") >= enough) & ~another
    said = pl.col("agrees").replace_strict({True: ", the same answer", False: ", another answer"}, default="")
    return _rows(
        joined.filter(leak).with_columns(
            distance=1 - pl.col("share"),
            reason=pl.format(
                "{}% of its text, as much as {} phrases that nobody else has{}",
                (100 * pl.col("share")).round(0).cast(pl.Int32),
                pl.col("evidence").round(1),
                said,
            ),
        )
    )


def paired(hits: pl.DataFrame, pairs: pl.DataFrame) -> pl.DataFrame:
    """Short questions with their answers that few different pictures have, as rows of `LEAKS`.

    Args:
        hits: frame of `filters.leak_match.PAIR_HITS` of the whole source.
        pairs: frame of `filters.leak_index.PAIRS`.
    """
    few = hits.filter(pl.col("of").n_unique().over("pair") <= ASKED)
    return _rows(
        few.join(pairs.select("pair", "row"), on="pair", how="inner", maintain_order="left").with_columns(
            kind=pl.lit("question"),
            distance=pl.lit(0.0),
            agrees=pl.lit(True),
            reason=pl.lit("question and answer, word for word"),
        )
    )


def _rows(found: pl.DataFrame) -> pl.DataFrame:
    columns = [
        (pl.col(name) if name in found.columns else pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in LEAKS.items()
    ]
    return found.select(columns)


def strongest(leaks: pl.DataFrame) -> pl.DataFrame:
    """One row for each sample and row of the benchmark: the strongest kind, then the smallest distance."""
    rank = pl.col("kind").replace_strict({kind: place for place, kind in enumerate(KINDS)}, return_dtype=pl.Int32)
    return (
        leaks.with_columns(rank=rank)
        .sort("key", "row", "rank", "distance", "message", nulls_last=True)
        .unique(["key", "row"], keep="first", maintain_order=True)
        .drop("rank")
    )


def shown(matches: pl.DataFrame, same: pl.DataFrame, keys: pl.Series, items: pl.DataFrame) -> pl.DataFrame:
    """Samples with a picture of the benchmark, as rows of `LEAKS`.

    Args:
        matches: `key` and `sha256` of a sample and its picture, `rows` of the benchmark that show it, `original` its
            SHA-256 there, `bits`, `distance`, `reason`.
        same: as of `filters.leak_match.same_questions`; `sample` counts in `keys`.
        keys: of the samples that have such a picture.
        items: frame of `filters.leak_index.ITEMS`.
    """
    known = items.with_row_index("item").select("item", "row", original="picture")
    asked = (
        same.join(known, on="item", how="left", maintain_order="left")
        .with_columns(key=keys.gather(same["sample"]))
        .select("key", "original", "row", "message", "share", "agrees")
    )
    plain = matches.with_columns(picture="sha256")
    with_question = plain.join(asked, on=["key", "original"], how="inner", maintain_order="left").with_columns(
        kind=pl.lit("picture_question"), reason=pl.format("picture: {}; and the question", "reason")
    )
    alone = plain.join(asked, on=["key", "original"], how="anti", maintain_order="left").with_columns(
        kind=pl.lit("picture"), row=pl.col("rows").list.first(), reason=pl.format("picture: {}", "reason")
    )
    return pl.concat([_rows(with_question), _rows(alone)])


def leak_scores(keys: pl.Series, leaks: pl.DataFrame, unknown: pl.Series) -> pl.DataFrame:
    """The scores `LEAK_SCORES` of samples, each with its state.

    Args:
        keys: (n,) of the samples.
        leaks: `benchmark` and the columns of `LEAKS`, of all benchmarks in the order of the recipe.
        unknown: (n,) Boolean: a picture of the sample does not decode, so that nothing found says nothing.

    Returns:
        (n, 8) frame in the order of `keys`. The strongest kind counts, then the smallest distance, then the benchmark
        that the recipe names first. State of a null: `not_applicable`, or `error` where it is unknown.
    """
    rank = pl.col("kind").replace_strict({kind: place for place, kind in enumerate(KINDS)}, return_dtype=pl.Int32)
    first = leaks.with_columns(rank=rank).sort("rank", "distance", maintain_order=True)
    found = first.unique("key", keep="first", maintain_order=True).select(
        "key", leak_benchmark="benchmark", leak_kind="kind", leak_row="row", leak_distance="distance"
    )
    frame = pl.DataFrame({"key": keys, "unknown": unknown}).join(found, on="key", how="left", maintain_order="left")
    why = pl.when(pl.col("unknown")).then(pl.lit("error")).otherwise(pl.lit("not_applicable"))
    states = [pl.when(pl.col(name).is_null()).then(why).alias(name + STATE_SUFFIX) for name in LEAK_SCORES]
    return frame.select(*LEAK_SCORES, *states)
