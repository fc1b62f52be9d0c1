"""What is said of a disk that takes no more, by what the system said."""

import errno
import re
from pathlib import Path

import pytest

from shards.disk import refused, writing
from shards.errors import StoreError


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, r"No space left on device; free space \([\d,]+ bytes are left, 4 of the file were written\) or"),
        (errno.EDQUOT, r"Disk quota exceeded; free space \([\d,]+ bytes are left, 4 of the file were written\) or"),
        (errno.EFBIG, r"File too large; raise the limit on the size of files \(`ulimit -f`\)"),
        (errno.EROFS, r"Read-only file system; let it be written, or choose another store with --store"),
        (errno.EACCES, r"Permission denied; let it be written, or choose another store with --store"),
        (errno.EIO, r"Input/output error; see to that, or choose another store with --store"),
    ],
)
def test_a_message_for_each_refusal(tmp_path: Path, number: int, said: str) -> None:
    begun = tmp_path / ".file.tmp"
    begun.write_bytes(b"half")
    message = str(refused(tmp_path / "file", OSError(number, ""), begun=begun))
    assert re.fullmatch(rf"cannot write `{tmp_path}/file`: {said}.*; what is finished is kept", message), message


def test_an_error_that_is_not_of_the_disk_passes(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot write"), writing(tmp_path):
        raise OSError(errno.EACCES, "no")
    with pytest.raises(FileNotFoundError), writing(tmp_path):
        raise FileNotFoundError(errno.ENOENT, "gone")
