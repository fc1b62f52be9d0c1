"""Sequences of a token budget for a finished mixture: an index of which emitted rows share one."""

from pathlib import Path

import numpy as np
import polars as pl
from pydantic import BaseModel

from flows.mixes import Mix
from manifests.packing import NONE, pack
from manifests.stream import copies
from shards.errors import DataError
from shards.files import write_table, write_text


class PackingReport(BaseModel):
    """What a packing holds; also written to `packing.json` beside the index."""

    recipe: str
    mixture: str
    digest: str
    """Of the mixture."""
    tokenizer: str
    """How text is counted, from the manifest."""
    formula: str
    """Tokens of a row."""
    budget: int
    """Tokens of a sequence."""
    sequences: int
    rows: int
    """Emitted rows in sequences, repeats counted."""
    too_long: int
    """Emitted rows of more tokens than the budget, which are in none."""
    tokens: int
    fill: float
    """Tokens / (sequences x budget)."""


def write_packing(
    mix: Mix, out: Path, *, budget: int, picture_tokens: int, tile_tokens: int | None, turn_tokens: int
) -> PackingReport:
    """Pack the emitted rows of a mixture and write `packing.parquet` and `packing.json` into a folder.

    Args:
        mix: a finished mixture.
        out: folder, made if absent; may be that of an export.
        budget: tokens of a sequence.
        picture_tokens: tokens of each picture, where tiles are not counted.
        tile_tokens: tokens of each tile; entries without `max_tiles` in the recipe stop with a message. None counts
            whole pictures.
        turn_tokens: tokens that the chat template adds to each message.

    Raises:
        DataError: tiles are asked for, and an entry has none.
    """
    rows = _rows(mix, tiles=tile_tokens is not None)
    per_row = (
        rows["num_tokens"].to_numpy().astype(np.int64)
        + turn_tokens * rows["num_turns"].to_numpy().astype(np.int64)
        + (picture_tokens if tile_tokens is None else tile_tokens)
        * rows["num_images" if tile_tokens is None else "tiles"].to_numpy().astype(np.int64)
    )
    row, copy = copies(rows["times"].to_numpy())
    tokens = per_row[row]
    packed = pack(tokens, budget)
    index = pl.DataFrame(
        {
            "sequence": packed.sequence,
            "entry": rows["entry"].gather(row),
            "key": rows["key"].gather(row),
            "copy": copy,
            "tokens": tokens,
        }
    )
    fitting = index.filter(pl.col("sequence") != NONE).sort("sequence", maintain_order=True)
    write_table(out / "packing.parquet", fitting)
    media = f"{picture_tokens} a picture" if tile_tokens is None else f"{tile_tokens} a tile"
    total = int(fitting["tokens"].sum())
    report = PackingReport(
        recipe=mix.manifest.recipe,
        mixture=mix.manifest.mixture,
        digest=mix.manifest.digest(),
        tokenizer=mix.manifest.tokens,
        formula=f"text + {media} + {turn_tokens} a message",
        budget=budget,
        sequences=packed.num_sequences,
        rows=fitting.height,
        too_long=index.height - fitting.height,
        tokens=total,
        fill=round(total / (packed.num_sequences * budget), 6) if packed.num_sequences else 0,
    )
    write_text(out / "packing.json", report.model_dump_json(indent=1) + "\n")
    return report


def _rows(mix: Mix, *, tiles: bool) -> pl.DataFrame:
    """Emitted rows with their sizes, in the order of ids.parquet."""
    if tiles:
        lacking = mix.ids.filter(pl.col("tiles").is_null() & (pl.col("num_images") > 0))["entry"].unique().sort()
        if len(lacking):
            raise DataError(f"entry `{lacking[0]}` has no `max_tiles` in the recipe; give `--picture-tokens` instead")
    turns = mix.scores.select("key", "num_turns").unique("key")
    joined = mix.ids.join(turns, on="key", how="left", maintain_order="left")
    return joined.with_columns(pl.col("num_turns", "tiles").fill_null(0))
