"""Compiled kernels: the part of an answer that says nothing new, and whether it is a loop. See `filters.loops`."""

from typing import Final

import numpy as np
import numpy.typing as npt

from filters.classes import DIGIT, LETTER, SINGLE, kind_of
from filters.compiled import compiled
from filters.pieces import LONGEST, Codes, Kinds, Places, cut, link, recall, table_size, weight

Values = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Pieces = tuple[Places, Kinds, Places, Kinds]
"""Places, kinds, distances, and whether each piece occurred before."""

LOOP, COPIES, PERIOD, CHARS, START, SHARE, LZ, FRESH, SAID = range(9)
"""Rows of what `measure` finds."""

_SUSPICIOUS: Final = 0.9  # an answer with a larger share of phrases has no stretch worth a look
_NEWLINE: Final = 10
_STOPS: Final = (0x21, 0x2E, 0x3F, 0x3002, 0xFF01, 0xFF1F)  # ! . ? and those of Chinese and Japanese

# What a stretch is. Costs are in halves of a piece's weight.
_NEW_COST: Final = 12  # a stretch in which a seventh is new scores nothing
_KNOWN_COST: Final = 1  # a piece that is no copy, but occurred before
_JUMP_COST: Final = 4  # going on from another place costs a word
_DROP: Final = 160  # a stretch is over where its score has fallen by seven new words
_LEAST: Final = 32  # score below which a stretch is not looked at: eight words

# How a stretch looks.
_WORDED: Final = 0.75  # share of words and letters in the weight, from which on a text is no table, code or music
_WORDLESS: Final = 0.2  # share below which it is but digits and marks
_LINE: Final = 60  # mean text of a line (see `amounts`), from which on worded text is prose and no list or verse
_BOILERPLATE: Final = 0.1  # pureness up to which lists and forms come that say something new in each item
_REST: Final = 12  # weight after a stretch with which the answer still ends with it: three words
_SEAM: Final = 3  # pieces between a text and its second copy, with which the one flows into the other
_TAIL: Final = 8  # pieces copied from one place at the end of an answer that stopped short ...
_RAN_OUT: Final = 200  # ... and characters it has said again

# What a stretch must say again to be a loop with confidence 0.5: copies beyond the first; characters of text where the
# answer ends with it; and where the answer goes on.
_PROSE: Final = (0.8, 64.0, 100.0)
_PROSE_GOES_ON: Final = 1.6
_LINES: Final = (3.0, 64.0, 160.0)
_SIGNS: Final = (3.0, 200.0, 600.0)
_LONG: Final = 200  # characters of a period from which on lines are no refrain, and count as prose that goes on
_ASKED: Final = 3.0  # times as many copies if the question names their number


@compiled
def stretch(kinds: Kinds, back: Places, known: Kinds, begin: int, high: int) -> tuple[int, int, int, int]:
    """The next stretch from piece `begin` on that says (almost) nothing new: first, last, score, and where to go on.

    The score is the weight of the copies less the costs of what is not copied and of jumps. A stretch ends where its
    score is largest, and is over when the score has fallen to 0 or far below that. Score 0: there is none.
    """
    first, best, best_at, score = begin, 0, begin, 0
    for i in range(begin, high):
        if back[i] == 0:
            score -= weight(kinds[i]) * (_KNOWN_COST if known[i] else _NEW_COST) // 2
        elif score == 0:
            first, score = i, weight(kinds[i])
        else:
            score += weight(kinds[i]) - (_JUMP_COST if back[i] < 0 else 0)
        if score > best:
            best, best_at = score, i
        elif score <= 0 or best - score > _DROP:
            if best >= _LEAST:
                return first, best_at, best, best_at + 1
            score, best = 0, 0
    return (first, best_at, best, best_at + 1) if best >= _LEAST else (first, best_at, 0, high)


@compiled
def majority(kinds: Kinds, back: Places, first: int, last: int) -> int:
    """The distance that more than half of the copies have, by weight; 0 where there is none."""
    found = votes = count = copies = 0
    for i in range(first, last + 1):
        if back[i] != 0:
            if votes <= 0:
                found, votes = abs(back[i]), 0
            votes += weight(kinds[i]) if abs(back[i]) == found else -weight(kinds[i])
    for i in range(first, last + 1):
        if back[i] != 0:
            count += weight(kinds[i]) if abs(back[i]) == found else 0
            copies += weight(kinds[i])
    return found if 2 * count > copies else 0


