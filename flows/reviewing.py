"""The review queue of a mixture: made once from its decisions, then read item by item and exported."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import polars as pl
from pydantic import ValidationError

from flows.finding import looping
from flows.mixes import Mix, find
from flows.review_rows import asked_rows, numbered, rules_of, shard_ends
from review.export import Format, export
from review.item import Mark, ReviewItem, shown
from review.likeness import grouped, question_of, template_of
from review.ordering import QueueOptions, ordered
from review.queue import ALWAYS_SHOWN, build
from review.stored import QueueIndex, StoredQueue, write_images, write_order
from shards.complaint import complaint
from shards.errors import UsageError
from shards.files import fingerprint, replacing
from shards.pack import Image
from shards.sample import ShardsIndex, read_samples, sample_path
from shards.schema import STATE_SUFFIX
from shards.store import Box, Store

_LOOP: Final = ("loop_turn", "loop_start", "loop_chars", "loop_period")

EVERYTHING: Final = QueueOptions()


class _Item(NamedTuple):
    """What the order of a queue knows of an item that stands in its file."""

    entry: str
    key: str
    item: str
    source: str
    domain: str
    margin: float | None
    seen: str
    template: str | None
    question: str | None
    offset: int
    size: int

    @classmethod
    def of(cls, item: ReviewItem, question: str | None, offset: int, size: int) -> "_Item":
        named = (item.entry, item.key, item.id, item.source, item.domain, item.margin)
        return cls(*named, shown(item), item.template, question, offset, size)


def queue_items(store: Store, name: str, options: QueueOptions = EVERYTHING) -> StoredQueue:
    """The queue of one mixture, or of all stages of a recipe; made unless it is there.

    Args:
        store: where mixtures lie.
        name: folder of a mixture, recipe (all stages of its last run), or recipe.stage.
        options: what it holds; a sample in the same entry of two stages is one question.

    Raises:
        UsageError: nothing finished of that name.
    """
    mixes = list({mix.box.name: mix for mix in find(store, name).values()}.values())
    manifest = mixes[0].manifest
    label = f"{manifest.recipe}.{manifest.mixture}" if len(mixes) == 1 else manifest.recipe
    parts = [[mix.box.name, mix.manifest.digest()] for mix in mixes]
    box = mixes[0].store.box("queues", label, fingerprint("queue", 1, parts, options.model_dump()))
    if not box.done:
        _make(box, mixes, options)
    return StoredQueue(box.path, box.store)


def _make(box: Box, mixes: Sequence[Mix], options: QueueOptions) -> None:
    tables: list[pl.DataFrame] = []
    images: dict[str, Image] = {}
    with replacing(box.path / "items.jsonl") as temporary, temporary.open("wb") as handle:
        for mix in mixes:
            rows = asked_rows(mix, options.audit).with_columns(pl.lit(mix.manifest.mixture).alias("stage"))
            if tables:
                rows = rows.join(pl.concat(tables), on=["entry", "key"], how="anti")
            tables.append(_written(mix, rows, handle, images))
    table = grouped(pl.concat(tables))
    order = ordered(table, options)
    write_order(box.path, order)
    write_images(box.path, list(images.values()))
    asked = dict(order["asked"].value_counts().iter_rows())
    counts = {verdict: asked.get(verdict, 0) for verdict in ("review", "keep", "drop")}
    index = QueueIndex(items=order.height, **counts, pictures=len(images), left_out=table.height - order.height)
    box.finish(index, of=[mix.box for mix in mixes])


def _written(mix: Mix, rows: pl.DataFrame, handle: BinaryIO, images: dict[str, Image]) -> pl.DataFrame:
    """Write the items of some rows of a mixture, shard by shard; returns the rows as the order needs them."""
    rows = rows.join(mix.clusters.select("key", "cluster"), on="key", how="left", maintain_order="left")
    predicates = {rule.name: rule.when or "" for rule in rules_of(mix)}
    found: list[_Item] = []
    for frame in _frames(mix, rows, predicates):
        items = build(frame, stage=mix.manifest.mixture, predicates=predicates, marker=_marks)
        for item, question, group in zip(items, frame["question"], frame["images"], strict=True):
            line = item.model_dump_json().encode() + b"\n"
            found.append(_Item.of(item, question, handle.tell(), len(line)))
            handle.write(line)
            images |= {image["sha256"]: Image(**image) for image in group if image["sha256"] not in images}
    kinds = {"margin": pl.Float64, "offset": pl.Int64, "size": pl.Int64}
    known = pl.DataFrame(found, {name: kinds.get(name, pl.String) for name in _Item._fields}, orient="row")
    return rows.rename({"reasons": "rules"}).join(known, on=["entry", "key"], how="inner", maintain_order="left")


def _frames(mix: Mix, rows: pl.DataFrame, predicates: Mapping[str, str]) -> Iterator[pl.DataFrame]:
    """Rows as `review.queue.build` takes them, one shard at a time."""
    source_of = {entry.id: entry.source for entry in mix.manifest.entries}
    domain_of = {entry.id: entry.domain for entry in mix.manifest.entries}
    named = rows.with_columns(
        pl.col("entry").replace_strict(source_of, return_dtype=pl.String).alias("source"),
        pl.col("entry").replace_strict(domain_of, return_dtype=pl.String).alias("domain"),
    )
    for (source,), own in named.group_by("source", maintain_order=True):
        scores = _scores(mix, str(source), own["key"], predicates)
        shards = mix.shards(str(source))
        ends = shard_ends([shard.items for shard in shards.index(ShardsIndex).shards])
        for number, part in numbered(own.sort("position"), ends):
            texts = read_samples(sample_path(shards.path, number), ["key", "messages", "images", "videos"])
            full = part.join(texts, on="key", how="inner", maintain_order="left")
            alike = [
                (template_of(messages), question_of(messages, [image["sha256"] for image in images]))
                for messages, images in full.select("messages", "images").iter_rows()
            ]
            named_alike = pl.DataFrame(alike, {"template": pl.String, "question": pl.String}, orient="row")
            yield full.hstack(named_alike).join(scores, on="key", how="left", maintain_order="left")


def _scores(mix: Mix, source: str, keys: pl.Series, predicates: Mapping[str, str]) -> pl.DataFrame:
    """The scores that items show, of some samples of a source."""
    named = {name for when in predicates.values() for name in pl.sql_expr(when).meta.root_names()}
    wanted = named.union(ALWAYS_SHOWN, _LOOP)
    wanted |= {name + STATE_SUFFIX for name in wanted}
    columns = [name for name in mix.score_names if name in wanted]
    table = mix.some_scores(["source", "key", *columns])
    rows = table.filter(pl.col("source") == source).select("key", *columns)
    return rows.join(pl.LazyFrame({"key": keys.unique()}), on="key", how="semi").collect(engine="streaming")


def _marks(row: Mapping[str, object]) -> tuple[Mark, ...]:
    """The loop that the filter `loops` found."""
    messages = row["messages"]
    assert isinstance(messages, list)
    parts = [(turn, looping(turn, message["text"], row)) for turn, message in enumerate(messages)]
    period = row.get("loop_period")
    copy = period if isinstance(period, int) else 0
    return tuple(
        Mark(turn=turn, start=start, end=end, what="loop", period=copy) for turn, (start, end) in parts if end > start
    )


class Exported(NamedTuple):
    """What an export holds, and the queue that it was made of."""

    items: int
    pictures: int
    queue: QueueIndex


def export_queue(
    store: Store, name: str, *, to: Format, out: Path, prefix: str = "", options: QueueOptions = EVERYTHING
) -> Exported:
    """Write the queue of one mixture, or of all stages of a recipe; see `queue_items` and `review.export.export`."""
    queue = queue_items(store, name, options)
    counts = export(queue, queue.picture, to=to, out=out, prefix=prefix)
    return Exported(counts.items, counts.pictures, queue.index)


def queue_options(**given: int | None) -> QueueOptions:
    """Options as the command line gives them.

    Raises:
        UsageError: a number that is too small.
    """
    try:
        return QueueOptions.model_validate(given)
    except ValidationError as error:
        raise UsageError(f"review queue: {complaint(error)}") from error
