from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from filters.answer import MESSAGES
from filters.tokenizer import TokenCount
from flows.scoring import filter_set, identity
from shards.errors import UsageError


@pytest.fixture
def counter(tmp_path: Path) -> TokenCount:
    """Words at white space, each one token."""
    tokenizer = Tokenizer(models.WordLevel({"<unk>": 0, "one": 1}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return TokenCount.of(tmp_path / "tokenizer.json")


def batch(*samples: list[tuple[str, str]]) -> pl.DataFrame:
    rows = [[{"role": role, "text": text} for role, text in turns] for turns in samples]
    return pl.DataFrame({"messages": rows}, schema={"messages": MESSAGES})


def test_messages_are_counted_by_the_tokenizer(counter: TokenCount) -> None:
    rows = batch(
        [("user", "<image>\none two"), ("assistant", "one two three")],
        [("system", "be kind"), ("user", ""), ("assistant", "")],
        [("document", "a <image> b c")],
        [],
    )
    assert counter(rows).rows() == [(5, 3), (2, 0), (3, 3), (0, 0)]
    assert counter(rows).schema == pl.Schema(TokenCount.writes)
    assert counter(batch()).schema == pl.Schema(TokenCount.writes)


def test_a_batch_may_be_cut_anywhere(counter: TokenCount) -> None:
    rows = batch(*[[("user", "one " * turn), ("assistant", "x")] for turn in range(9)])
    assert pl.concat([counter(rows[:4]), counter(rows[4:])]).equals(counter(rows))


def test_the_output_is_named_by_the_bytes_and_not_by_their_place(counter: TokenCount) -> None:
    assert identity(counter) == identity(replace(counter, path="elsewhere"))
    assert identity(counter) != identity(replace(counter, sha256="0" * 64))


def test_it_takes_the_place_of_the_estimate(counter: TokenCount) -> None:
    writers = [item for item in filter_set((), (), counter).samples if "num_tokens" in item.writes]
    assert writers == [counter]


def test_what_is_no_tokenizer_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text("{}")
    with pytest.raises(UsageError, match="is no file"):
        TokenCount.of(tmp_path / "absent.json")
    with pytest.raises(UsageError, match="cannot be read"):
        TokenCount.of(tmp_path / "broken.json")
