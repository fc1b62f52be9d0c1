"""What the embedded judge sees: surface faults of one answer, each with the grades it costs. All numbers are ours."""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from filters.turns import REFUSAL

_WORD: Final = re.compile("[\u3040-\u30ff\u3400-\u9fff]|\\w+")
_REFUSAL: Final = re.compile(REFUSAL)
_PLACEHOLDER: Final = re.compile(
    r"\W*(?:todo|tbd|tba|fixme|n\s?/\s?a|nan|null|undefined|placeholder|xx+|no\s?(?:input|output|answer|response)"
    r"|(?:your|insert|enter)\b[\w\s]{0,30}\bhere)\W*"
    r"|[.\u2026_?\-]+",
    re.IGNORECASE,
)
_FILLER: Final = re.compile(
    r"\blorem ipsum\b|\bTODO\b|\binsert (?:\w+ ){0,3}here\b|[\[<][\w ]{0,40}\bhere[\]>]", re.IGNORECASE
)
_LEFTOVER: Final = re.compile(
    r"<\|\w+\|>|\[/?INST\]|<no(?:in|out)put>|^#+ ?(?:Instruction|Response|Input):", re.MULTILINE
)
_MOJIBAKE: Final = re.compile("\ufffd|\u00c3[\u0080-\u00bf]|\u00e2\u20ac|\u00c2[\u00a0-\u00bf]")
_LONG_FORM: Final = re.compile(r"\W*(?:please )?(?:write|compose|describe|explain|elaborate)\b", re.IGNORECASE)
_BRIEF: Final = re.compile(r"\b(?:words?|adjectives?|phrase|titles?|names?|brief(?:ly)?|short)\b", re.IGNORECASE)
_SENTENCE_END: Final = re.compile("[.!?][\"')\\]]*\\s|[\u3002\uff01\uff1f]")
_DANGLING: Final = re.compile(
    r"(?:\b(?:the|an?|and|or|of|their|its|is|are|was|were|because|but|which|with|from|to|into|than)|[(\[{]|\s[+=/&])$"
)
_OPEN_LINE: Final = re.compile(r"[^\W\d_]$")
_LISTED: Final = re.compile(r"\s{4}|\t|\s*(?:[-*+|>#\u2022]|\w{1,4}[.)])|.*#\w")
_CODE_FENCE: Final = "```"
_JUMBLE: Final = re.compile(r"[b-df-hj-np-tv-xz]{6}|^[^aeiouy]+$")
_PLAIN_WORD: Final = re.compile(r"(?<!\S)[a-z]{4,}(?=[\s.,;:!?]|$)")
_ENDLESS_WORD: Final = re.compile(r"[A-Za-z]{80}")

_SAYS_SOMETHING: Final = 4
"""Words from which on an answer can be cut off or repeat its question."""
_EXPLAINS: Final = 5
_PROSE: Final = 30
_SENTENCE: Final = 5
_VARIED: Final = 40
"""Words from which on variety means something; chains of sums and short lists repeat theirs by nature."""
_WINDOW: Final = 100
_SIGNS: Final = 10
_BEST: Final = 9.4
_SHORTEST: Final = 8.0


@dataclass(frozen=True)
class Answer:
    """One answer with the question it follows; "" for a document."""

    question: str
    text: str

    @cached_property
    def words(self) -> list[str]:
        """Words in lower case; a Han or kana character is one."""
        return _WORD.findall(self.text.lower())

    @property
    def size(self) -> int:
        """Number of words."""
        return len(self.words)


def is_placeholder(answer: Answer) -> bool:
    """Stands where an answer should: TODO, N/A, dots, lorem ipsum."""
    return bool(_PLACEHOLDER.fullmatch(answer.text) or _FILLER.search(answer.text))


def is_refusal(answer: Answer) -> bool:
    """Opens with a phrase of refusal."""
    return bool(_REFUSAL.search(answer.text))


def has_leftovers(answer: Answer) -> bool:
    """Holds control strings of chat formats or text decoded with the wrong code page."""
    return bool(_LEFTOVER.search(answer.text) or _MOJIBAKE.search(answer.text))


