"""A student from a judge's ledgers: rows gathered and parted, a ridge regression, figures on rows held out."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from filters.judges.base import Reply, Request
from filters.judges.prompt import load_prompt
from filters.student import (
    FORMAT,
    Edges,
    Floats,
    Head,
    Student,
    Weights,
    design,
    guess,
    measures,
    num_cells,
    versions,
    write_student,
)
from flows.copying import THRESHOLDS, Copying, check_criterion, copying
from flows.ledger import Question, ledger_box, read_ledger
from flows.mixes import Mix, find
from flows.recipe_judge import prompts_of
from manifests.load import load_recipe
from shards.errors import UsageError
from shards.files import fingerprint
from shards.sample import ShardsIndex, read_samples, sample_path
from shards.store import Box, Store

if TYPE_CHECKING:
    from scipy.sparse import csr_array

LEAST_ROWS: Final = 500
"""Graded rows below which nothing is distilled: under 75 would be left to measure with. Ours."""
MOST_ROWS: Final = 200_000
"""Graded rows that are read at most, chosen by a hash; 40,000 of about 90 n-grams each take 0.1 GB. Ours."""
CELLS: Final = 32
"""Cells of a measure, with about as many training rows in each. Ours."""
ALPHAS: Final = (1.0, 3.0, 10.0, 30.0, 100.0)
"""Penalties that are tried; the one with the least squared error on a seventh of the training rows is taken. Ours."""
_LEARN, _KEEP_ASIDE = 0.7, 0.85
"""Ends of the parts on the hash's scale 0..1: learnt from, kept aside for the interval, and to measure with."""
_STEPS: Final = 300
"""Most steps of the regression; it takes 20 to 60."""
_CLOSE: Final = 1e-10
"""Share of the squared residual at which the weights are good enough: their error is far below float32's."""

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Answered:
    """A judge that is known by its answers: it names ledgers and cannot be asked."""

    judge_id: str

    def __call__(self, requests: list[Request]) -> list[Reply]:
        """Refuse.

        Raises:
            UsageError: always.
        """
        raise UsageError(f"judge `{self.judge_id}` is known by its ledgers only; {len(requests)} rows cannot be asked")


class Rows(NamedTuple):
    """Graded rows with their features.

    `frame` has `source`, `key`, `grade` and `part` (0..1, by a hash of the text); `batch` the samples' columns that a
    student reads. Both in one order.
    """

    frame: pl.DataFrame
    batch: pl.DataFrame


def distil(
    name: str, store: Store, out: Path, *, criterion: str, threshold: float | None = None, seed: int = 0
) -> Copying:
    """Train a student on the answers that a mixture's judge gave, write it, and say how well it copies.

    Args:
        name: mixture or recipe, as `flows.mixes.find` knows it, or the path of a recipe that was built.
        store: where its ledgers lie.
        out: file to write.
        criterion: quality or repetition.
        threshold: grade below which rules drop; None for the one of the set `default`.
        seed: of the hash that parts the rows.

    Raises:
        UsageError: an unknown criterion, no mixture, no judge, changed prompts, too few rows, or one grade for all.
    """
    check_criterion(criterion)
    known = load_recipe(name)[0].name if name.endswith((".yaml", ".yml")) else name
    mixes = list(find(store, known).values())
    judge, prompts = _asked(mixes, criterion)
    rows = gather(store, mixes, criterion, judge, seed=seed)
    made, parts = _train(rows)
    grades = rows.frame["grade"].to_numpy()
    guesses = guess(made.rows, made.weights, made.bias)
    report = copying(
        rows.frame.select("source", "grade").with_columns(pl.Series("guess", guesses)),
        aside=parts.aside,
        held_out=parts.held_out,
        judge=judge,
        criterion=criterion,
        threshold=THRESHOLDS[criterion] if threshold is None else threshold,
        constant=float(grades[parts.learn].mean()),
        ask_when=" or ".join(sorted({each.manifest.ask_when.get(criterion, "") for each in mixes})) or None,
    )
    head = Head(
        format=FORMAT,
        criterion=criterion,
        judge=judge,
        prompts=prompts,
        measures=versions(),
        bias=made.bias,
        half_width=report.half_width,
        seed=seed,
        alpha=made.alpha,
        trained_on=fingerprint(sorted(rows.frame.filter(pl.Series(parts.learn))["key"].to_list())),
        report=report.model_dump(mode="json"),
    )
    write_student(out, Weights(head, made.weights, made.edges))
    Student.of(out)
    return report


