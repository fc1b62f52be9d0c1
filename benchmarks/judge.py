"""What a grade costs by the shape of the question: `.venv-judge/bin/python -m benchmarks.judge [--model small]`.

One engine in this process and a model made on the spot: `tiny` (0.2 million weights), where the engine's own work is
what is compared, or `small` (5 million), where the model's is. CPU ratios show the shape of a gain on an accelerator,
not its size. Shapes take turns, round after round of fresh samples, and the least time of each counts: CPU time of the
process with all its threads, which other work on the machine disturbs little, and wall time beside it.
"""

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SETTINGS = {
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
}
SIZES = "256x128,1024x128,1024x512,256x1024"
BLOCK = 32
JSON_TOKENS = 80
DIGITS = "0123456789"
MAX_LEN = 4096


@dataclass(frozen=True)
class Shape:
    """How a grade is asked for: sampling parameters, whether nothing may be cached, and rows of one call."""

    name: str
    parameters: Any
    salted: bool = False
    single: bool = False


@dataclass
class Best:
    """The least time of a shape, per sample and in seconds, and its tokens per sample."""

    cpu: float = float("inf")
    wall: float = float("inf")
    computed: float = 0.0
    written: float = 0.0


def main() -> None:
    """Print one table row for each size and shape."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--model", choices=("tiny", "small"), default="tiny")
    parser.add_argument("--sizes", default=SIZES, help="tokens of rubric x sample")
    parser.add_argument("--rows", type=int, default=128)
    parser.add_argument("--single-rows", type=int, default=4, help="rows of the shape that asks one at a time")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    os.environ.update(SETTINGS)
    with tempfile.TemporaryDirectory() as folder:
        engine, layout = start(Path(folder), arguments.model)
        print(
            "| rubric x sample | shape | CPU ms | wall ms | samples/s | time | computed | written |\n|" + " --- |" * 8
        )
        for size in arguments.sizes.split(","):
            rubric, sample = map(int, size.split("x"))
            found = compare(engine, layout, rubric, sample, arguments)
            ours = next(iter(found.values())).cpu
            for name, best in found.items():
                times = f"{1e3 * best.cpu:.2f} | {1e3 * best.wall:.2f} | {1 / best.cpu:.1f} | {best.cpu / ours:.1f}"
                tokens = f"{best.computed:.0f} | {best.written:.0f}"
                print(f"| {rubric} x {sample} | {name} | {times} | {tokens} |", flush=True)


def compare(engine: Any, layout: Any, rubric: int, sample: int, arguments: argparse.Namespace) -> dict[str, Best]:
    """Times of every shape, in turns; every shape is asked with the prompts of the project's own layout."""
    frame = frame_of(layout, rubric)
    rng = random.Random(0)
    found = {shape.name: Best() for shape in shapes(layout)}
    for turn in range(arguments.rounds + 1):
        for shape in shapes(layout):
            rows = arguments.single_rows if shape.single else arguments.rows
            asked = list(prompts(layout, frame, sample, rows, rng, salted=shape.salted))
            calls = [[each] for each in asked] if shape.single else [asked]
            cpu, wall = time.process_time(), time.perf_counter()
            outputs = [done for call in calls for done in engine.generate(call, shape.parameters, use_tqdm=False)]
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            if turn == 0:  # the first is for the engine to warm up, and for the rubric to be cached
                continue
            best = found[shape.name]
            best.cpu, best.wall = min(best.cpu, cpu / rows), min(best.wall, wall / rows)
            best.computed = sum(len(each.prompt_token_ids) - (each.num_cached_tokens or 0) for each in outputs) / rows
            best.written = sum(len(each.outputs[0].token_ids) for each in outputs) / rows
    return found


def shapes(layout: Any) -> tuple[Shape, ...]:
    """What is compared; the first is the project's own."""
    from vllm import SamplingParams

    letters = list(layout.labels)
    digits = [layout.ours.token_to_id(digit) for digit in DIGITS]
    one = SamplingParams(temperature=0.0, max_tokens=1, allowed_token_ids=letters, logprob_token_ids=letters)
    two = SamplingParams(temperature=0.0, max_tokens=2, allowed_token_ids=digits, ignore_eos=True)
    prose = SamplingParams(temperature=0.0, max_tokens=JSON_TOKENS, ignore_eos=True)
    return (
        Shape("ours: one letter, rubric cached", one),
        Shape("one letter, nothing cached", one, salted=True),
        Shape("0 to 10 in digits: two tokens", two),
        Shape(f"JSON of {JSON_TOKENS} tokens, batched", prose),
        Shape(f"JSON of {JSON_TOKENS} tokens, one call a row", prose, single=True),
    )


