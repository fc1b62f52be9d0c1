"""A language model in this process, run by vLLM; its builds for ROCm, CUDA and CPU have the same interface."""

import atexit
import gc
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple, TypeVar

from pydantic import Field

from filters.judges.base import Reply, Request
from filters.judges.blocks import ALIGN
from filters.judges.layout import LAYOUT, Layout, Prompt, load_layout, read_answer
from filters.judges.likelihood import Conversation, Likelihood, Told, conversation, weighed
from filters.judges.model import model_sha256
from filters.judges.usage import note
from filters.judges.vision import Sight, blank_picture, picture_prompt, shown
from shards.errors import UsageError
from shards.files import fingerprint

if TYPE_CHECKING:
    from PIL import Image

_Engine = Any  # `vllm.LLM`, which carries no types
_Output = Any  # `vllm.RequestOutput`
_Item = TypeVar("_Item")

_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class VllmJudge:
    """Asks for one token and reads the probabilities of the eleven labels from it.

    With `max_images` it sees the pictures of samples, if the model does; those of `chunk` requests are decoded at once.
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
        align: tokens of the engine's cache block, which the rubric is filled up to; 128 for vLLM's CPU build.
        chunk: prompts handed over at once; a dying engine loses the answers to these.
        rebuilds: how often a process starts an engine anew after one died.
        replicas: processes of a build, each with an engine and `tensor_parallel` accelerators of its own; see
            flows/judge_pool.py.
        max_images: pictures of a sample that the model is shown; 0 makes a judge of text.
        max_side_px: pixels of the longer side of a picture; larger ones are shrunk.
        image_tokens: tokens of `max_model_len` kept free for each picture; the engine is asked, when it starts, whether
            a square picture of that size takes more.
        image_placeholder: what marks a picture, for models whose chat template does not.
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
    align: Annotated[int, Field(ge=1)] = ALIGN
    chunk: int = 1024
    rebuilds: int = 2
    replicas: Annotated[int, Field(ge=1)] = 1
    max_images: Annotated[int, Field(ge=0)] = 0
    max_side_px: Annotated[int, Field(ge=28)] = 1024
    image_tokens: Annotated[int, Field(ge=1)] = 1536
    image_placeholder: str = ""

    @property
    def judge_id(self) -> str:
        """Name of the model's folder and a hash of weights, tokenizer, template, layout, dtype and lengths."""
        made_of = (model_sha256(self.model), LAYOUT, self.dtype, self.quantization, self.max_model_len, self.align)
        return f"vllm-{Path(self.model).name}-{fingerprint('vllm', *made_of)[:16]}"

    @property
    def sees(self) -> str:
        """See `Seer`."""
        return self.sight.name

    @property
    def foretells(self) -> bool:
        """See `Seer`."""
        return self.max_images > 0

    @property
    def sight(self) -> Sight:
        """What the model is shown of pictures."""
        return Sight(self.max_images, self.max_side_px, self.image_tokens, self.image_placeholder)

    def __call__(self, requests: list[Request]) -> list[Reply]:
        """One reply for each request, same order; the requests of one rubric should stand together.

        Raises:
            UsageError: the model's folder, the rubric or the engine's settings are wrong, vLLM is not installed, or a
                request has pictures and the judge sees none.
        """
        layout = load_layout(self.model, self.max_model_len, self.align)
        replies = [Reply("empty", None, 0.0, False)] * len(requests)
        prompts = [(place, made) for place, each in enumerate(requests) if (made := self._prompt(layout, each))]
        for chunk in _chunks(prompts, self.chunk):
            asks = [_Ask.of(made.ids, made.images, self.sight) for _, made in chunk]
            rows = self._run(asks, lambda engine, good: _grades(engine, layout, good))
            for (place, made), row in zip(chunk, rows, strict=True):
                replies[place] = (
                    Reply("engine_error", None, 0.0, made.cut) if row is None else read_answer(row, made.cut)
                )
        return replies

    def _prompt(self, layout: Layout, request: Request) -> Prompt | None:
        if request.images and self.max_images:
            return picture_prompt(layout, self.sight, request)
        return layout.prompt(request)

    def likelihoods(self, requests: list[Request]) -> list[Likelihood]:
        """See `Seer`. Nothing is read from the prefix cache, for what is cached has no probabilities.

        Raises:
            UsageError: as for a call, or the template does not keep the turns of a conversation.
        """
        layout = load_layout(self.model, self.max_model_len, self.align)
        made = [conversation(layout, self.sight, request) for request in requests]
        found = [each if isinstance(each, Likelihood) else Likelihood("engine_error", cut=each.cut) for each in made]
        talks = [(place, each) for place, each in enumerate(made) if isinstance(each, Conversation)]
        for chunk in _chunks(talks, max(1, self.chunk // 2)):
            asks = [_Ask.of(each.seen, each.images, self.sight, each.answers) for _, each in chunk]
            asks += [_Ask(each.blind, [], each.answers) for _, each in chunk]
            told = self._run(asks, _foretold)
            for (place, each), seen, blind in zip(chunk, told, told[len(chunk) :], strict=False):
                found[place] = weighed(each, seen, blind)
        return found

    def _run(
        self, asks: "list[_Ask | None]", work: "Callable[[_Engine, list[_Ask]], list[_Item | None]]"
    ) -> list[_Item | None]:
        """What the engine says of each; None where a picture does not decode, or the engine died or refuses it."""
        good = [each for each in asks if each is not None]
        holder = _holder()
        with holder.lock:
            rows = holder.run(self, lambda engine: work(engine, good)) if good else []
        left = iter(rows or [None] * len(good))
        return [each if each is None else next(left) for each in asks]

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
            **(self._sight_settings() if self.max_images else {}),
            **{name: value for name, value in given.items() if value is not None},
        }

    def _sight_settings(self) -> dict[str, object]:
        # each picture is asked about once: the cache would fill 4 GiB for nothing
        return {"limit_mm_per_prompt": {"image": self.max_images}, "mm_processor_cache_gb": 0}


class _Ask(NamedTuple):
    """Token ids with a mark for each picture; `answers`: places of tokens, see `Conversation`."""

    ids: list[int]
    images: "list[Image.Image]"
    answers: list[int]

    @classmethod
    def of(cls, ids: list[int], images: tuple[bytes, ...], sight: Sight, answers: Sequence[int] = ()) -> "_Ask | None":
        """None where a picture does not decode."""
        pictures = shown(images, sight)
        return None if pictures is None else cls(ids, pictures, list(answers))


def _chunks(items: Sequence[_Item], size: int) -> Iterable[Sequence[_Item]]:
    return (items[start : start + size] for start in range(0, len(items), size))


_WATCH_S: Final = 0.5


class _Holder:
    """The engine of a process; `lock` is held around every use, for vLLM's own is not safe in threads."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._settings: dict[str, object] = {}
        self._engine: _Engine = None
        self._deaths = 0

    def run(self, judge: VllmJudge, work: Callable[[_Engine], list[_Item]]) -> list[_Item] | None:
        """What a piece of work gives on the engine; None where that died or does not start again."""
        settings = {**judge.settings(), "sight": judge.sight}
        if settings != self._settings:
            self.close()
            self._settings, self._deaths = settings, 0
        if self._deaths > judge.rebuilds:
            return None
        try:
            if self._engine is None:
                self._engine = _start(judge)
            return work(self._engine)
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
    if judge.max_images:
        _check_budget(engine, judge)
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


def _check_budget(engine: _Engine, judge: VllmJudge) -> None:
    """Stop before any work where a picture takes more tokens than are kept free for it.

    Raises:
        UsageError: it does, or the engine takes no pictures.
    """
    from vllm import SamplingParams

    layout = load_layout(judge.model, judge.max_model_len, judge.align)
    probe = Request("correspondence", "=== user ===\na", (blank_picture(judge.max_side_px),))
    prompt = picture_prompt(layout, judge.sight, probe)
    assert prompt, "the probe has text"
    ask = _Ask.of(prompt.ids, prompt.images, judge.sight)
    assert ask, "the probe decodes"
    (output,) = _outputs(engine, [ask], SamplingParams(temperature=0.0, max_tokens=1))
    if output is None:
        raise UsageError(f"judge `{judge.model}` takes no pictures; say `max_images: 0`, or see the log")
    taken = len(output.prompt_token_ids) - len(prompt.ids)
    if taken > judge.image_tokens:
        raise UsageError(
            f"judge `{judge.model}`: a picture of {judge.max_side_px} x {judge.max_side_px} pixels takes {taken} "
            f"tokens, `image_tokens` keeps {judge.image_tokens} free; raise it or lower `max_side_px`"
        )


def _outputs(engine: _Engine, asks: Sequence[_Ask], asked: object) -> list[_Output | None]:
    """What the engine says of each prompt; None for one with pictures that it refuses: the others still count."""
    from vllm import TokensPrompt

    # a loop over prompts: each is a Python object
    prompts = [
        TokensPrompt(prompt_token_ids=each.ids, **({"multi_modal_data": {"image": each.images}} if each.images else {}))
        for each in asks
    ]
    try:
        return list(engine.generate(prompts, asked, use_tqdm=False))
    except _dead():
        raise
    except Exception as error:  # the processors of models raise what they like at pictures that they do not
        if not any(each.images for each in asks):
            raise
        if len(asks) == 1:
            _LOG.warning("judge: refused a prompt with pictures: %.300s", error)
            return [None]
    half = len(asks) // 2
    return _outputs(engine, asks[:half], asked) + _outputs(engine, asks[half:], asked)


def _grades(engine: _Engine, layout: Layout, asks: list[_Ask]) -> list[list[float] | None]:
    """Log-probabilities of the labels, (n, 11)."""
    from vllm import SamplingParams

    labels = list(layout.labels)
    # `logprob_token_ids` are read before `allowed_token_ids` masks the rest: their sum tells whether the model meant to
    # answer at all. `logprobs=11` would give the likeliest of the whole vocabulary instead.
    asked = SamplingParams(temperature=0.0, max_tokens=1, allowed_token_ids=labels, logprob_token_ids=labels)
    outputs = _outputs(engine, asks, asked)
    for each in filter(None, outputs):
        note(len(each.prompt_token_ids), each.num_cached_tokens)
    return [each and [each.outputs[0].logprobs[0][label].logprob for label in labels] for each in outputs]


def _foretold(engine: _Engine, asks: list[_Ask]) -> list[list[Told] | None]:
    """What the engine says of the answers' tokens."""
    from vllm import SamplingParams

    asked = SamplingParams(temperature=0.0, max_tokens=1, prompt_logprobs=0, skip_reading_prefix_cache=True)
    outputs = _outputs(engine, asks, asked)
    return [output and _told(output, each) for output, each in zip(outputs, asks, strict=True)]


def _told(output: _Output, ask: _Ask) -> list[Told]:
    steps = [(output.prompt_logprobs[-place], ask.ids[-place]) for place in ask.answers]
    return [Told(step[token].logprob, step[token].rank) for step, token in steps]
