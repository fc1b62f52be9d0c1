"""Checks of the machine: Python and packages, memory and cores against the workers, accelerators."""

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from flows.doctor import Finding, bad, doubtful, good
from flows.execution import Execution
from flows.workers import LEAST, cores, memory_share

PROJECT: Final = "vlmix"

_WHY: Final = {"sqlalchemy": "with 2.1 Prefect serves and runs, but no schedule ever fires"}
_GB: Final = 1e9
_NODES: Final = Path("/sys/class/kfd/kfd/topology/nodes")
_NVIDIA: Final = Path("/proc/driver/nvidia/gpus")
_TORCH: Final = """
import torch
hip, cuda = torch.version.hip, torch.version.cuda
names = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
print(f"torch {torch.__version__}, {f'ROCm {hip}' if hip else f'CUDA {cuda}' if cuda else 'CPU only'}: {names}")
"""


def packages() -> Iterator[Finding]:
    """Python and the packages that the project needs, each in the range that it declares."""
    here = ".".join(map(str, sys.version_info[:3]))
    needed = SpecifierSet(metadata(PROJECT)["Requires-Python"])
    if here in needed:
        yield good("python", here)
    else:
        yield bad("python", f"{here}, needed is {needed}", "make the environment anew with another Python")
    unfit = list(wrong(requires(PROJECT) or []))
    for name, words in unfit:
        why = f": {_WHY[name]}" if name in _WHY else ""
        yield bad("package", words + why, "pip install --constraint constraints.txt --editable .")
    if not unfit:
        shown = ("prefect", "sqlalchemy", "polars", "pyarrow", "pillow", "numba")
        yield good("packages", ", ".join(f"{name} {_version(name)}" for name in shown))


def wrong(declared: list[str]) -> Iterator[tuple[str, str]]:
    """Packages outside of what is declared, with what is wrong; extras are left out."""
    for each in map(Requirement, declared):
        if each.marker and not each.marker.evaluate({"extra": ""}):
            continue
        found = _version(each.name)
        if found is None:
            yield each.name, f"{each.name} is not installed, needed is {each.specifier or 'any'}"
        elif not each.specifier.contains(found, prereleases=True):
            yield each.name, f"{each.name} {found}, needed is {each.specifier}"


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def resources(settings: Execution) -> Iterator[Finding]:
    """Cores, and 80 % of the memory, against what workers are told to use; other machines are not looked at."""
    here = cores()
    memory = memory_share(1)
    if settings.kind != "local":
        yield good("resources", f"{here} cores, {memory / _GB:.1f} GB here; work is done elsewhere")
        return
    workers = settings.workers or here
    words = f"{workers} workers on {here} cores"
    if workers > here:
        yield doubtful("cores", words, f"use --workers {here}")
    else:
        yield good("cores", words)
    each = settings.memory or memory_share(workers)
    words = f"{workers} workers may hold {each / _GB:.1f} GB each, for all there are {memory / _GB:.1f} GB"
    if workers * max(each, LEAST) > memory:
        yield doubtful("memory", words, "use fewer --workers, or a lower `memory_gb` of at least 1")
    else:
        yield good("memory", words)


def accelerators(*, torch: bool) -> Iterator[Finding]:
    """Accelerators as the drivers show them, ROCm first; with `torch` what it sees, in a process of its own."""
    amd, nvidia = _amd(), _nvidia()
    if amd and not os.access("/dev/kfd", os.R_OK | os.W_OK):
        yield doubtful("accelerator", f"ROCm: {amd}, but /dev/kfd is closed", "add the user to groups render and video")
    elif amd or nvidia:
        yield good("accelerator", f"ROCm: {amd}" if amd else f"CUDA: {nvidia}")
    else:
        yield good("accelerator", "none: CPU; a judge of `vllm` would be slow, one of `http` asks elsewhere")
    if torch:
        yield _torch()


def _amd() -> str:
    """Names of AMD's accelerators, by the driver's own list; a node without vector units is a processor."""
    found = []
    for node in sorted(_NODES.glob("*/properties")):
        lines = (line.split() for line in node.read_text().splitlines())
        fields = {words[0]: words[1] for words in lines if len(words) > 1}
        if int(fields.get("simd_count", "0")):
            found.append(f"gfx{fields.get('gfx_target_version', '?')}")
    return ", ".join(found)


def _nvidia() -> str:
    found = []
    for file in sorted(_NVIDIA.glob("*/information")):
        lines = dict(line.split(":", 1) for line in file.read_text().splitlines() if ":" in line)
        found.append(lines.get("Model", "unknown").strip())
    return ", ".join(found)


def _torch() -> Finding:
    done = subprocess.run([sys.executable, "-c", _TORCH], capture_output=True, text=True, check=False)
    if done.returncode:
        words = (done.stderr.strip() or "no words").splitlines()[-1]
        return doubtful("torch", words, "install torch where a judge of `vllm` runs; nothing else needs it")
    return good("torch", done.stdout.strip())