def _asked(mixes: Sequence[Mix], criterion: str) -> tuple[str, dict[str, str]]:
    """The judge of mixtures and the prompts it was asked with, which must be those of today."""
    judge = mixes[0].manifest.judge
    if judge == "off":
        raise UsageError(f"recipe `{mixes[0].manifest.recipe}` says `judge: off`; there are no answers to learn from")
    found: dict[str, str] = {}
    for mix in mixes:
        found |= {name: sha for name, sha in mix.manifest.prompts.items() if name in prompts_of(criterion)}
    for name, sha256 in found.items():
        if load_prompt(name).sha256 != sha256:
            raise UsageError(f"prompt `{name}` has changed since the mixture was made; build it again, then distil")
    if not found:
        raise UsageError(f"no rule of recipe `{mixes[0].manifest.recipe}` asks its judge for `{criterion}`")
    return judge, dict(sorted(found.items()))


def gather(store: Store, mixes: Sequence[Mix], criterion: str, judge: str, *, seed: int) -> Rows:
    """Every row of the mixtures' sources that the judge graded, from its ledgers, in the order of source and place.

    Raises:
        UsageError: too few, or all with one grade.
    """
    places = {entry.source: mix for mix in mixes for entry in mix.manifest.entries}
    frames = [
        _graded(store, mix, source, criterion, judge).with_columns(pl.lit(source).alias("source"))
        for source, mix in sorted(places.items())
    ]
    frame = pl.concat(frames)
    if frame.height < LEAST_ROWS:
        raise UsageError(
            f"judge `{judge}` graded {frame.height:,} rows for `{criterion}`; a student needs {LEAST_ROWS:,}: build "
            "with more rows, or with an `ask_when` that lets more of them pass"
        )
    if frame["grade"].n_unique() == 1:
        raise UsageError(f"judge `{judge}` gave {frame['grade'][0]:g} to all {frame.height:,} rows: nothing to learn")
    part = [part_of_text(seed, str(text)) for text in frame["text_hash"]]
    chosen = pl.Series([part_of_text(seed, key) for key in frame["key"]]).rank("ordinal") <= MOST_ROWS
    frame = frame.with_columns(pl.Series("part", part, dtype=pl.Float64)).filter(chosen)
    batches = [
        batch
        for source, mix in sorted(places.items())
        for batch in _samples(mix.shards(source), frame.filter(pl.col("source") == source)["row"].to_numpy())
    ]
    return Rows(frame.select("source", "key", "grade", "part"), pl.concat(batches))


