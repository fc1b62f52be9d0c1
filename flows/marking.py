"""Where in a conversation stands what the rules of a review item speak of."""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from typing import Final

from filters.phrase_table import FENCE, PHRASES, URL
from review.item import ReviewItem
from review.page_text import Mark

SEARCHED: Final = 200_000
"""Characters of a message, from its beginning, that are searched. Ours: a person reads no further."""
MOST: Final = 300
"""Marks of an item; more of them tell a reader nothing."""
_LINE: Final = 20  # characters of a line that is worth a mark where it stands again
_RUN: Final = 20  # characters of a run that is worth one

_ANSWERS: Final = frozenset({"assistant", "document"})
_RUNS: Final = {
    "char_run": rf"(\S)\1{{{_RUN - 1},}}",
    "char_run_spaced": rf"(\S)(?:\s?\1){{{_RUN - 1},}}",
    "space_run": rf"\s{{{_RUN},}}",
}
_SAME: Final = {"'": "['\u2018\u2019]", '"': '["\u201c\u201d]', ":": "[:\uff1a]", ",": "[,\uff0c]", " ": r"\s"}
"""What stands for what in phrases, see filters/phrase_table.py."""
_LETTER: Final = "[0-9A-Za-z\u00c0-\u024f]"

_Part = tuple[int, int, str]


def hits(item: ReviewItem) -> list[Mark]:
    """Parts of the messages that the scores of an item tell of, at most `MOST`, message by message.

    Phrases, refusals, runs, lines that stand again, and sentences that speak to the judge; loops are among the item's
    own marks.
    """
    finders = list(_finders(item.scores))
    found: list[Mark] = []
    for turn, message in enumerate(item.messages):
        text = message.text[:SEARCHED]
        for finder in finders if message.role in _ANSWERS else ():
            for start, end, label in finder(text):
                found.append(Mark(turn, start, end, "hit", label))
                if len(found) >= MOST:
                    return found
    return found + _spoken(item)


def _finders(scores: Mapping[str, object]) -> Iterator[Callable[[str], Iterator[_Part]]]:
    patterns: dict[str, re.Pattern[str]] = {}
    for name in scores:
        if name in _RUNS:
            patterns[f"run of at least {_RUN}"] = re.compile(_RUNS[name])
        elif name in PHRASES and name not in (URL, FENCE):
            patterns[name.replace("_", " ")] = _phrases(name)
        elif name == "refusal":
            from filters.turns import REFUSAL

            patterns["refusal"] = re.compile(REFUSAL + r"[^\n.!?]*")
        elif name == "url_share":
            patterns["web address"] = re.compile(r"(?:https?://|www\.)\S+")
    yield from (partial(_matches, pattern, label) for label, pattern in patterns.items())
    if any(name.startswith("dup_") for name in scores):
        yield _again


def _matches(pattern: re.Pattern[str], label: str, text: str) -> Iterator[_Part]:
    return ((match.start(), match.end(), label) for match in pattern.finditer(text))


def _again(text: str) -> Iterator[_Part]:
    """Lines that the text had before, in one part where they follow each other."""
    known: set[str] = set()
    start = place = 0
    for line in [*text.splitlines(keepends=True), ""]:
        said = line.strip()
        if len(said) < _LINE or said not in known:
            if start < place:
                yield start, place, "said before"
            start = place + len(line)
        known.add(said)
        place += len(line)


@cache
def _phrases(name: str) -> re.Pattern[str]:
    return re.compile("|".join(_pattern(phrase) for phrase in PHRASES[name]), re.IGNORECASE | re.MULTILINE)


def _pattern(phrase: str) -> str:
    bare = phrase.removeprefix("^").removesuffix("*")
    text = "".join(_SAME.get(character, re.escape(character)) for character in bare)
    begin = r"^[^\S\n]*" if phrase.startswith("^") else rf"(?<!{_LETTER})" if re.match(_LETTER, bare) else ""
    end = rf"(?!{_LETTER})" if re.fullmatch(_LETTER, phrase[-1]) else ""
    return f"{begin}{text}{end}"


def _spoken(item: ReviewItem) -> list[Mark]:
    if not {"instruction_like", "injection_chars", "quality_jump"} & set(item.scores):
        return []
    from filters.judges.injection import spans

    messages = [{"role": message.role, "text": message.text[:SEARCHED]} for message in item.messages]
    return [Mark(span.turn, span.start, span.end, "hit", "speaks to the judge") for span in spans(messages)][:MOST]
