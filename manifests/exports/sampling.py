"""Rows that a trainer takes of a file by its own arithmetic, where its configuration says more than `all`."""

from manifests.exports.base import Words


def rows_seen(words: Words, rows: int, excluded: int = 0, *, streamed: bool = False) -> int:
    """Rows that an epoch holds of a file.

    Args:
        words: strategy and value, see manifests/exports/native.py.
        rows: in the file.
        excluded: rows that the exclusion list of `@` leaves out.
        streamed: MDS shards read by MosaicML Streaming, as InstellaVL's online loader does.

    Returns:
        The trainer's count, before VILA fills sets up to its global batch. InstellaVL's offline loader does not know
        `repeat`: it takes the file once. `choose` above the rows there are repeats some of them.

    Source: LLaVA-NeXT and InstellaVL llava/train/train.py, LazySupervisedDataset; InternVL internvl_chat_finetune.py,
    LazySupervisedDataset; VILA llava/data/builder.py, build_dataset; MosaicML Streaming streaming/base/stream.py.
    """
    match words.strategy:
        case "first" | "end" | "random":
            return _part(words, rows)
        case "choose":
            return int(words.value)
        case "repeat" if streamed:
            return rows * int(words.value)
        case "repeat_time":
            factor = float(words.value)
            # binary floating point, cut off: 0.29 of 100 lines is 28
            return int(rows * factor) if factor < 1 else rows * int(factor)
        case "*":
            return int(words.value.partition("@")[0]) * (rows - excluded)
        case "@":
            return rows - excluded
        case _:
            return rows


def _part(words: Words, rows: int) -> int:
    number = int(words.value.removesuffix("%"))
    wanted = -(-number * rows // 100) if words.value.endswith("%") else number
    # the last 0 rows are `rows[-0:]`, which is all of them
    return rows if words.strategy == "end" and wanted == 0 else min(wanted, rows)