def is_echo(answer: Answer) -> bool:
    """Says no more than the question did."""
    return answer.size >= _SAYS_SOMETHING and answer.text.strip().lower() == answer.question.strip().lower()


def is_too_short(answer: Answer) -> bool:
    """Has under five words where the question begins with "write" or "describe" and does not ask to be brief."""
    asked = _LONG_FORM.match(answer.question) and not _BRIEF.search(answer.question)
    return answer.size < _EXPLAINS and bool(asked)


def is_cut(answer: Answer) -> bool:
    """Ends in the middle: an open code block, a dangling word, or prose whose last sentence does not end."""
    if answer.size < _SAYS_SOMETHING:
        return False
    if answer.text.count(_CODE_FENCE) % 2 or _DANGLING.search(answer.text):
        return True
    last = answer.text.rpartition("\n")[2]
    if last.count(" ") < _SENTENCE or _LISTED.match(last):
        return False
    prose = answer.size >= _PROSE and len(_SENTENCE_END.findall(answer.text)) > 1
    return last.endswith((",", ":")) or (prose and bool(_OPEN_LINE.search(last)))


def is_jumble(answer: Answer) -> bool:
    """Is made of letters that no tongue can say, or of one endless word."""
    plain = _PLAIN_WORD.findall(answer.text)
    jumbled = sum(1 for word in plain if _JUMBLE.search(word))
    return jumbled > max(1, 0.35 * len(plain)) or bool(_ENDLESS_WORD.search(answer.text))


def is_monotonous(answer: Answer) -> bool:
    """Is text with under 15 % distinct words, averaged over windows of 100; grids of digits and letters are no text."""
    if sum(len(word) > 1 and word.isalpha() for word in answer.words) < _VARIED:
        return False
    windows = [answer.words[start : start + _WINDOW] for start in range(0, answer.size, _WINDOW)]
    return sum(len(set(window)) for window in windows) < 0.15 * answer.size


def is_noise(answer: Answer) -> bool:
    """Has few letters and digits among many signs."""
    dense = "".join(answer.text.split())
    return len(dense) >= _SIGNS and sum(map(str.isalnum, dense)) < 0.1 * len(dense)


FAULTS: Final[tuple[tuple[Callable[[Answer], bool], float], ...]] = (
    (is_placeholder, 7.0),
    (is_refusal, 5.0),
    (has_leftovers, 3.0),
    (is_echo, 4.0),
    (is_too_short, 3.0),
    (is_cut, 3.0),
    (is_jumble, 5.0),
    (is_monotonous, 3.0),
    (is_noise, 4.0),
)
"""Faults and the grades each costs."""


def grade(question: str, text: str) -> float:
    """Grade 0..10 of an answer; 0 where it is empty, 8 to 9.4 by length where it has no fault."""
    answer = Answer(question, text.strip())
    if not answer.text:
        return 0.0
    best = min(_BEST, _SHORTEST + 0.15 * math.log2(1 + answer.size))
    return max(0.0, best - sum(cost for fault, cost in FAULTS if fault(answer)))


def known_share(text: str) -> float:
    """Share 0..1 of the characters that the faults say anything about; 1.0 where there are none.

    Known are ASCII, letters, digits, punctuation, currency and mathematical signs, and combining marks as far as there
    are letters to carry them. Emoji, box drawing, other symbols, private use and control characters are not.
    """
    counts: Counter[str] = Counter()
    for character, count in Counter(text).items():
        if not character.isspace():
            ascii_print = " " < character <= "~"
            counts["L" if ascii_print else unicodedata.category(character)] += count
    total = counts.total()
    if total == 0:
        return 1.0
    marks = sum(count for category, count in counts.items() if category[0] == "M")
    letters = sum(count for category, count in counts.items() if category[0] == "L")
    known = sum(count for category, count in counts.items() if category[0] in "LNP" or category in {"Sm", "Sc"})
    return (known + min(marks, letters)) / total
