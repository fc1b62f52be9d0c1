"""Make filters/data/language.npz: the n-grams of py3langid's model that part languages of one script, in eight bits.

pip install py3langid==0.4.0     # in an environment of its own
python -m benchmarks.language_model filters/data/language.npz
"""

import sys
from collections import deque
from pathlib import Path

import numpy as np
import numpy.typing as npt

SCRIPTS = {
    "latin": "af az ca cs cy da de en es et eu fi fr ga gl hr hu id is it la lt lv nl no pl pt ro sk sl sq sv sw tl tr "
    "uz vi",
    "cyrillic": "be bg kk mk mn ru sr uk",
    "arabic": "ar fa ur",
    "devanagari": "hi ne",
}
"""Languages told apart by n-grams; of every other script one language is taken for granted."""
KEPT = {"latin": 6000, "cyrillic": 1000, "arabic": 400, "devanagari": 400}
RANGES = {"latin": (0x41, 0x250), "cyrillic": (0x400, 0x530), "arabic": (0x600, 0x700), "devanagari": (0x900, 0x980)}
VIETNAMESE = (0x1E00, 0x1F00)
SCALE = 16
"""Units of a weight per natural logarithm."""


def grams(identifier: object) -> dict[str, int]:
    """N-grams of lower-case letters of one script, and spaces, with their rows in the model."""
    moves, rows, found = (np.asarray(getattr(identifier, name)) for name in ("tk_nextmove", "tk_row", "tk_output"))
    text: dict[int, bytes] = {0: b""}
    queue = deque([0])
    while queue:
        state = queue.popleft()
        base = int(rows[state]) * 256
        for byte, after in enumerate(moves[base : base + 256].tolist()):
            if after not in text:
                text[after] = text[state] + bytes([byte])
                queue.append(after)
    named: dict[str, int] = {}
    for state, content in sorted(text.items()):
        try:
            gram = content.decode()
        except UnicodeDecodeError:
            continue
        if found[state] >= 0 and script(gram) and gram == gram.lower():
            named.setdefault(gram, int(found[state]))
    return named


def script(gram: str) -> str | None:
    """The one script of an n-gram of two characters and more, all letters or spaces."""
    letters = gram.replace(" ", "")
    for name, (low, high) in RANGES.items():
        inside = [
            low <= ord(char) < high or (name == "latin" and VIETNAMESE[0] <= ord(char) < VIETNAMESE[1])
            for char in letters
        ]
        if letters and len(gram) > 1 and all(inside) and (name != "latin" or letters.isalpha()):
            return name
    return None


def tables() -> dict[str, npt.NDArray[np.generic]]:
    """Arrays `SCRIPT_grams` (g,) and `SCRIPT_weights` (g, languages) int8, and `SCRIPT_languages`."""
    from py3langid.langid import _load_identifier

    identifier = _load_identifier()
    classes = list(identifier.nb_classes)
    logs = np.asarray(identifier.nb_ptc, dtype=np.float64)
    named = grams(identifier)
    made: dict[str, npt.NDArray[np.generic]] = {}
    for name, languages in SCRIPTS.items():
        own = sorted(gram for gram in named if script(gram) == name)
        weights = logs[[named[gram] for gram in own]][:, [classes.index(code) for code in languages.split()]]
        chance = np.exp(weights)
        told = (chance * (weights - np.log(chance.mean(axis=1, keepdims=True)))).max(axis=1)
        best = np.sort(np.argsort(-told, kind="stable")[: KEPT[name]])
        centred = weights[best] - weights[best].mean(axis=1, keepdims=True)
        made[f"{name}_grams"] = np.array([own[index] for index in best])
        made[f"{name}_weights"] = np.clip(np.round(centred * SCALE), -127, 127).astype(np.int8)
        made[f"{name}_languages"] = np.array(languages.split())
    return made


if __name__ == "__main__":
    np.savez_compressed(Path(sys.argv[1]), **tables())
