"""Makes the environments of the outside readers: `python tests/interop/environments.py [NAME ...]`.

Every environment is made once, from its `requirements.txt`, which names everything it needs (`pip install --no-deps`).
The others see `base`, with torch and transformers, through a path file, so that torch is on the disk once.
"""

import argparse
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
FOLDER = Path(sys.prefix) / "interop"
BASE = "base"
STAMP = "made"


@dataclass(frozen=True)
class Environment:
    """What must be importable, and what is taken out of it after the installation."""

    imports: str
    removed: tuple[str, ...] = ()


ENVIRONMENTS = {
    BASE: Environment("torch, transformers, pyarrow, PIL.Image"),
    "mosaicml-streaming": Environment("streaming"),
    "megatron-energon": Environment("megatron.energon"),
    # compiled for CUDA, and found by its file: without it the package falls back on Python
    "llamafactory": Environment("llamafactory.data.parser", removed=("torchaudio/lib",)),
    "trl": Environment("trl.data_utils, datasets"),
    "torch": Environment("torch, torchdata.stateful_dataloader"),
    "datatrove": Environment("datatrove.pipeline.filters"),
    "label-studio": Environment("label_studio_sdk.converter, label_studio_sdk.label_interface"),
}


SECONDS = 400
"""After which an installation is given up: a machine without a registry would wait for long."""


class CannotMakeError(Exception):
    """An environment cannot be made on this machine; the message is what pip or Python said last."""


def python(name: str) -> Path:
    """Interpreter of an environment."""
    return FOLDER / name / "bin" / "python"


def make(name: str) -> float:
    """Make an environment unless it is there; returns the seconds it took.

    Raises:
        CannotMakeError: offline, another platform, another Python.
    """
    started = time.monotonic()
    if name in _FAILED:
        raise CannotMakeError(_FAILED[name])
    with _alone(name):
        if _stamp(name).is_file() and _stamp(name).read_text() == _wanted(name):
            return 0.0
        try:
            if name != BASE:
                make(BASE)
            _make(name)
        except CannotMakeError as error:
            _FAILED[name] = str(error)
            raise
    return time.monotonic() - started


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """Wait until no other process makes this environment: workers of the tests want them at the same time."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


_FAILED: dict[str, str] = {}
"""Why an environment cannot be made, so that it is tried once in a run; `base` is asked for by all others."""


def _make(name: str) -> None:
    shutil.rmtree(FOLDER / name, ignore_errors=True)
    venv.create(FOLDER / name, with_pip=False)
    if name != BASE:
        (packages(name) / "base.pth").write_text(f"{packages(BASE)}\n")
    pip = [sys.executable, "-m", "pip", "--python", str(python(name)), "install", "--quiet", "--no-deps"]
    # of ten thousand modules a tenth is imported: those are compiled then, and kept
    pip += ["--retries", "1", "--no-compile"]
    _run([*pip, "--requirement", str(HERE / name / "requirements.txt")])
    for path in ENVIRONMENTS[name].removed:
        shutil.rmtree(packages(name) / path)
    _run([str(python(name)), "-W", "ignore", "-c", f"import {ENVIRONMENTS[name].imports}"])
    _stamp(name).write_text(_wanted(name))


def _run(command: list[str]) -> None:
    apart = ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE")
    variables = {name: value for name, value in os.environ.items() if name not in apart}
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=variables, timeout=SECONDS)
    except subprocess.TimeoutExpired as error:
        raise CannotMakeError(f"not done after {SECONDS} s") from error
    if done.returncode:
        raise CannotMakeError((done.stderr or done.stdout or "no message").strip().splitlines()[-1])


def packages(name: str) -> Path:
    """Folder that an environment imports from."""
    return FOLDER / name / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"


def _stamp(name: str) -> Path:
    return FOLDER / name / STAMP


def _wanted(name: str) -> str:
    texts = [(HERE / part / "requirements.txt").read_bytes() for part in dict.fromkeys((BASE, name))]
    return hashlib.sha256(b"\0".join([repr(ENVIRONMENTS[name]).encode(), *texts])).hexdigest()


def main() -> None:
    """Make all environments, or those that are named; one that cannot be made is told and left out."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *ENVIRONMENTS], default=[])
    for name in parser.parse_args().names or ENVIRONMENTS:
        try:
            line = f"{name}: {make(name):.0f} s"
        except CannotMakeError as error:
            line = f"{name}: NOT MADE, its exports are not read back: {error}"
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
