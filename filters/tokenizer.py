"""Tokens of a sample's text by a real tokenizer, for budgets that must be exact; needs the extra `tokenizer`."""

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import polars as pl

from filters.answer import ANSWER_ROLES, roles
from filters.base import Columns
from shards.errors import UsageError
from shards.files import file_sha256
from shards.schema import ROLES

if TYPE_CHECKING:
    from tokenizers import Tokenizer


@dataclass(frozen=True, slots=True)
class TokenCount:
    """Scores `num_tokens` of all messages, and `answer_tokens` of the answers alone; never null.

    Each message is counted by itself, without special tokens and without picture markers; what a chat template adds is
    not in it.

    Source: the `tokenizer.json` of a model, read by the library `tokenizers`.
    """

    reads: ClassVar[tuple[str, ...]] = ("messages",)
    writes: ClassVar[Columns] = {"num_tokens": pl.Int32, "answer_tokens": pl.Int32}
    version: ClassVar[int] = 1

    sha256: str
    """Of the file, 64 hex digits: what names the output."""
    path: str = field(compare=False, metadata={"names_output": False})
    """Where it lies on this machine."""

    @classmethod
    def of(cls, path: Path) -> "TokenCount":
        """The counter for a tokenizer.json.

        Raises:
            UsageError: no such file, or it is no tokenizer.
        """
        if not path.is_file():
            raise UsageError(f"tokenizer `{path}` is no file; give a tokenizer.json or `estimate`")
        _load(str(path))
        return cls(file_sha256(path), str(path.absolute()))

    def __call__(self, batch: pl.DataFrame) -> pl.DataFrame:
        """Scores of each sample."""
        answers = _counts(_load(self.path), batch.select(roles(ANSWER_ROLES)).to_series())
        others = [role for role in ROLES if role not in ANSWER_ROLES]
        rest = _counts(_load(self.path), batch.select(roles(others)).to_series())
        return pl.DataFrame({"num_tokens": answers + rest, "answer_tokens": answers}).cast(pl.Schema(self.writes))


def _counts(tokenizer: "Tokenizer", texts: pl.Series) -> pl.Series:
    """Tokens of each list of texts."""
    rows = pl.DataFrame({"row": pl.int_range(len(texts), eager=True), "text": texts}).explode("text").drop_nulls()
    encoded = tokenizer.encode_batch_fast(rows["text"].to_list(), add_special_tokens=False)
    lengths = rows.select("row", pl.Series("tokens", [len(each.ids) for each in encoded], dtype=pl.Int64))
    every = pl.DataFrame({"row": pl.int_range(len(texts), eager=True)})
    sums = every.join(lengths.group_by("row").agg(pl.col("tokens").sum()), on="row", how="left", maintain_order="left")
    return sums["tokens"].fill_null(0)


@cache
def _load(path: str) -> "Tokenizer":
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise UsageError(
            "counting with a tokenizer needs the extra `tokenizer`: pip install 'vlmix[tokenizer]'"
        ) from error
    try:
        return Tokenizer.from_file(path)
    except Exception as error:  # the library raises plain Exception for every kind of broken file
        raise UsageError(f"tokenizer `{path}` cannot be read: {error}") from error
