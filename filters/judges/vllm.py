"""A language model in this process, run by vLLM; its builds for ROCm, CUDA and CPU have the same interface."""

import atexit
import gc
import logging
import os
import threading
import time
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from filters.judges.base import Reply, Request
from filters.judges.layout import LAYOUT, Layout, Prompt, load_layout, read_answer
from filters.judges.model import model_sha256
from shards.errors import UsageError
from shards.files import fingerprint

_Engine = Any  # `vllm.LLM`, which carries no types

_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class VllmJudge:
    """Asks for one token and reads the probabilities of the eleven labels from it.

    The engine starts on the first call. A process holds one: a judge with other settings closes the one before. Calls
    from several threads wait for each other.

    Attributes:
        model: folder with weights, config.json, tokenizer.json and a chat template.
        dtype: as vLLM names it; `auto` is what the model was published in.
        quantization: as vLLM names it; None reads it from the model.
        max_model_len: tokens of a prompt; longer samples are cut.
        gpu_memory_utilization: share 0..1 of the accelerator's memory; of the machine's memory in a CPU build.
        kv_cache_memory_bytes: memory for the cache, in bytes, instead of what is left of that share.
        tensor_parallel: accelerators that share one model; 1 unless it does not fit, for replicas are faster.
        enforce_eager: start without compiling: seconds instead of a minute, for tests and probes.
        block_size: tokens of a cache block; None leaves it to the engine. A rubric is cached in whole blocks.
        chunk: prompts handed over at once; a dying engine loses the answers to these.
        rebuilds: how often a process starts an engine anew after one died.
    """

    model: str
    dtype: str = "auto"
    quantization: str | None = None
    max_model_len: int = 8192
    gpu_memory_utilization: float = 0.9
    kv_cache_memory_bytes: int | None = None
    tensor_parallel: int = 1
    enforce_eager: bool = False
    block_size: int | None = None
    chunk: int = 1024
    rebuilds: int = 2

    @property
    def judge_id(self) -> str:
        """Name of the model's folder and a hash of weights, tokenizer, template, layout, dtype and lengths."""
        made_of = (model_sha256(self.model), LAYOUT, self.dtype, self.quantization, self.max_model_len)
        return f"vllm-{Path(self.model).name}-{fingerprint('vllm', *made_of)[:16]}"

    def __call__(self, requests: list[Request]) -> list[Reply]:
        """One reply for each request, same order; the requests of one rubric should stand together.

        Raises:
            UsageError: the model's folder, the rubric or the engine's settings are wrong, or vLLM is not installed.
        """
        layout = load_layout(self.model, self.max_model_len)
        replies = [Reply("empty", None, 0.0, False)] * len(requests)
        prompts = [(place, made) for place, each in enumerate(requests) if (made := layout.prompt(each)) is not None]
        for start in range(0, len(prompts), self.chunk):
            places, chunk = zip(*prompts[start : start + self.chunk], strict=True)
            for place, reply in zip(places, self._ask(layout, list(chunk)), strict=True):
                replies[place] = reply
        return replies

    def _ask(self, layout: Layout, prompts: list[Prompt]) -> Iterator[Reply]:
        holder = _holder()
        with holder.lock:
            rows = holder.generate(self, layout, prompts)
        if rows is None:
            return (Reply("engine_error", None, 0.0, prompt.cut) for prompt in prompts)
        return (read_answer(row, prompt.cut) for row, prompt in zip(rows, prompts, strict=True))

    def settings(self) -> dict[str, object]:
        """What the engine is started with, by vLLM's names."""
        given = {"kv_cache_memory_bytes": self.kv_cache_memory_bytes, "block_size": self.block_size}
        return {
            "model": self.model,
            "dtype": self.dtype,
            "quantization": self.quantization,
            "max_model_len": self.max_model_len,
            "gpu_memory_utilization": self.gpu_memory_utilization,
            "tensor_parallel_size": self.tensor_parallel,
            "enforce_eager": self.enforce_eager,
            "enable_prefix_caching": True,
            **{name: value for name, value in given.items() if value is not None},
        }


