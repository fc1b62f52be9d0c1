"""The score `taken_down`: what the samples of a source hold that may be emitted no more."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

import polars as pl

from filters.phash import PerceptualHash
from flows.mixes import Mix
from flows.scoring import picture_table, score_box, source_name
from flows.takedowns import Takedowns, Target, takedowns
from manifests.rules import TAKEN_DOWN
from shards.errors import GateError, PictureError, StoreError
from shards.files import canonical_json
from shards.pack import Image, PictureReader
from shards.picture import Picture, decode
from shards.sample import ShardsIndex, read_samples, sample_path
from shards.schema import STATE_SUFFIX
from shards.store import Box, Store

NEAR: Final = 8
"""Bits of the perceptual hash within which pictures are decoded to compare their pixels; a hash of a picture that was
decoded at a fraction of its size is within two bits of the whole in 99 of 100. Ours."""


def pixel_digest(picture: Picture) -> str:
    """64 hex digits that name the size and the pixels of a picture in RGB, whatever file they are in."""
    image = picture.rgb()
    return hashlib.sha256(f"{image.width}x{image.height} RGB ".encode() + image.tobytes()).hexdigest()


def pixels_of(data: bytes) -> Target:
    """The target that stands for the pixels of an encoded picture.

    Raises:
        PictureError: it does not decode.
    """
    picture = decode(data)
    found = PerceptualHash()(picture)[0]
    return Target(
        kind="pixels",
        value=pixel_digest(picture),
        phash="" if found is None else f"{int(found):016x}",
        width=picture.width,
        height=picture.height,
    )


def with_found(store: Store, held: Takedowns, sources: Mapping[str, Box]) -> Takedowns:
    """Take-downs with the pictures that their addresses gave, and those that have their pixels, in some sources.

    Args:
        store: holds what was gathered, and hashes of pictures.
        held: what is taken down.
        sources: boxes of shards by source name.
    """
    urls = held.values("url")
    pixels = [each for each in held.targets if each.kind == "pixels"]
    found: dict[str, str] = {}
    for name in sorted(sources):
        found |= {sha: f"url {url}" for url, sha in pictures_at(store, sources[name], urls)}
        for each in pixels:
            found |= {sha: each.words for sha in same_pixels(store, sources[name], each)}
    return replace(held, addressed=tuple(sorted(found.items())))


def pictures_at(store: Store, shards: Box, urls: Iterable[str]) -> Iterator[tuple[str, str]]:
    """(address, SHA-256) of the pictures that addresses gave when a source was gathered."""
    wanted = pl.Series(sorted(urls), dtype=pl.String)
    if wanted.is_empty():
        return
    for box in store.boxes("pictures", source_name(shards)):
        table = pl.scan_parquet(box.path / "gathered.parquet").select("ref", "sha256")
        rows = table.filter(pl.col("ref").is_in(wanted.implode()), pl.col("sha256").is_not_null())
        yield from rows.collect().iter_rows()


def same_pixels(store: Store, shards: Box, target: Target) -> Iterator[str]:
    """SHA-256 of the pictures of a source that have the pixels of a target; those of near hashes are decoded."""
    if not score_box(store, shards, PerceptualHash()).done:
        return
    hashes = picture_table(store, PerceptualHash(), shards).select("sha256", "phash")
    sizes = pl.scan_parquet(shards.path / "pictures.parquet")
    same = sizes.filter(pl.col("width") == target.width, pl.col("height") == target.height).collect()
    both = same.join(hashes, on="sha256", how="left", maintain_order="left")
    flat = pl.col("phash").is_null()
    near = (
        flat if not target.phash else ~flat & ((pl.col("phash") ^ int(target.phash, 16)).bitwise_count_ones() <= NEAR)
    )
    reader = PictureReader(str(store.root))
    for row in both.filter(near).drop("phash").iter_rows():
        try:
            if pixel_digest(reader.picture(Image._make(row))) == target.value:
                yield row[0]
        except (PictureError, StoreError):
            # a picture that does not decode has no pixels, and one that is gone is emitted by nobody
            continue


def taken_down(shards: Box, source: str, keys: pl.Series, held: Takedowns | None) -> pl.DataFrame:
    """What the samples of a source hold that is taken down.

    Args:
        shards: its samples.
        source: its name.
        keys: (n,) keys of all samples, in published order.
        held: see `with_found`; null where the run knows no take-down.

    Returns:
        (n, 2) frame: `taken_down`, the first reason as `Target.words`, null with state `not_applicable` where there is
        none; no column where `held` is null.
    """
    if held is None:
        return pl.DataFrame()
    whole = f"source {source}" if source in held.values("source") else None
    own = {key: f"key {key}" for key in held.values("key")}
    said = own if whole else dict(holding(shards, held)) | own
    table = pl.DataFrame(
        {"key": list(said), TAKEN_DOWN: list(said.values())}, {"key": pl.String, TAKEN_DOWN: pl.String}
    )
    found = pl.DataFrame({"key": keys}).join(table, on="key", how="left", maintain_order="left")[TAKEN_DOWN]
    if whole:
        found = pl.repeat(whole, len(keys), dtype=pl.String, eager=True).alias(TAKEN_DOWN)
    state = pl.when(pl.col(TAKEN_DOWN).is_null()).then(pl.lit("not_applicable")).alias(TAKEN_DOWN + STATE_SUFFIX)
    return found.to_frame().with_columns(state)


def holding(shards: Box, held: Takedowns) -> Iterator[tuple[str, str]]:
    """(key, reason) of the samples with a picture or an address that is taken down; other shards are not read."""
    pictures, urls = held.pictures, held.values("url")
    shas = pl.Series(sorted(pictures), dtype=pl.String)
    known = pl.scan_parquet(shards.path / "pictures.parquet").select("sha256")
    there = known.filter(pl.col("sha256").is_in(shas.implode())).collect()["sha256"] if len(shas) else shas
    for number in range(len(shards.index(ShardsIndex).shards)) if len(there) or urls else ():
        path = sample_path(shards.path, number)
        if urls:
            yield from _with_address(read_samples(path, ["key", "videos", "meta"]), urls)
        if len(there):
            images = read_samples(path, ["key", "images"])
            shown = images.select(
                "key", pl.col("images").list.eval(pl.element().struct.field("sha256")).alias("sha256")
            )
            rows = shown.explode("sha256").filter(pl.col("sha256").is_in(there.implode()))
            yield from ((key, pictures[sha]) for key, sha in rows.iter_rows())


def _with_address(frame: pl.DataFrame, urls: Iterable[str]) -> Iterator[tuple[str, str]]:
    """(key, reason) of the samples whose videos or meta name an address."""
    for url in sorted(urls):
        # a value of the JSON in `meta` stands in quotes
        named = pl.col("meta").str.contains(canonical_json(url), literal=True)
        rows = frame.filter(named | pl.col("videos").list.contains(url))
        yield from ((key, f"url {url}") for key in rows["key"])


def check_emitted(mix: Mix) -> None:
    """Stop before a mixture that was made earlier is given away with what was taken down since.

    Raises:
        GateError: it emits rows that hold something that is taken down today.
    """
    held = takedowns(mix.store)
    if held is None or held.digest == mix.manifest.takedown:
        return
    sources = {entry.source: mix.shards(entry.source) for entry in mix.manifest.entries}
    there = {name: box for name, box in sources.items() if box.done}
    found = with_found(mix.store, held, there)
    keys = {key for box in there.values() for key, _ in holding(box, found)} | held.values("key")
    entries = [entry.id for entry in mix.manifest.entries if entry.source in held.values("source")]
    ids = pl.scan_parquet(mix.box.path / "ids.parquet")
    gone = pl.col("key").is_in(pl.Series(sorted(keys), dtype=pl.String).implode()) | pl.col("entry").is_in(entries)
    rows = int(ids.filter(gone).select(pl.len()).collect().item())
    if rows:
        name = f"{mix.manifest.recipe}.{mix.manifest.mixture}"
        remedy = f"run `vlmix run build-sft-mix` for recipe `{mix.manifest.recipe}` again and export what it makes"
        raise GateError(f"mixture `{name}` emits {rows} rows that were taken down after it was made; {remedy}")
