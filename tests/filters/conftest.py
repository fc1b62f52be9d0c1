"""Batches of samples for the tests of filters and judges."""

from collections.abc import Callable

import polars as pl
import pytest

from shards.schema import SAMPLE

Turn = tuple[str, str]
Samples = Callable[..., pl.DataFrame]


def samples(*conversations: list[Turn], metas: list[str] | None = None) -> pl.DataFrame:
    """A batch in the schema on disk with these conversations, as many pictures as `<image>` markers."""
    picture = {
        "sha256": "0" * 64,
        "pack": "p",
        "row": 0,
        "offset": 0,
        "size": 1,
        "width": 1,
        "height": 1,
        "format": "PNG",
    }
    rows = [
        {
            "key": f"source/train/{row}",
            "messages": [{"role": role, "text": text} for role, text in turns],
            "images": [picture] * sum(text.count("<image>") for _, text in turns),
            "videos": [],
            "meta": metas[row] if metas else "{}",
        }
        for row, turns in enumerate(conversations)
    ]
    return pl.from_arrow(SAMPLE.empty_table()).vstack(
        pl.DataFrame(rows, schema=pl.from_arrow(SAMPLE.empty_table()).schema)
    )


@pytest.fixture(scope="session")
def batch_of() -> Samples:
    """Conversations, each a list of (role, text), to a batch."""
    return samples


@pytest.fixture(scope="session")
def batch_of_answers() -> Samples:
    """Answers to a batch in which each answers a question."""
    return lambda answers: samples(*[[("user", "What is it?"), ("assistant", answer)] for answer in answers])