_WATCH_S: Final = 0.5


class _Holder:
    """The engine of a process; `lock` is held around every use, for vLLM's own is not safe in threads."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._settings: dict[str, object] = {}
        self._engine: _Engine = None
        self._deaths = 0

    def generate(self, judge: VllmJudge, layout: Layout, prompts: list[Prompt]) -> list[list[float]] | None:
        """Log-probabilities of the labels, (n, 11); None where the engine died or does not start again."""
        if judge.settings() != self._settings:
            self.close()
            self._settings, self._deaths = judge.settings(), 0
        if self._deaths > judge.rebuilds:
            return None
        try:
            if self._engine is None:
                self._engine = _start(judge)
            return _read(self._engine, layout, prompts)
        except UsageError:
            if self._deaths == 0:
                raise
            self._deaths += 1
        except _dead() as error:
            self._deaths += 1
            _LOG.warning("judge `%s`: engine died (%d of %d): %s", judge.model, self._deaths, judge.rebuilds + 1, error)
            self.close()
        return None

    def close(self) -> None:
        """Stop the engine and free what it holds; nothing where there is none."""
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.llm_engine.engine_core.shutdown()
            del engine
            gc.collect()  # engines hold themselves in cycles, and with them the accelerator's memory


# One holder per process id: a forked child finds none of its own and leaves its parent's engine alone.
_HOLDERS: Final[dict[int, _Holder]] = {}


def _holder() -> _Holder:
    return _HOLDERS.setdefault(os.getpid(), _Holder())


def close_engine() -> None:
    """Stop this process's engine, if there is one; the next call of a judge starts another."""
    holder = _holder()
    with holder.lock:
        holder.close()


def _start(judge: VllmJudge) -> _Engine:
    try:
        from vllm import LLM
    except ImportError as error:
        raise UsageError(
            "judge `vllm` needs the package `vllm`, in the build for your accelerator; see docs/deploy-judge.md"
        ) from error
    try:
        engine = LLM(**judge.settings())
    except (RuntimeError, ValueError, OSError) as error:
        raise UsageError(f"judge `{judge.model}`: the engine does not start: {error}") from error
    atexit.unregister(close_engine)
    atexit.register(close_engine)
    if hasattr(engine.llm_engine.engine_core, "resources"):
        watched = weakref.ref(engine.llm_engine.engine_core)
        threading.Thread(target=_watch, args=(watched,), name="judge engine watch", daemon=True).start()
    return engine


def _watch(watched: "weakref.ref[Any]") -> None:
    """Wake a caller whose engine process was killed: vLLM 0.32 notices, and lets `generate` wait for ever."""
    from vllm.v1.engine.exceptions import EngineDeadError

    while (core := watched()) is not None:
        if core.resources.engine_dead:
            core.outputs_queue.put(EngineDeadError())
            return
        del core
        time.sleep(_WATCH_S)


def _dead() -> type[Exception]:
    try:
        from vllm.v1.engine.exceptions import EngineDeadError
    except ImportError:
        return UsageError  # without vLLM no engine starts, so none dies
    died: type[Exception] = EngineDeadError
    return died


def _read(engine: _Engine, layout: Layout, prompts: list[Prompt]) -> list[list[float]]:
    from vllm import SamplingParams, TokensPrompt

    labels = list(layout.labels)
    # `logprob_token_ids` are read before `allowed_token_ids` masks the rest: their sum tells whether the model meant to
    # answer at all. `logprobs=11` would give the likeliest of the whole vocabulary instead.
    asked = SamplingParams(temperature=0.0, max_tokens=1, allowed_token_ids=labels, logprob_token_ids=labels)
    outputs = engine.generate([TokensPrompt(prompt_token_ids=each.ids) for each in prompts], asked, use_tqdm=False)
    steps = [output.outputs[0].logprobs[0] for output in outputs]
    return [[step[label].logprob for label in labels] for step in steps]
