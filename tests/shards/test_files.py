import hashlib
import json
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import JsonValue

from shards.errors import StoreError
from shards.files import (
    canonical_json,
    file_sha256,
    fingerprint,
    replacing,
    write_bytes,
    write_table,
    write_text,
)


def test_a_file_appears_whole_in_a_folder_that_need_not_exist(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file"
    with replacing(path) as temporary:
        temporary.write_bytes(b"half")
        assert not path.exists()
    assert path.read_bytes() == b"half"
    assert [each.name for each in path.parent.iterdir()] == ["file"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_error_inside_leaves_the_old_file_and_no_other(error: type[BaseException], tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_bytes(path, b"old")
    with pytest.raises(error), replacing(path) as temporary:
        temporary.write_bytes(b"new")
        raise error
    assert path.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_full_disk_gives_one_clear_message(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with pytest.raises(StoreError, match=r"cannot write .*No space left on device; free space"), replacing(path) as it:
        it.write_bytes(b"half")
        raise OSError(28, "No space left on device")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    write_bytes(tmp_path / "file", b"")
    with pytest.raises(StoreError, match="below"):
        write_bytes(tmp_path / "file" / "below", b"")


def test_text_is_utf8(tmp_path: Path) -> None:
    write_text(tmp_path / "file", "\u4e2d\r\n")
    assert (tmp_path / "file").read_bytes() == b"\xe4\xb8\xad\r\n"
    assert file_sha256(tmp_path / "file") == hashlib.sha256(b"\xe4\xb8\xad\r\n").hexdigest()


def test_equal_tables_have_equal_bytes_however_they_were_made(tmp_path: Path) -> None:
    frame = pl.DataFrame({"key": ["a", "b", None], "list": [[1], [], None]})
    parts = pl.concat([frame[:1], frame[1:]], rechunk=False)
    for name, table in (("whole", frame), ("parts", parts), ("arrow", frame.to_arrow(compat_level=_OLDEST))):
        write_table(tmp_path / name, table)
    assert len({file_sha256(tmp_path / name) for name in ("whole", "parts", "arrow")}) == 1
    assert pl.read_parquet(tmp_path / "whole").equals(frame)
    assert pq.read_table(tmp_path / "whole").schema.field("key").type == pa.large_string()


_OLDEST = pl.CompatLevel.oldest()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "a": [True, None]}, '{"a":[true,null],"b":1}'),
        ("\u4e2d\n", '"\u4e2d\\n"'),
        (0.1, "0.1"),
        ([], "[]"),
    ],
)
def test_canonical_json_has_one_spelling(value: JsonValue, text: str) -> None:
    assert canonical_json(value) == text
    assert json.loads(text) == value


def test_canonical_json_refuses_what_is_not_json() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json(float("nan"))


def test_a_fingerprint_depends_on_every_part_and_its_place() -> None:
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    prints = {fingerprint("a", "b"), fingerprint("b", "a"), fingerprint("ab"), fingerprint(["a", "b"]), fingerprint()}
    assert len(prints) == 5
    assert fingerprint("a", "b") == hashlib.sha256(b'["a","b"]').hexdigest()
