"""What was planted by the demo publishers against what a build made of it."""

from typing import Final

import polars as pl

STEPS: Final[dict[str, tuple[str, ...]]] = {
    "corrupt_picture": ("quarantine",),
    "marker_mismatch": ("quarantine",),
    "dead_link": ("quarantine",),
    "near_duplicate_picture": ("dedup",),
    "exact_duplicate": ("dedup",),
    "broken_score": ("unscored",),
    "unreadable_script": ("unscored", "rules"),
}
"""Steps that are meant to take a planted defect out; `rules` (drop or review) for all others."""

KEPT: Final = "_ok"
"""Ending of planted rows that look bad and are good."""


def fates(truth: pl.DataFrame, outcomes: pl.DataFrame) -> pl.DataFrame:
    """What became of every planted row.

    Args:
        truth: the publishers' table: file, row, defect.
        outcomes: one row per raw row that some entry took or that is in quarantine: `locator` (`file#row`) and `step`
            (quarantine | rules | unscored | dedup | written).

    Returns:
        (n, 4) frame: `locator`, `defect`, `step` (null where no entry took the row), `caught` (taken out by the step
        that is meant for the defect; of rows that are good, taken out by any).
    """
    planted = truth.select(
        pl.format("{}#{}", "file", "row").alias("locator"),
        "defect",
        pl.col("defect").map_elements(meant, return_dtype=pl.List(pl.String)).alias("meant"),
        pl.col("defect").str.ends_with(KEPT).alias("good"),
    )
    joined = planted.join(outcomes, on="locator", how="left")
    caught = pl.when("good").then(pl.col("step") != "written").otherwise(pl.col("step").is_in(pl.col("meant")))
    return joined.select("locator", "defect", "step", caught.fill_null(False).alias("caught"))


def meant(defect: str) -> list[str]:
    """Steps that are meant to take a defect out."""
    return list(STEPS.get(defect, ("rules",)))