@compiled
def period_of(pieces: Pieces, first: int, last: int) -> float:
    """Mean distance of copies in characters, by weight; of those with the distance of the majority if there is one."""
    places, kinds, back, _ = pieces
    chosen = majority(kinds, back, first, last)
    total = count = 0
    for i in range(first, last + 1):
        distance = abs(back[i])
        if distance != 0 and (not chosen or distance == chosen):
            total += (places[i] - places[i - distance]) * weight(kinds[i])
            count += weight(kinds[i])
    return total / count


@compiled
def newlines(text: Codes, begin: int, end: int) -> int:
    """Line feeds in a part of a text."""
    count = 0
    for place in range(begin, end):
        count += text[place] == _NEWLINE
    return count


@compiled
def end_of(text: Codes, pieces: Pieces, last: int, high: int) -> int:
    """Place after the last character of a piece; pieces end at `high`."""
    places, kinds, _, _ = pieces
    kind = kinds[last]
    end = places[last] + 1
    limit = min(places[last] + LONGEST, places[last + 1] if last + 1 < high else len(text))
    while kind in (LETTER, DIGIT) and end < limit and kind_of(text[end]) == kind:
        end += 1
    return int(end)


@compiled
def amounts(pieces: Pieces, first: int, last: int, end: int) -> tuple[int, int, int, int]:
    """Of a stretch: its weight, that of its words of letters, that of known pieces, and how many characters count.

    A word of a spaced script counts for its characters, at most 4, and a character of a script without spaces for 4.
    """
    places, kinds, back, known = pieces
    total = words = again = size = 0
    for i in range(first, last + 1):
        heavy = weight(kinds[i])
        total += heavy
        words += heavy if kinds[i] in (LETTER, SINGLE) else 0
        again += heavy if back[i] == 0 and known[i] else 0
        after = places[i + 1] if i < last else end
        size += heavy if kinds[i] == SINGLE else min(heavy, after - places[i])
    return total, words, again, size


@compiled
def stops_short(text: Codes, places: Places, back: Places, last: int, high: int) -> bool:
    """Whether the answer stops at `last` in a line that its source goes on with: it ran out while it copied.

    One more piece may follow, the half of a word.
    """
    source = last - abs(back[last])
    if last < high - 2 or text[places[last]] in _STOPS or newlines(text, places[source], places[source + 1]) > 0:
        return False
    tail = 0
    while tail < _TAIL and back[last - tail] > 0:
        tail += 1
    return tail == _TAIL


@compiled
def needs(prose: bool, wordless: bool, ends: bool, flows: bool, long: bool) -> tuple[float, float]:
    """Copies beyond the first, and how much text, that a stretch of this form must say again."""
    column = 1 if ends else 2
    if wordless:
        return _SIGNS[0], _SIGNS[column]
    if prose:
        return (_PROSE[0] if ends and flows else _PROSE_GOES_ON), _PROSE[column]
    return (_PROSE_GOES_ON if ends and long else _LINES[0]), _LINES[column]


@compiled
def judge(
    text: Codes, asked: Values, pieces: Pieces, span: tuple[int, int, int], score: int
) -> tuple[float, float, float, int]:
    """Confidence that a stretch is a loop, its copies, its period in characters, and the place where it ends.

    Args:
        text: of the answer.
        asked: numbers in the question.
        pieces: of the answer.
        span: first and last piece of the stretch, and one past the last of the answer.
        score: of the stretch.
    """
    places, kinds, back, _ = pieces
    first, last, high = span
    end = end_of(text, pieces, last, high)
    total, words, known, size = amounts(pieces, first, last, end)
    again, period = end - places[first], period_of(pieces, first, last)
    copies = 1 + again / period
    worded, wordless = words >= _WORDED * total, words < _WORDLESS * total
    prose = worded and size >= _LINE * (newlines(text, places[first], end) + 1)
    ran_out = again >= _RAN_OUT and stops_short(text, places, back, last, high)
    rest = 0
    for i in range(last + 1, min(high, last + 2 + _REST)):
        rest += weight(kinds[i])
    flows = last - abs(back[last]) >= first - _SEAM
    copies_needed, size_needed = needs(prose or ran_out, wordless, rest <= _REST, flows, period >= _LONG)
    if np.any(np.abs(asked - copies) < 1):
        copies_needed *= _ASKED
    # tables and code are made of known words in new orders
    pure = max(0.0, (score if worded else score - known) / total - _BOILERPLATE) / (1 - _BOILERPLATE)
    confidence = min(0.5 * (copies - 1) * pure / copies_needed, 0.5 * (again if wordless else size) / size_needed, 1.0)
    return confidence, copies, period, end


