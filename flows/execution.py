"""Where steps run: `local`, `ray`, `slurm`, or a .yaml file with the settings of one of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from flows.executor import LocalRunner, Runner, local_pool
from shards.complaint import complaint
from shards.errors import UsageError
from shards.store import Store

_GB: Final = 1e9


class _Written(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RaySettings(_Written):
    """A cluster: of one's own on this machine, or one that runs already."""

    address: str | None = None
    """`auto` for the one that this machine belongs to, or `host:port`; none starts one that ends with the run."""
    judge_gpus: Annotated[float, Field(ge=0)] | None = None
    """Accelerators of each replica of a `vllm` judge; 0.5 puts two on one. None means its `tensor_parallel`."""
    gpus: Annotated[int, Field(ge=0)] | None = None
    """Accelerators of a cluster that is started; none means what Ray finds."""
    folder: Path | None = None
    """Where a cluster that is started keeps its logs and sockets, a short absolute path; none means Ray's own."""


SbatchOption = Annotated[str, Field(pattern=r"^--?[a-zA-Z][^\n\r]*$")]
"""One option as it is written behind `#SBATCH`."""


class SlurmSettings(_Written):
    """Array jobs: a job of a step is one element."""

    lines: tuple[SbatchOption, ...] = ()
    """More options of `sbatch`, such as `--partition=cpu` or `--time=04:00:00`."""
    judge_lines: tuple[SbatchOption, ...] = ()
    """Options for the judge's own array besides, such as `--gpus-per-task=1`."""
    setup: tuple[str, ...] = ()
    """Shell commands before the work, such as `module load python` or `source /opt/vlmix/bin/activate`."""
    cores: Annotated[int, Field(ge=1)] = 1
    """Of each element."""
    at_once: Annotated[int, Field(ge=1)] = 64
    """Elements that run at a time."""


class Execution(_Written):
    """Where steps run, and with how much."""

    kind: Literal["local", "ray", "slurm"] = "local"
    workers: Annotated[int, Field(ge=1)] | None = None
    """Processes, or cores of a Ray cluster that is started; none means one for each core. Not for Slurm."""
    memory_gb: Annotated[float, Field(gt=0)] | None = None
    """GB (10^9 bytes) that a worker may hold. None: on this machine a share of 80 % of it, elsewhere no limit."""
    ray: RaySettings = RaySettings()
    slurm: SlurmSettings = SlurmSettings()

    @property
    def memory(self) -> int | None:
        """`memory_gb` in bytes."""
        return None if self.memory_gb is None else int(self.memory_gb * _GB)


def execution(name: str, *, workers: int | None = None) -> Execution:
    """Settings by kind or path of a .yaml file; a number of workers goes before the file's.

    Raises:
        UsageError: no such kind, or a file that cannot be read or has words that mean nothing.
    """
    written: object = {"kind": name}
    if name.endswith((".yaml", ".yml")):
        try:
            written = yaml.safe_load(Path(name).read_text())
        except (OSError, UnicodeError, yaml.YAMLError) as error:
            raise UsageError(f"executor `{name}`: {error}") from error
    try:
        read = Execution.model_validate(written)
    except ValidationError as error:
        raise UsageError(f"executor `{name}`: {complaint(error)}; say local, ray, slurm, or a .yaml file") from error
    return read if workers is None else read.model_copy(update={"workers": workers})


@contextmanager
def open_runner(settings: Execution, store: Store) -> Iterator[Runner]:
    """What maps steps as the settings say, as long as the block lasts.

    Raises:
        UsageError: what the kind needs is not there.
    """
    if settings.kind == "ray":
        from flows.ray_runner import ray_runner

        with ray_runner(store, settings.ray, settings.workers, settings.memory) as on_ray:
            yield on_ray
    elif settings.kind == "slurm":
        from flows.slurm import SlurmRunner

        yield SlurmRunner(store, settings.slurm, settings.memory)
    else:
        with local_pool(settings.workers, memory=settings.memory) as pool:
            yield LocalRunner(pool)
