"""One file for branches and addresses: neither forgets the other."""

import json
from pathlib import Path

from sources.lock import LockedFile, lock_commit, lock_file, locked_commit, locked_file

URL = "https://a.test/x"
FOUND = LockedFile(sha256="0" * 64, size=3, etag='"tag"')


def test_branches_and_addresses_lie_side_by_side(tmp_path: Path) -> None:
    lock = tmp_path / "store" / "sources.lock"
    assert locked_commit(lock, "o/n", "main") is None and locked_file(lock, URL) is None
    lock_commit(lock, "o/n", "main", "1" * 40)
    lock_file(lock, URL, FOUND)
    lock_commit(lock, "o/n", "dev", "2" * 40)
    lock_file(lock, f"{URL}?y", FOUND)
    assert (locked_commit(lock, "o/n", "main"), locked_commit(lock, "o/n", "dev")) == ("1" * 40, "2" * 40)
    assert locked_file(lock, URL) == locked_file(lock, f"{URL}?y") == FOUND
    assert json.loads(lock.read_text())["downloads"][URL] == {"sha256": "0" * 64, "size": 3, "etag": '"tag"'}
