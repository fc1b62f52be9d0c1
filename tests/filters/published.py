"""Slow and obvious references of the published measures: strings, sets and regular expressions, nothing of ours."""

import re
from collections import Counter
from math import isqrt

TERMINAL = set("!.?\u3002\uff01\uff1f")
SYMBOLS = set("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~\u2026\x00\x1f")
STOPS = {"the", "be", "to", "of", "and", "that", "have", "with"}


def words_of(text: str) -> list[str]:
    """One Han or kana character, or a run of others between white space and CJK punctuation."""
    # not \s, to which four control codes belong
    spaces = r" \t-\r\x85\xa0\u2028\u3000"
    return re.findall(rf"[\u4e00-\u9fff]|[^{spaces}\u4e00-\u9fff\u3001\u3002\uff01\uff1f]+", text)


def again(items: list[str]) -> tuple[int, int]:
    """How many items occurred before, and their characters."""
    seen: set[str] = set()
    found = [item for item in items if item in seen or seen.add(item)]  # type: ignore[func-returns-value]  # adds
    return len(found), sum(map(len, found))


def top(words: list[str], n: int) -> int:
    grams = [" ".join(words[i : i + n]) for i in range(len(words) - n + 1)]
    if not grams:
        return 0
    gram, times = Counter(grams).most_common(1)[0]
    return len(gram) * times


def dup(words: list[str], n: int) -> int:
    seen, chars, i = set(), 0, 0
    while i < len(words) - n + 1:
        gram = "".join(words[i : i + n])
        if gram in seen:
            chars += len(gram)
            i += n
        else:
            seen.add(gram)
            i += 1
    return chars


def share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def gopher(text: str) -> list[float]:
    if not text:
        return [0.0] * 21
    lines, paragraphs = re.split("\n+", text), re.split("\n{2,}", text.strip())
    found = []
    for items in (lines, paragraphs):
        times, chars = again(items)
        found += [times / len(items), chars / len(text)]
    words = words_of(text)
    found += [top(words, n) / len(text) for n in (2, 3, 4)] + [dup(words, n) / len(text) for n in range(5, 11)]
    said = [word for word in words if any(letter not in SYMBOLS for letter in word)]
    rows = text.splitlines()
    ellipses = text.count("...") + text.count("\u2026")
    found += [len(said), share(sum(map(len, said)), len(said)), share(text.count("#"), len(words))]
    found += [share(ellipses, len(words)), share(sum(row.lstrip()[:1] in {"\u2022", "-"} for row in rows), len(rows))]
    found += [share(sum(row.rstrip().endswith(("...", "\u2026")) for row in rows), len(rows))]
    found += [share(sum(any(map(str.isalpha, word)) for word in words), len(words)), len(STOPS & set(words))]
    return found


SENTENCE_END = r"[.!?]+[\"')\]\u2019\u201d]*(?=\s|\Z)|[\u3002\uff01\uff1f]+[\"')\]\u2019\u201d]*"
POLICY = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")


def c4(text: str) -> list[float]:
    sentences, kept, lorem, curly = 0, [], False, False
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for cited in lines:
        words = cited.split()
        line = re.sub(r"\[\d*]|\[edit]|\[citation needed]", "", cited)
        low = line.lower()
        if any(len(word) > 1000 for word in words) or len(words) < 3:
            continue
        if not line.endswith((".", "?", "!", '"', "'")) or line.endswith("..."):
            continue
        if "lorem ipsum" in low:
            lorem = True
        elif "javascript" in low:
            continue
        elif "{" in line:
            curly = True
        elif not any(phrase in low for phrase in POLICY):
            kept.append(line)
            sentences += sum(bool(part.strip()) for part in re.split(SENTENCE_END, line))
    return [sentences, share(len(kept), len(lines)), share(sum(map(len, kept)), len(text)), lorem, curly]


def fineweb(text: str) -> list[float]:
    lines = [line for line in text.split("\n") if line.strip()]
    if not lines:
        return [0.0] * 4
    chars = again(lines)[1] / len(text.replace("\n", ""))
    ended, few = sum(line[-1] in TERMINAL for line in lines), sum(len(line) <= 30 for line in lines)
    return [ended / len(lines), few / len(lines), chars, share(text.count("\n"), len(words_of(text)))]


SPECIAL = set(
    " \t\n\r\x0b\x0c!\"#$%&'()*+,-./0123456789:;<=>?@[\\]^_`{|}~\u3000\u3001\u3002\u2022\u2026\U0001f600\u0413\uff01"
)


def stripped(word: str) -> str:
    while word and word[0] in SPECIAL:
        word = word[1:]
    while word and word[-1] in SPECIAL:
        word = word[:-1]
    return word


def juicer(text: str) -> list[float]:
    raw = [word for word in re.split("[ \n\t]", text) if word]
    words = [word for word in (stripped(word.lower()) for word in raw) if word]
    grams = Counter(text[i : i + 10] for i in range(len(text) - 9))
    often = sorted((times for times in grams.values() if times > 1), reverse=True)[: isqrt(len(grams))]
    pairs = Counter(" ".join(words[i : i + 10]) for i in range(len(words) - 9))
    lines = text.splitlines()
    return [
        share(sum(often), sum(grams.values())),
        share(sum(times for times in pairs.values() if times > 1), sum(pairs.values())),
        share(sum(letter in SPECIAL for letter in text), len(text)),
        share(sum(map(str.isalnum, text)), len(text)),
        share(len(text), len(lines)),
        max(map(len, lines), default=0),
        len(text),
        sum(bool(stripped(word)) for word in raw),
    ]
