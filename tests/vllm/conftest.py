"""A real engine and a real server; these tests are collected in the environment that `environment.py` makes."""

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from tiny_model import make_model

from filters.judges.prompt import load_prompt, prompt_ids
from filters.judges.vllm import VllmJudge, close_engine

_found = importlib.util.find_spec("vllm")
# without vLLM this folder itself is found by that name, as a package without an origin
collect_ignore_glob = [] if _found is not None and _found.origin else ["test_*.py"]

ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
}
START_S = 300


@dataclass(frozen=True)
class Server:
    """A server in a process group of its own."""

    url: str
    process: subprocess.Popen[bytes]

    def answered(self) -> int:
        """Prompts that it has answered since it started, by its own count."""
        lines = httpx.get(f"{self.url}/metrics").text.splitlines()
        return int(sum(float(line.split()[-1]) for line in lines if line.startswith("vllm:request_success_total{")))

    def kill(self) -> None:
        """End it and its engine at once."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


Running = Callable[[], Server]
"""A server that works: the one that was started last, or another in its place where that was killed."""


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rubrics = "\n".join(load_prompt(prompt_id).text for prompt_id in prompt_ids())
    return make_model(tmp_path_factory.mktemp("model") / "tiny", rubrics)


@pytest.fixture(scope="session")
def judge(model: Path) -> Iterator[VllmJudge]:
    """The engine of this process; it shows what a production setting would hide: 32-token blocks, no compiling."""
    yield start_engine(model)
    close_engine()


def start_engine(model: Path, **more: int) -> VllmJudge:
    """A judge for this process; its engine starts with the first call."""
    os.environ.update(ENVIRONMENT)
    return VllmJudge(
        str(model),
        dtype="float32",
        max_model_len=4096,
        gpu_memory_utilization=0.05,
        kv_cache_memory_bytes=1 << 26,
        enforce_eager=True,
        block_size=32,
        **more,
    )


@pytest.fixture(scope="session")
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def running(model: Path, free_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """vLLM's server, always on the same port; starting it takes half a minute, so tests share it."""
    folder = tmp_path_factory.mktemp("server")
    started: list[Server] = []

    def start() -> Server:
        if not started or started[-1].process.poll() is not None:
            log = folder / f"{len(started)}.log"
            started.append(_start(model, free_port, log))
            _wait(started[-1], log)
        return started[-1]

    yield start
    for server in started:
        if server.process.poll() is None:
            server.kill()


@contextmanager
def server_of(model: Path, log: Path, *more: str) -> Iterator[Server]:
    """vLLM's server for another model, on a port of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    server = _start(model, port, log, *more)
    try:
        _wait(server, log)
        yield server
    finally:
        if server.process.poll() is None:
            server.kill()


def _start(model: Path, port: int, log: Path, *more: str) -> Server:
    entry = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--host", "127.0.0.1", "--port", str(port)]
    given = ["--model", str(model), "--served-model-name", "tiny", "--dtype", "float32", "--enforce-eager"]
    sizes = ["--max-model-len", "4096", "--gpu-memory-utilization", "0.05", "--kv-cache-memory-bytes", str(1 << 26)]
    variables = {**os.environ, **ENVIRONMENT, "VLLM_ENABLE_V1_MULTIPROCESSING": "1"}
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*entry, *given, *sizes, "--block-size", "32", *more],
            stdout=file,
            stderr=subprocess.STDOUT,
            env=variables,
            start_new_session=True,
        )
    return Server(f"http://127.0.0.1:{port}", process)


def _wait(server: Server, log: Path) -> None:
    for _ in range(10 * START_S):
        assert server.process.poll() is None, log.read_text()[-3000:]
        try:
            if httpx.get(f"{server.url}/health").is_success:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError(f"no answer after {START_S} s: {log.read_text()[-3000:]}")
