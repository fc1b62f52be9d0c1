"""A disk of a few megabytes for tests, which can be filled and made read-only; needs the right to mount."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class Disk:
    """A mounted tmpfs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self, *, but: int = 0) -> None:
        """Leave no more than so many bytes free."""
        about = os.statvfs(self.folder)
        size = max(about.f_bavail * about.f_frsize - but, 0)
        with (self.folder / "ballast").open("ab") as file:
            file.write(bytes(size))

    def make_room(self) -> None:
        (self.folder / "ballast").unlink()

    def allow(self, how: str) -> None:
        """Remount it as `ro` or `rw`."""
        subprocess.run(["mount", "-o", f"remount,{how}", str(self.folder)], check=True)


@contextmanager
def mounted(folder: Path, size: int) -> Iterator[Disk]:
    """Mount a disk of so many bytes at `folder`; the test is skipped where nobody may."""
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)], check=False, capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"no right to mount a disk: {done.stderr.strip()}")
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
