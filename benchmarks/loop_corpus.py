"""Texts that loop and texts that rightly repeat, made from seeds: shapes x lengths x kinds of text."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

Sentences = Callable[[Random], str]

_LATIN = "bcdfghlmnprstvw"
_VOWELS = "aeiou"
_ARABIC = "\u0627\u0628\u062a\u062c\u062d\u062f\u0631\u0633\u0634\u0639\u0641\u0642\u0643\u0644\u0645\u0646\u0648\u064a"
_KANA = "\u306f\u304c\u3092\u306b\u3067\u3068\u306e\u3082"
_SYMBOLS = (*"abcdkmnpxyz", r"\alpha", r"\beta", r"\gamma", r"\theta", r"\mu", r"\phi")
_FIRST_HAN, _NUM_HAN = 0x4E00, 2000
_VOCABULARY = 3000
# words come with the frequency 1 / rank, as in languages
_FREQUENCIES = list(itertools.accumulate(1 / rank for rank in range(1, _VOCABULARY + 1)))


def _latin_word(chooser: Random) -> str:
    return "".join(chooser.choice(_LATIN) + chooser.choice(_VOWELS) for _ in range(chooser.randint(1, 3)))


def _arabic_word(chooser: Random) -> str:
    return "".join(chooser.choice(_ARABIC) for _ in range(chooser.randint(2, 6)))


def _han_word(chooser: Random) -> str:
    return "".join(chr(_FIRST_HAN + chooser.randrange(_NUM_HAN)) for _ in range(chooser.randint(1, 2)))


def _kana_word(chooser: Random) -> str:
    return _han_word(chooser) + chooser.choice(_KANA)


def _prose(word: Sentences, space: str, comma: str, stop: str) -> Sentences:
    vocabulary = [word(Random(f"word {rank}")) for rank in range(_VOCABULARY)]

    def make(chooser: Random) -> str:
        words = chooser.choices(vocabulary, cum_weights=_FREQUENCIES, k=chooser.randint(8, 16))
        half = len(words) // 2
        return f"{space.join(words[:half])}{comma}{space}{space.join(words[half:])}{stop}"

    return make


def _code(chooser: Random) -> str:
    name, other = (f"{chooser.choice('abcdefgh')}{chooser.choice('xyzuvw')}_{chooser.randrange(90)}" for _ in range(2))
    return (
        f"def {name}({other}, limit={chooser.randrange(500)}):\n"
        f"    if {other}.{chooser.choice(('size', 'width', 'depth'))} > limit:\n"
        f"        return {chooser.choice(('None', 'limit', other))}\n"
        f"    return {other}.{chooser.choice(('load', 'save', 'open', 'scan'))}({chooser.randrange(100)})\n"
    )


def _term(chooser: Random) -> str:
    a, b = (chooser.choice(_SYMBOLS) for _ in range(2))
    return chooser.choice(
        (
            rf"\frac{{{a}^{{{chooser.randrange(20)}}}}}{{{b} + {chooser.randrange(40)}}}",
            rf"\sum_{{{a}=0}}^{{{b}}} {a}_{{{chooser.randrange(9)}}}",
            rf"\sqrt{{{a} - {b}^{chooser.randrange(9)}}}",
            rf"{a}_{{{b}{chooser.randrange(9)}}}",
            rf"\left( {a} \cdot {chooser.randrange(100)} \right)",
        )
    )


def _latex(chooser: Random) -> str:
    return " = ".join(" + ".join(_term(chooser) for _ in range(chooser.randint(1, 3))) for _ in range(2))


def _table_row(chooser: Random) -> str:
    name = "".join(chooser.choice("abcdefghiklmnoprstuvw") for _ in range(6)).title()
    return f"| {name} | {chooser.randrange(10**5)} | {chooser.random():.3f} | {chooser.choice(('yes', 'no'))} |"


def _json_row(chooser: Random) -> str:
    name = "".join(chooser.choice("abcdefghiklmnoprstuvw") for _ in range(6))
    return f'{{"id": {chooser.randrange(10**5)}, "name": "{name}", "size": {chooser.random():.2f}, "found": true}},'


def _box(chooser: Random) -> str:
    numbers = ", ".join(str(chooser.randrange(1000)) for _ in range(4))
    return f"<ref>{chooser.choice(('dog', 'cup', 'tree', 'car'))} {chooser.randrange(50)}</ref><box>[[{numbers}]]</box>"


@dataclass(frozen=True)
class Kind:
    """A kind of text: how one unit (sentence, row, function) of it is made, and what stands between two."""

    unit: Sentences
    between: str

    def units(self, chooser: Random, count: int) -> list[str]:
        """Units that all differ."""
        found: dict[str, None] = {}
        while len(found) < count:
            found[self.unit(chooser)] = None
        return list(found)


KINDS = {
    "English": Kind(_prose(_latin_word, " ", ",", "."), " "),
    "Chinese": Kind(_prose(_han_word, "", "\uff0c", "\u3002"), ""),
    "Japanese": Kind(_prose(_kana_word, "", "\u3001", "\u3002"), ""),
    "Arabic": Kind(_prose(_arabic_word, " ", "\u060c", "."), " "),
    "code": Kind(_code, "\n"),
    "LaTeX": Kind(_latex, " \\\\\n"),
    "Markdown table": Kind(_table_row, "\n"),
    "JSON": Kind(_json_row, "\n"),
    "boxes": Kind(_box, "\n"),
}

Shape = Callable[[Kind, Random, int], str]


def _intro(kind: Kind, chooser: Random) -> str:
    return kind.between.join(kind.units(chooser, 4)) + kind.between


def _again(kind: Kind, chooser: Random, copies: int, units: int = 1) -> str:
    period = kind.between.join(kind.units(chooser, units)) + kind.between
    return period * copies


def _unit_loop(kind: Kind, chooser: Random, copies: int) -> str:
    return _intro(kind, chooser) + _again(kind, chooser, copies).rstrip()


def _cut_loop(kind: Kind, chooser: Random, copies: int) -> str:
    text = _again(kind, chooser, copies + 1, 3)
    return _intro(kind, chooser) + text[: -len(text) // (2 * copies + 2)]


def _middle_loop(kind: Kind, chooser: Random, copies: int) -> str:
    return _intro(kind, chooser) + _again(kind, chooser, copies, 2) + _intro(kind, chooser).rstrip()


def _shuffled(kind: Kind, chooser: Random, copies: int) -> str:
    orders = list(itertools.permutations(kind.units(chooser, 4)))
    chooser.shuffle(orders)
    return kind.between.join(kind.between.join(order) for order in orders[: copies + 1])


def _counted(kind: Kind, chooser: Random, copies: int) -> str:
    unit = kind.between.join(kind.units(chooser, 2))
    return kind.between.join(f"{n}. {unit}" for n in range(1, copies + 2))


def _zeros(kind: Kind, chooser: Random, copies: int) -> str:
    return _intro(kind, chooser) + "0" * (100 * copies)


def _spaced_zeros(kind: Kind, chooser: Random, copies: int) -> str:
    return _intro(kind, chooser) + " ".join("0" * chooser.randint(3, 60) for _ in range(8 * copies))


BAD: dict[str, Shape] = {
    "one unit again and again": _unit_loop,
    "three units, cut off": _cut_loop,
    "two units, then it goes on": _middle_loop,
    "four units in all orders": _shuffled,
    "two units with a counter": _counted,
    "a run of zeros": _zeros,
    "zeros in groups": _spaced_zeros,
}


def _plain(kind: Kind, chooser: Random, size: int) -> str:
    return kind.between.join(kind.units(chooser, 5 * size))


def _refrain(kind: Kind, chooser: Random, size: int) -> str:
    refrain = kind.between.join(kind.units(chooser, 2))
    verses = [kind.between.join(kind.units(chooser, 4)) for _ in range(size)]
    return "\n\n".join(f"{verse}\n\n{refrain}" for verse in verses)


def _quoted(kind: Kind, chooser: Random, size: int) -> str:
    """A text, some words on it, and the text with one unit changed."""
    units = kind.units(chooser, 2 * size)
    changed = [*units]
    changed[chooser.randrange(len(units))] = kind.unit(chooser)
    return "\n\n".join([kind.between.join(units), _plain(kind, chooser, 1), kind.between.join(changed)])


def _forms(kind: Kind, chooser: Random, size: int) -> str:
    """Numbered fields with the same labels and other values."""
    labels = ("Name", "Found in", "Used for")
    return "\n\n".join(
        "\n".join([f"{n}.", *(f"{label}: {kind.unit(chooser)}" for label in labels)]) for n in range(1, 2 * size)
    )


GOOD: dict[str, Shape] = {
    "plain": _plain,
    "with a refrain": _refrain,
    "quoted and corrected": _quoted,
    "numbered forms": _forms,
}

COPIES = (3, 5, 10, 30)
"""Sizes of a text: copies beyond what a loop needs, or units in proportion."""


def texts(shapes: dict[str, Shape], seeds: int) -> list[tuple[str, str, int, str]]:
    """All texts of some shapes: shape, kind, size, text."""
    return [
        (shape, name, size, make(kind, Random(f"{shape} {name} {size} {seed}"), size))
        for shape, make in shapes.items()
        for name, kind in KINDS.items()
        for size in COPIES
        for seed in range(seeds)
    ]
