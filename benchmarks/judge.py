"""What a grade costs by the shape of the question: `.venv-judge/bin/python -m benchmarks.judge`.

One engine in this process and one tiny model, so the engine's own work is what is compared, not a model's: CPU ratios
show the shape of a gain on an accelerator, not its size. Each number is the best of three rounds of fresh samples.
"""

import argparse
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SETTINGS = {
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
}
SIZES = ((256, 128), (1024, 128), (1024, 512), (256, 1024))
TAIL = 32
JSON_TOKENS = 80
DIGITS = "0123456789"
ROUNDS = 3


def main() -> None:
    """Print one table row for each size and shape."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--rows", type=int, default=128)
    parser.add_argument("--single-rows", type=int, default=8, help="rows of the shape that asks one at a time")
    arguments = parser.parse_args()
    os.environ.update(SETTINGS)
    engine = start()
    rng = random.Random(0)
    words = range(20, len(engine.get_tokenizer()))
    print("| rubric x sample | shape | samples/s | relative time | tokens computed per sample |\n|" + " --- |" * 5)
    for rubric, sample in SIZES:
        fixed = rng.choices(words, k=rubric)
        ours = 0.0
        for name, (parameters, salted, single) in shapes(engine).items():

            def prompts(count: int, fixed: list[int] = fixed, length: int = sample, salted: bool = salted) -> list[Any]:
                made = [{"prompt_token_ids": fixed + rng.choices(words, k=length + TAIL)} for _ in range(count)]
                # a salt of its own keeps a prompt from every other's cached blocks
                return [each | ({"cache_salt": str(rng.random())} if salted else {}) for each in made]

            engine.generate(prompts(2), parameters, use_tqdm=False)
            rows, batch = (arguments.single_rows, 1) if single else (arguments.rows, arguments.rows)
            rate, computed = measure(engine, prompts, parameters, rows, batch)
            ours = ours or rate
            print(f"| {rubric} x {sample} | {name} | {rate:.1f} | {ours / rate:.1f} | {computed:.0f} |", flush=True)


def start() -> Any:
    """The engine, with blocks of 32 tokens, for which the rubrics are whole blocks."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from tiny_model import make_model
    from vllm import LLM

    with tempfile.TemporaryDirectory() as folder:
        return LLM(
            str(make_model(Path(folder), "what is in the picture")),
            dtype="float32",
            enforce_eager=True,
            max_model_len=4096,
            gpu_memory_utilization=0.05,
            kv_cache_memory_bytes=1 << 27,
            block_size=32,
        )


def shapes(engine: Any) -> dict[str, tuple[Any, bool, bool]]:
    """Name -> sampling parameters, whether nothing is cached, and whether rows are asked one at a time."""
    from vllm import SamplingParams

    letters, digits = (engine.get_tokenizer().convert_tokens_to_ids(list(text)) for text in ("ABCDEFGHIJK", DIGITS))
    one = SamplingParams(temperature=0.0, max_tokens=1, allowed_token_ids=letters, logprob_token_ids=letters)
    two = SamplingParams(temperature=0.0, max_tokens=2, allowed_token_ids=digits, ignore_eos=True)
    prose = SamplingParams(temperature=0.0, max_tokens=JSON_TOKENS, ignore_eos=True)
    return {
        "ours: one letter, rubric cached": (one, False, False),
        "one letter, no prefix cache": (one, True, False),
        "digits 0-10, two tokens": (two, False, False),
        f"{JSON_TOKENS} tokens of JSON, batched": (prose, False, False),
        f"{JSON_TOKENS} tokens of JSON, one call a row": (prose, False, True),
    }


def measure(
    engine: Any, prompts: Callable[[int], list[Any]], parameters: Any, rows: int, batch: int
) -> tuple[float, float]:
    """Samples per second of the fastest round, and tokens per sample: prompt without what was cached, and answer."""
    fastest, computed = 0.0, 0
    for _ in range(ROUNDS):
        asked = prompts(rows)
        started = time.perf_counter()
        outputs = [
            output
            for start in range(0, rows, batch)
            for output in engine.generate(asked[start : start + batch], parameters, use_tqdm=False)
        ]
        fastest = max(fastest, rows / (time.perf_counter() - started))
        computed = sum(
            len(output.prompt_token_ids) - (output.num_cached_tokens or 0) + len(output.outputs[0].token_ids)
            for output in outputs
        )
    return fastest, computed / rows


if __name__ == "__main__":
    main()
