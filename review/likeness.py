"""Samples of a queue that are much the same, so that one answer may do for all of them."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Final

import polars as pl

from review.item import MOST_MATES

_NUMBER: Final = re.compile(r"\d+(?:[.,:]\d+)*")
_DIGITS: Final = 16

Messages = Sequence[Mapping[str, str]]


def template_of(messages: Messages) -> str:
    """16 hex digits that are the same for texts which differ in numbers, letter case and white space only."""
    return _digest(f"{turn['role']} {_NUMBER.sub('0', turn['text'])}" for turn in messages)


def question_of(messages: Messages, pictures: Sequence[str]) -> str | None:
    """The same for samples with the same pictures (SHA-256) and the same words of the user; None without pictures."""
    if not pictures:
        return None
    return _digest((*pictures, *(turn["text"] for turn in messages if turn["role"] != "assistant")))


def _digest(texts: object) -> str:
    digest = hashlib.blake2b(digest_size=_DIGITS // 2)
    for text in texts:  # type: ignore[attr-defined]  # any iterable of texts
        digest.update(" ".join(text.casefold().split()).encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()


def grouped(table: pl.DataFrame) -> pl.DataFrame:
    """Say of each row how many rows of the table an answer about it may settle, and name some of them.

    Args:
        table: (n, ...) frame with `key`, `template` (String), `question` (String or null) and `cluster` (String or
            null): the cluster of duplicates that the mixture knows.

    Returns:
        The same rows, without `question`: `cluster` is, where the mixture knows none, the smallest key among the rows
        with the same question, null for a single row; `settles` (Int32) counts the rows with the same template or the
        same cluster, the row itself among them; `mates` (List(String)) are keys of the first `MOST_MATES` others.
    """
    alone = pl.len().over("question") == 1
    by_question = pl.when(pl.col("question").is_not_null() & ~alone).then(pl.col("key").min().over("question"))
    named = table.with_columns(pl.coalesce("cluster", by_question).alias("cluster")).drop("question")
    clustered = pl.col("cluster").is_not_null()
    counted = named.with_columns(
        pl.len().over("template").alias("_template"),
        pl.when(clustered).then(pl.len().over("cluster")).otherwise(1).alias("_cluster"),
        pl.when(clustered).then(pl.len().over("template", "cluster")).otherwise(1).alias("_both"),
    )
    settles = (pl.col("_template") + pl.col("_cluster") - pl.col("_both")).cast(pl.Int32).alias("settles")
    return counted.with_columns(settles, _mates(named)).drop("_template", "_cluster", "_both")


def _mates(named: pl.DataFrame) -> pl.Series:
    first: dict[tuple[str, str], list[str]] = {}
    rows = list(named.select("key", "template", "cluster").iter_rows())
    for key, template, cluster in rows:
        for place in (("t", template), ("c", cluster)):
            members = first.setdefault(place, [])
            if len(members) <= MOST_MATES:  # one more than are named, since one of them is the row itself
                members.append(key)
    found = []
    for key, template, cluster in rows:
        others = dict.fromkeys((*first["t", template], *(first["c", cluster] if cluster else ())))
        found.append([other for other in others if other != key][:MOST_MATES])
    return pl.Series("mates", found, pl.List(pl.String))
