"""The evaluation sets that a training mixture must not hold: what is declared, and what is indexed in a store."""

from pathlib import Path
from typing import Final, NamedTuple

from pydantic import BaseModel

from flows.fetching import is_remote
from flows.listing import lookup, words
from flows.resolve import Located, catalogue, locate_named
from manifests.leaks import LEAK_SCORES
from manifests.recipe import Recipe
from manifests.rules import HUMAN_SCORES, compose, with_human
from shards.errors import CatalogError, RecipeError
from shards.store import Box, Store
from sources.catalogue import load_catalogue
from sources.scan import check_layouts
from sources.spec import Source

BENCHMARKS: Final = Path(__file__).parents[1] / "sources" / "benchmarks"


class LeakIndex(BaseModel):
    """What the index of a benchmark holds."""

    benchmark: str
    split: str
    revision: str | None
    shards: str
    """Fingerprint of the samples that were read."""
    rows: int
    quarantined: int
    pictures: int
    flat: int
    """Pictures without contrast; only a copy of the same bytes is found."""
    questions: int
    answers: int
    """Answers long enough to be known again."""
    pairs: int
    """Short questions that are known again by their answer."""


class Benchmark(NamedTuple):
    """An indexed benchmark: its name, and the box of its index."""

    name: str
    box: Box


def benchmark_sets() -> dict[str, Source]:
    """Declared evaluation sets by name; none of them is a source of training rows."""
    return load_catalogue(BENCHMARKS)


def locate_benchmark(name: str, store: Store, folder: Path | None) -> Located:
    """A benchmark and the folder of its files.

    Args:
        name: of an evaluation set, or of any source of the catalogue or registered in the store.
        store: where mirrors are registered.
        folder: with the files as they are published; None for those of a registered mirror or the network.

    Raises:
        CatalogError: no such set, a folder without its files, or files that cannot be had.
    """
    source = benchmark_sets().get(name)
    if source is None and folder is None:
        return locate_named(name, store)
    if source is None:
        source = lookup(words(catalogue(store)), name).source
    if source.status == "unresolved":
        raise CatalogError(
            f"benchmark `{name}`: {source.status_reason}; declare it in a folder of your own, see docs/leakage.md"
        )
    check_layouts([source])
    if folder is not None:
        return Located(source, folder)
    if not is_remote(source):
        where = source.url or source.repo or "the publisher"
        remedy = f"get its files from {where} and name their folder with --folder"
        raise CatalogError(f"benchmark `{name}`: {source.status_reason or 'no address of files'}; {remedy}")
    return Located(source, store.root / "raw" / name / "unresolved", remote=True)


def indexed(store: Store, name: str) -> Box | None:
    """The index of a benchmark that was made last in this store."""
    return store.latest("leakage", name)


def benchmarks_of(recipe: Recipe, store: Store) -> tuple[Benchmark, ...]:
    """The indexes that a recipe names.

    Raises:
        RecipeError: one that nobody has made, or rules on leaks in a recipe that names none.
    """
    found: list[Benchmark] = []
    for name in recipe.leakage.benchmarks:
        box = indexed(store, name)
        if box is None:
            raise RecipeError(f"leakage: benchmark `{name}` is not indexed; run `vlmix scores leakage index {name}`")
        found.append(Benchmark(name, box))
    if not found:
        _check_rules(recipe)
    return tuple(found)


def _check_rules(recipe: Recipe) -> None:
    for stage in recipe.resolved_stages():
        for rule in compose(with_human(stage.rules or recipe.rules, HUMAN_SCORES)):
            if rule.when and any(name in rule.when for name in LEAK_SCORES):
                remedy = "name the benchmarks: `leakage: {benchmarks: [docvqa]}`, see docs/leakage.md"
                raise RecipeError(f"rule `{rule.name}` reads what is leaked of benchmarks; {remedy}")
