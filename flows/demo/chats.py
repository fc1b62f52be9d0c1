"""Text-only rows: advice, letters, sums, code, and texts that repeat for a good reason."""

from __future__ import annotations

from random import Random

from flows.demo.phrases import groups, pick, words
from flows.demo.tables import markdown
from flows.demo.texts import Turn, symbols

Slots = dict[str, str | int]
# One row of each language in a cycle of rows; the other kinds in percent of what is left.
FOREIGN_CYCLE = 50
FOREIGN = {9: "zh", 34: "ja"}
KINDS = {"advice": 28, "letter": 15, "maths": 36, "code": 21}


def chat(rng: Random, row: int) -> tuple[Turn, ...]:
    """One conversation of one or two turns; `row` keeps numbers, names and foreign texts from coming twice."""
    cycle, place = divmod(row, FOREIGN_CYCLE)
    if place in FOREIGN:
        return (_foreign(FOREIGN[place], cycle),)
    kind = rng.choices(tuple(KINDS), tuple(KINDS.values()))[0]
    if kind == "advice":
        return (_advice(rng),)
    if kind == "letter":
        return (_letter(rng, row),)
    follow_up = [_filled(rng, row, rng.choice(("maths", "code")))] * rng.choice((0, 0, 1))
    return (_filled(rng, row, kind), *follow_up)


def repetition(rng: Random) -> Turn:
    """A song with a refrain, a list in HTML or a table of ticks: it repeats and is right to do so."""
    return rng.choice((_song, _song, _ticks, _html))(rng)


def proof(rng: Random, row: int) -> Turn:
    """A request for a proof and the first line of the answer."""
    return pick(rng, "proof.ask", **_slots(rng, row)), pick(rng, "proof.reply")


def unreadable(rng: Random) -> Turn:
    """A question whose answer holds no letter."""
    return rng.choice(("Draw me a pattern.", "Make a border for my page.", "Answer without words.")), symbols(rng)


def _slots(rng: Random, row: int) -> Slots:
    # 78 times 7 pairs of `n` and `t` before one comes back.
    t, n, v, w = 3 + row // 78 % 7, 21 + row % 78, rng.randint(41, 160), rng.randint(41, 160)
    verbs, nouns = words("code.names.verbs"), words("code.names.nouns")
    note = (t * n // 100 + 1) * 100
    return {
        "place": pick(rng, "places"),
        "person": pick(rng, "people"),
        "month": pick(rng, "months"),
        "day": rng.randint(2, 14),
        "day2": rng.randint(15, 28),
        "h": rng.randint(5, 11),
        "m": rng.randint(120, 940),
        "t": t,
        "n": n,
        "v": v,
        "w": w,
        "vt": v * t,
        "tn": t * n,
        "note": note,
        "change": note - t * n,
        "peri": 2 * (n + t),
        "tv": t * v,
        "rhs": t * v + n,
        "nvw": n + v + w,
        "last": 30 + row,
        "last1": 31 + row,
        "gauss": (30 + row) * (31 + row) // 2,
        "nmt": n - t,
        "npt": n + t,
        "diff2": n * n - t * t,
        "name": f"{verbs[row % len(verbs)]}_{nouns[row // len(verbs) % len(nouns)]}",
    }


def _filled(rng: Random, row: int, family: str) -> Turn:
    key = f"{family}.{rng.choice([name for name in groups(family) if name != 'names'])}"
    slots = _slots(rng, row)
    return words(f"{key}.ask")[0].format(**slots), words(f"{key}.reply")[0].format(**slots)


def _advice(rng: Random) -> Turn:
    key = f"advice.topic.{rng.choice(groups('advice.topic'))}"
    tips = words(f"{key}.tips")
    chosen = [tips[i] for i in sorted(rng.sample(range(len(tips)), rng.randint(4, 6)))]
    if rng.choice((True, False)):
        body = "\n".join(f"{i}. {tip}" for i, tip in enumerate(chosen, start=1))
    else:
        body = f"{' '.join(chosen[:3])}\n\n{' '.join(chosen[3:])}"
    ask = pick(rng, "advice.ask", who=pick(rng, "advice.who"), topic=words(f"{key}.name")[0])
    return ask, f"{pick(rng, 'advice.open')}\n\n{body}\n\n{pick(rng, 'advice.close')}"


def _letter(rng: Random, row: int) -> Turn:
    slots = _slots(rng, row)
    slots["matter"] = pick(rng, "letter.matters", **slots)
    body = " ".join(pick(rng, f"letter.{part}", **slots) for part in ("first", "second", "third"))
    sender = rng.choice([name for name in words("people") if name != slots["person"]])
    return pick(rng, "letter.ask", **slots), f"Dear {slots['person']},\n\n{body}\n\nKind regards,\n{sender}"


def _foreign(language: str, number: int) -> Turn:
    topics, replies, asks = (words(f"{language}.{part}") for part in ("topics", "replies", "ask"))
    i = number % len(topics)
    return asks[number // len(topics) % len(asks)].format(topic=topics[i]), replies[i]


def _song(rng: Random) -> Turn:
    slots: Slots = {"animals": pick(rng, "song.animals"), "land": pick(rng, "song.lands")}
    refrain = pick(rng, "song.refrain", **slots)
    verses = [verse.format(**slots) for verse in words("song.verses")[: rng.randint(3, 5)]]
    return pick(rng, "song.ask", **slots), "\n\n".join(f"{verse}\n\n{refrain}" for verse in verses)


def _ticks(rng: Random) -> Turn:
    people = rng.sample(words("people"), rng.randint(7, 11))
    month = pick(rng, "months")
    rows = [(name, *(rng.choice(("yes", "yes", "no")) for _ in range(4))) for name in people]
    table = markdown(("Name", *(f"{month} {day}" for day in (3, 10, 17, 24))), rows)
    return f"Who came to the rehearsals in {month}? Give me a table.", table


def _html(rng: Random) -> Turn:
    name = pick(rng, "code.names.nouns")
    places = rng.sample(words("places"), rng.randint(7, 12))
    items = [f'  <li class="item"><a class="link" href="/{name}/{p.lower()}">{p}</a></li>' for p in places]
    return f"Write an HTML list with links to the pages of our {len(places)} {name}.", "\n".join(
        ["```html", f'<ul class="{name}">', *items, "</ul>", "```"]
    )
