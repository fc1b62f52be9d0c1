"""The command `vlmix pack`: which emitted rows share a training sequence."""

from pathlib import Path

from flows.console import JsonOption, StoreOption, messages, print_model, say, where


def pack(
    mix: str,
    *,
    tokens: int,
    out: Path,
    picture_tokens: int = 0,
    tile_tokens: int | None = None,
    turn_tokens: int = 0,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Group the emitted rows of a mixture into sequences of a token budget; writes packing.parquet and packing.json.

    Args:
        mix: folder of a mixture, or recipe.stage.
        tokens: budget of a sequence.
        out: folder, which may be that of an export.
        picture_tokens: tokens of each picture, such as 576.
        tile_tokens: tokens of each tile, such as 256, for entries with `max_tiles`; instead of --picture-tokens.
        turn_tokens: tokens that the chat template adds to each message.
        store: folder of the store.
        as_json: print one JSON document.
    """
    with messages():
        from flows.mixes import find_one
        from flows.packing import write_packing
        from shards.errors import UsageError
        from shards.store import Store

        if tokens < 1 or min(picture_tokens, tile_tokens or 0, turn_tokens) < 0:
            raise UsageError("`--tokens` is at least 1, and no kind of tokens below 0")
        report = write_packing(
            find_one(Store(where(store)), mix),
            out,
            budget=tokens,
            picture_tokens=picture_tokens,
            tile_tokens=tile_tokens,
            turn_tokens=turn_tokens,
        )
        if as_json:
            print_model(report)
        else:
            left_out = f"; {report.too_long:,} rows are longer and in none" if report.too_long else ""
            say(
                {},
                f"{report.rows:,} rows in {report.sequences:,} sequences of {tokens:,} tokens, {report.fill:.2%} full "
                f"(tokens: {report.formula}, text by {report.tokenizer}){left_out}",
                as_json=False,
            )
