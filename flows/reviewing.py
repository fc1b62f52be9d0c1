"""The review queue of a mixture: rows with verdict `review`, joined with what a person must see."""

from pathlib import Path

import polars as pl

from flows.mixes import Mix, find
from manifests.recipe import Rule
from review.export import ExportCounts, Format, export
from review.item import ReviewItem
from review.queue import build, order
from shards.pack import Image, PictureReader
from shards.store import Store


def queue(mix: Mix) -> tuple[list[ReviewItem], dict[str, Image]]:
    """Items in the order of review, and where their pictures lie."""
    rows = mix.decisions.filter(pl.col("verdict") == "review")
    domain = {entry.id: entry.domain for entry in mix.manifest.entries}
    scores = mix.scores.drop("source", "position")
    full = (
        mix.samples(rows)
        .join(scores, on="key", how="left", maintain_order="left")
        .join(mix.clusters.select("key", "cluster"), on="key", how="left", maintain_order="left")
        .with_columns(pl.col("entry").replace_strict(domain, return_dtype=pl.String).alias("domain"))
    )
    if rows.is_empty():
        return [], {}
    rules = [Rule.model_validate(rule) for rule in mix.manifest.rules]
    items = build(full, stage=mix.manifest.mixture, predicates={rule.name: rule.when or "" for rule in rules})
    images = {image["sha256"]: Image(**image) for group in full["images"] for image in group}
    return order(items), images


def export_queue(store: Store, name: str, *, to: Format, out: Path, prefix: str) -> ExportCounts:
    """Write the queue of one mixture, or of all stages of a recipe."""
    items: dict[str, ReviewItem] = {}
    images: dict[str, Image] = {}
    for mix in find(store, name).values():
        found, pictures = queue(mix)
        # the same sample in the same entry of two stages is one question
        items = {item.id: item for item in found} | items
        images |= pictures
    reader = PictureReader(str(store.root))
    return export(order(items.values()), lambda sha256: reader(images[sha256]), to=to, out=out, prefix=prefix)
