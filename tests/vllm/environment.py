"""Makes an environment with vLLM's CPU build and runs the tests of the judges in it: `environment.py FOLDER`.

`requirements.txt` names everything that is imported, so pip resolves nothing: vLLM asks for versions of FastAPI that
other parts of the project exclude, for torchvision, whose usual build breaks beside a CPU torch, and for torch under a
name that only one index has. Where the registry's torch is built for CUDA, point pip at PyTorch's index of CPU builds
(`PIP_EXTRA_INDEX_URL`).
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SECONDS = 420
"""After which an installation is given up."""


class CannotMakeError(Exception):
    """The environment cannot be made on this machine; the message says why."""


def make(folder: Path) -> float:
    """Make the environment unless it is there; returns the seconds it took.

    Raises:
        CannotMakeError: offline, another platform, another Python.
    """
    started = time.monotonic()
    found = (platform.system(), platform.machine(), sys.version_info[:2])
    if found != ("Linux", "x86_64", (3, 11)):
        raise CannotMakeError(f"expected Linux on x86_64 with Python 3.11, found {found}")
    wanted = hashlib.sha256((HERE / "requirements.txt").read_bytes()).hexdigest()
    stamp = folder / "made"
    if stamp.is_file() and stamp.read_text() == wanted:
        return 0.0
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, with_pip=False)
    python = str(folder / "bin" / "python")
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--retries", "1"]
    pip += ["--no-compile"]  # of 18,000 modules a fraction is imported: those are compiled then, and kept
    run([*pip, "--requirement", str(HERE / "requirements.txt")])
    run([*pip, "--no-build-isolation", "--editable", str(ROOT)])
    run([python, "-W", "ignore", "-c", "from vllm import LLM; import vllm.entrypoints.openai.api_server"])
    stamp.write_text(wanted)
    return time.monotonic() - started


def run(command: list[str]) -> None:
    """Run one step of the installation.

    Raises:
        CannotMakeError: it failed, or took too long.
    """
    try:
        variables = _kept()
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS, env=variables)
    except subprocess.TimeoutExpired as error:
        raise CannotMakeError(f"not done after {SECONDS} s: {' '.join(command[-2:])}") from error
    if done.returncode:
        raise CannotMakeError((done.stderr or done.stdout or "no message").strip().splitlines()[-1])


def _kept() -> dict[str, str]:
    """Our variables, without the one that forbids to keep byte code."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def main() -> int:
    """Make the environment and run the tests; where it cannot be made, say so loudly and succeed."""
    folder = Path(sys.argv[1]).absolute()
    try:
        seconds = make(folder)
    except CannotMakeError as error:
        line = f"THE LANGUAGE MODEL JUDGES ARE NOT TESTED: no environment with vLLM here: {error}"
        sys.stdout.write(f"{'!' * 100}\n{line}\n{'!' * 100}\n")
        return 0
    sys.stdout.write(f"{folder.name}: made in {seconds:.0f} s\n")
    sys.stdout.flush()
    tests = [str(folder / "bin" / "pytest"), "-m", "vllm", "--durations", "5", str(HERE)]
    return subprocess.run([*tests, *sys.argv[2:]], cwd=ROOT, check=False, env=_kept()).returncode


if __name__ == "__main__":
    sys.exit(main())