@compiled
def numbers(text: Codes) -> Values:
    """The first numbers of a text, at most 16."""
    found = np.zeros(16, dtype=np.float64)
    size = 0
    inside = False
    for code in text:
        digit = 48 <= code <= 57  # noqa: PLR2004  ASCII digits
        if digit and not inside:
            if size == len(found):
                break
            size += 1
        if digit:
            found[size - 1] = min(found[size - 1] * 10 + (code - 48), 1e12)
        inside = digit
    return found[:size]


@compiled
def enter_worst(text: Codes, asked: Values, pieces: Pieces, low: int, high: int, values: Values) -> None:
    """Enter in `values` what the stretch of an answer, pieces `low..high`, has that is most surely a loop."""
    places, kinds, back, known = pieces
    begin, best = low, -1
    while begin < high:
        first, last, score, begin = stretch(kinds, back, known, begin, high)
        if score > 0:
            found = judge(text, asked, pieces, (first, last, high), score)
            if found[0] > values[LOOP]:
                best = first
                values[LOOP], values[COPIES], values[PERIOD], values[CHARS] = found
    if best >= 0:
        # the first copy stands before the stretch
        earliest = places[best] - values[PERIOD]
        while best > low and places[best - 1] >= earliest:
            best -= 1
        values[START] = places[best]
        values[CHARS] -= places[best]
        values[SHARE] = values[CHARS] / len(text)


@compiled
def phrases(back: Places, low: int, high: int) -> float:
    """New pieces and jumps among the pieces of a text, as a share; 1.0 where it has none."""
    count = 0
    for i in range(low, high):
        count += back[i] <= 0
    return count / (high - low) if high > low else 1.0


@compiled
def room_for(starts: Indices, sample: Indices, answers: Mask) -> int:
    """Characters of the answers of the sample that has most."""
    largest = size = 0
    for message in range(len(sample)):
        if message > 0 and sample[message] != sample[message - 1]:
            size = 0
        size += starts[message + 1] - starts[message] if answers[message] else 0
        largest = max(largest, size)
    return largest


@compiled
def measure(codes: Codes, starts: Indices, sample: Indices, answers: Mask, question_end: int) -> Values:
    """What each message has: (m, 9) float64, columns as named above; zeros in those that are no answers.

    Args:
        codes: of all messages.
        starts: (m + 1,) message i is `codes[starts[i]:starts[i + 1]]`.
        sample: (m,) ascending.
        answers: (m,) which messages are answers; what stands between them is a question.
        question_end: characters at the end of a question that are searched for numbers.
    """
    values = np.zeros((len(sample), 9), dtype=np.float64)
    room = room_for(starts, sample, answers)
    hashes, places = np.empty(room, dtype=np.uint32), np.empty(room, dtype=np.int32)
    kinds, known = np.empty(room, dtype=np.uint8), np.empty(room, dtype=np.uint8)
    back = np.empty(room, dtype=np.int32)
    fours, words = np.zeros(table_size(room), dtype=np.int64), np.zeros(table_size(room), dtype=np.int64)
    base = word_base = first = 0
    while first < len(sample):
        after, pieces = first, 0
        bounds = [0]
        while after < len(sample) and sample[after] == sample[first]:
            if answers[after]:
                pieces = cut(codes[starts[after] : starts[after + 1]], hashes, places, kinds, pieces)
            bounds.append(pieces)
            after += 1
        size = table_size(pieces)
        question = codes[:0]
        for message in range(first, after):
            text = codes[starts[message] : starts[message + 1]]
            if not answers[message]:
                question = text[-question_end:]
                continue
            low, high = bounds[message - first], bounds[message - first + 1]
            value = values[message]
            value[FRESH], value[SAID] = link(hashes, low, high, base, fours, size, back)
            value[LZ] = phrases(back, low, high)
            if value[LZ] <= _SUSPICIOUS:
                recall(hashes, low, high, word_base, words, size, known)
                word_base += pieces
                enter_worst(text, numbers(question), (places, kinds, back, known), low, high, value)
        base += pieces
        first = after
    return values