def part_of_text(seed: int, text: str) -> float:
    """A number 0..1 by the hash of a text."""
    digest = hashlib.blake2b(f"{seed}/{text}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def _graded(store: Store, mix: Mix, source: str, criterion: str, judge: str) -> pl.DataFrame:
    """`row`, `key`, `text_hash` and `grade` of a source's rows, each as answered with the prompt of its domain."""
    table = mix.some_scores(["source", "key", "text_hash", "judge_domain"]).filter(pl.col("source") == source)
    rows = table.select("key", "text_hash", "judge_domain").collect().with_row_index("row").cast({"row": pl.Int64})
    domain = pl.col("judge_domain").fill_null("general") if criterion == "quality" else pl.lit(None, pl.String)
    prompt = pl.concat_str(pl.lit(criterion), domain, separator="_", ignore_nulls=True)
    rows = rows.with_columns(prompt.alias("prompt"))
    found = []
    for prompt_id in prompts_of(criterion):
        ledger = ledger_box(store, mix.shards(source), Question(Answered(judge), criterion, prompt_id))
        known = read_ledger(ledger, criterion).select("row", pl.col(criterion).alias("grade")).drop_nulls()
        found.append(rows.filter(pl.col("prompt") == prompt_id).join(known, on="row", how="inner"))
    return pl.concat(found).sort("row").select("row", "key", "text_hash", "grade")


def _samples(shards: Box, rows: npt.NDArray[np.int64]) -> Iterator[pl.DataFrame]:
    """The columns that a student reads of the samples at these places, shard by shard."""
    first = 0
    for number, shard in enumerate(shards.index(ShardsIndex).shards):
        inside = rows[(rows >= first) & (rows < first + shard.samples)] - first
        first += shard.samples
        if len(inside):
            yield read_samples(sample_path(shards.path, number), list(Student.reads))[inside.tolist()]


class Parts(NamedTuple):
    """Masks of the rows learnt from, kept aside for the interval, and held out to measure with."""

    learn: Mask
    aside: Mask
    held_out: Mask


class Model(NamedTuple):
    """A trained model with the features of all rows."""

    rows: "csr_array"
    weights: npt.NDArray[np.float32]
    edges: Edges
    bias: float
    alpha: float


def _train(rows: Rows) -> tuple[Model, Parts]:
    """Fit the model on its part; no figure of any other part is looked at."""
    part = rows.frame["part"].to_numpy()
    parts = Parts(part < _LEARN, (part >= _LEARN) & (part < _KEEP_ASIDE), part >= _KEEP_ASIDE)
    if not all(mask.any() for mask in parts):
        raise UsageError(f"the {len(part):,} graded rows have too few different texts to hold some out")
    edges = cell_edges(measures(rows.batch.filter(pl.Series(parts.learn))))
    features = design(rows.batch, edges)
    grades = rows.frame["grade"].to_numpy()
    inner = part < _LEARN * 6 / 7
    tried = {}
    for alpha in ALPHAS:
        weights, bias = ridge(features[inner], grades[inner], alpha)
        probe = parts.learn & ~inner
        tried[alpha] = float(np.mean((guess(features[probe], weights, bias) - grades[probe]) ** 2))
    alpha = min(ALPHAS, key=tried.__getitem__)
    weights, bias = ridge(features[parts.learn], grades[parts.learn], alpha)
    assert len(weights) == features.shape[1] and features.shape[1] > num_cells(edges)
    return Model(features, weights, edges, bias, alpha), parts


def cell_edges(values: Floats) -> Edges:
    """Values that part each measure's training rows into at most `CELLS` cells, sorted and distinct."""
    shares = np.linspace(0, 1, CELLS + 1)[1:-1]
    known = (column[~np.isnan(column)] for column in values.T)
    return tuple(np.unique(np.quantile(each, shares, method="higher")) if len(each) else each for each in known)


def ridge(rows: "csr_array", grades: Floats, alpha: float) -> tuple[npt.NDArray[np.float32], float]:
    """Weights and bias that minimise the squared error plus `alpha` times the squared weights; the bias is the mean.

    Conjugate gradients on the normal equations, on one thread and without BLAS, whose sums depend on the number of
    threads: equal rows give equal bytes.

    Source: Hestenes and Stiefel 1952.
    """
    bias = float(np.mean(grades))
    turned = rows.T.tocsr()
    weights = np.zeros(rows.shape[1])
    residual: Floats = turned @ (grades - bias)
    direction = residual.copy()
    size = first = float(np.sum(residual * residual))
    for _ in range(_STEPS):
        if size <= _CLOSE * first:
            break
        pushed = turned @ (rows @ direction) + alpha * direction
        step = size / float(np.sum(direction * pushed))
        weights += step * direction
        residual -= step * pushed
        size, before = float(np.sum(residual * residual)), size
        direction = residual + (size / before) * direction
    return weights.astype(np.float32), bias
