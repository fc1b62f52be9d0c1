"""Evaluation sets for people: what is declared, what is indexed, what an index holds."""

from collections.abc import Sequence

from pydantic import BaseModel

from flows.leak_sets import LeakIndex, benchmark_sets, indexed
from shards.store import Store
from sources.spec import Source, Status


class ListedBenchmark(BaseModel):
    """An evaluation set: declared, indexed, or both."""

    name: str
    status: Status | None
    """Null for a source of the user's own."""
    status_reason: str | None
    repo: str | None
    config: str | None
    split: str | None
    index: LeakIndex | None
    """Null where it is not indexed in this store."""


def listed(store: Store) -> list[ListedBenchmark]:
    """Declared evaluation sets, and everything that is indexed in the store, by name."""
    declared = benchmark_sets()
    own = store.names("leakage")
    return [_listed(name, declared.get(name), store) for name in sorted({*declared, *own})]


def _listed(name: str, source: Source | None, store: Store) -> ListedBenchmark:
    box = indexed(store, name)
    index = None if box is None else box.index(LeakIndex)
    if source is None:
        nothing = dict.fromkeys(("status", "status_reason", "repo", "config", "split"))
        return ListedBenchmark.model_validate({"name": name, **nothing, "index": index})
    return ListedBenchmark(
        name=name,
        status=source.status,
        status_reason=source.status_reason,
        repo=source.repo,
        config=source.config,
        split=source.split,
        index=index,
    )


def listing_lines(benchmarks: Sequence[ListedBenchmark]) -> str:
    """One line each."""
    lines = [f"{'benchmark':<22} {'status':<11} {'split':<12} {'index':<34} where"]
    for each in benchmarks:
        held = "-" if each.index is None else f"{each.index.rows:,} rows, {each.index.pictures:,} pictures"
        place = " ".join(filter(None, (each.repo, each.config))) or "-"
        lines.append(f"{each.name:<22} {each.status or 'own':<11} {each.split or '-':<12} {held:<34} {place}")
    return "\n".join(lines)


def index_line(index: LeakIndex) -> str:
    """What an index holds, in two lines."""
    return (
        f"benchmark `{index.benchmark}`: {index.rows:,} rows, {index.pictures:,} pictures, {index.quarantined:,} "
        f"quarantined\n{index.questions:,} questions, {index.answers:,} long answers, {index.pairs:,} short questions "
        f"with a telling answer; {index.flat:,} pictures without contrast"
    )