def frame_of(layout: Any, tokens: int) -> Any:
    """What stands around samples for a rubric of so many tokens: the project's prompts, joined and cut."""
    from filters.judges.blocks import filled, header_tokens, shared_tokens
    from filters.judges.layout import Frame, frame_text
    from filters.judges.prompt import load_prompt, prompt_ids

    joined = "\n".join(load_prompt(prompt_id).text for prompt_id in prompt_ids())
    rubric = layout.ours.decode(layout.control_ids(joined)[:tokens])

    def before(text: str) -> int:
        return len(layout.control_ids(frame_text(layout.files, text)[0]))

    header = header_tokens(layout.plain_ids)
    text = filled(rubric, before, header, BLOCK)
    around = [layout.control_ids(part) for part in frame_text(layout.files, text)]
    return Frame(*around, text, shared_tokens(len(around[0]), header, BLOCK))


def prompts(
    layout: Any, frame: Any, length: int, count: int, rng: random.Random, *, salted: bool
) -> Iterator[dict[str, Any]]:
    """Prompts about conversations of so many tokens, all different."""
    words = [word for word in layout.ours.get_vocab() if word.startswith("\u0120") and word[1:].isalpha()]
    for _ in range(count):
        question, answer = (
            "".join(rng.choices(sorted(words), k=length)).replace("\u0120", " ").strip() for _ in range(2)
        )
        head = layout.plain_ids(f"=== user ===\n{question}")[: length // 3]
        ids = (head + layout.plain_ids(f"\n=== assistant ===\n{answer}"))[:length]
        made: dict[str, Any] = {"prompt_token_ids": frame.before + ids + frame.after}
        # a salt of its own keeps a prompt from every other's cached blocks
        yield made | ({"cache_salt": str(rng.random())} if salted else {})


def start(folder: Path, model: str) -> tuple[Any, Any]:
    """The engine and the layout of its prompts."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from tiny_model import make_model
    from vllm import LLM

    from filters.judges.layout import load_layout
    from filters.judges.prompt import load_prompt, prompt_ids

    rubrics = "\n".join(load_prompt(prompt_id).text for prompt_id in prompt_ids())
    place = make_model(folder / "model", rubrics)
    if model == "small":
        enlarge(place)
    engine = LLM(
        str(place),
        dtype="float32",
        enforce_eager=True,
        max_model_len=MAX_LEN,
        gpu_memory_utilization=0.05,
        kv_cache_memory_bytes=1 << 29,
        block_size=BLOCK,
    )
    return engine, load_layout(str(place), MAX_LEN, BLOCK)


def enlarge(place: Path, *, width: int = 256, layers: int = 5, inner: int = 768) -> None:
    """Put random weights of another size in the place of a model's: 5.0 million with the tiny tokenizer."""
    import numpy as np
    from safetensors.numpy import save_file

    settings = json.loads((place / "config.json").read_text())
    sizes = {"hidden_size": width, "intermediate_size": inner, "num_hidden_layers": layers}
    heads = {"num_attention_heads": 8, "num_key_value_heads": 8, "head_dim": width // 8}
    settings |= sizes | heads
    (place / "config.json").write_text(json.dumps(settings))
    rng = np.random.default_rng(0)

    def weights(*shape: int) -> Any:
        return rng.normal(0, 0.05, shape).astype(np.float32)

    words, ones = settings["vocab_size"], np.ones(width, np.float32)
    made = {"model.embed_tokens.weight": weights(words, width), "lm_head.weight": weights(words, width)}
    made["model.norm.weight"] = ones
    for number in range(layers):
        layer = f"model.layers.{number}."
        made |= {f"{layer}self_attn.{each}_proj.weight": weights(width, width) for each in "qkvo"}
        made |= {f"{layer}mlp.{each}_proj.weight": weights(inner, width) for each in ("gate", "up")}
        made[f"{layer}mlp.down_proj.weight"] = weights(width, inner)
        made |= {f"{layer}{each}_layernorm.weight": ones for each in ("input", "post_attention")}
    save_file(made, place / "model.safetensors", metadata={"format": "pt"})


if __name__ == "__main__":
    main()
