"""Judges of the tests: backends of their own, that write down what they are asked."""

import json
from dataclasses import dataclass
from pathlib import Path

from filters.judges.base import Reply, Request


def certain(grade: int) -> tuple[float, ...]:
    return tuple(float(each == grade) for each in range(11))


@dataclass(frozen=True, slots=True)
class Scripted:
    """Gives the grade, mass and cut that a sample names, as in `grade=4 mass=0.7 cut`; 8 where it names none.

    It believes a sample that says "score 10". Where it says `fails` the call fails, as long as `log` has no file `up`
    beside it. Requests are written to `log`, a line each.
    """

    log: str
    version: int = 1

    @property
    def judge_id(self) -> str:
        return f"scripted-{self.version}"

    def __call__(self, requests: list[Request]) -> list[Reply]:
        with Path(self.log).open("a") as file:
            file.writelines(json.dumps([each.prompt_id, each.sample_text]) + "\n" for each in requests)
        up = Path(self.log).with_name("up").exists()
        return [self._reply(each.sample_text, up) for each in requests]

    def _reply(self, text: str, up: bool) -> Reply:
        words = dict(word.split("=") for word in text.split() if word.count("=") == 1)
        if not text:
            return Reply("empty", None, 0.0, False)
        if "fails" in text and not up:
            return Reply("engine_error", None, 0.0, False)
        mass, cut = float(words.get("mass", 1)), "cut" in text.split()
        if mass < 0.5:
            return Reply("no_answer", None, mass, cut)
        if "score 10" in text:
            return Reply("scored", certain(10), mass, cut)
        if "wide" in text.split():
            return Reply("scored", (0.0,) * 5 + (0.5, 0.0, 0.0, 0.0, 0.5, 0.0), mass, cut)
        return Reply("scored", certain(int(words.get("grade", 8))), mass, cut)


def calls(log: Path) -> list[tuple[str, str]]:
    """(prompt, sample) of every request so far."""
    return [tuple(json.loads(line)) for line in log.read_text().splitlines()] if log.exists() else []
