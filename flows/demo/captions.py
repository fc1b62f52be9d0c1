"""Captions, speech, questions and points that are true of a scene."""

from __future__ import annotations

from itertools import groupby
from random import Random

from flows.demo.phrases import pick, words
from flows.demo.scenes import AIR, GROUND, Scene, Thing
from flows.demo.texts import Turn

NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
LANDS = ("sea", "meadow", "snow", "desert")
PLURALS = {"cactus": "cacti", "snowman": "snowmen"}
MIDDLE = 0.5
PAIR = 2
ASK_KINDS = ("count", "colour", "where", "absent", "light", "about")


def plural(name: str) -> str:
    """Several of `name`."""
    return PLURALS.get(name, f"{name}s")


def counted(name: str, n: int) -> str:
    """`n` of `name` in words."""
    return f"{NUMBERS[n]} {name if n == 1 else plural(name)}"


def spot(x: float) -> str:
    """Where a share of the width lies."""
    return ("on the left", "in the middle", "on the right")[min(int(x * 3), 2)]


def where(thing: Thing) -> str:
    """Where a thing is, in words."""
    height = "in the upper half" if thing.y < MIDDLE else "in the lower half"
    return f"{height}, {spot(thing.x)}"


def listing(scene: Scene) -> str:
    """All things by name and number."""
    return _joined([counted(name, len(scene.named(name))) for name in _names(scene)])


def caption(scene: Scene, rng: Random) -> str:
    """A caption of five to nine sentences."""
    sky = pick(rng, f"scene.sky.{scene.light}")
    sentences = [pick(rng, f"scene.open.{scene.place}", sky=sky)]
    if scene.place != "shapes":
        sentences.append(pick(rng, f"scene.orb.{scene.light}", spot=spot(scene.orb[0])))
    groups = [_group(scene.named(name), rng) for name in _names(scene)]
    rng.shuffle(groups)
    sentences += groups
    sentences.append(pick(rng, f"scene.ground.{scene.place}"))
    sentences += rng.sample(words("scene.close.any"), 2)
    return " ".join(sentences)


def transcripts(scene: Scene, rng: Random) -> list[str]:
    """One to three pieces of raw speech about the scene."""
    patterns = rng.sample(words("scene.speech.any"), rng.randint(1, 3))
    return [pattern.format(list=listing(scene)) for pattern in patterns]


def scene_turn(scene: Scene, kind: str, rng: Random) -> Turn:
    """A question of one of `ask_kinds(scene)` and its answer; one count in six is asked in Chinese or Japanese."""
    if kind == "light":
        return pick(rng, "scene.light.ask"), pick(rng, f"scene.sky_light.{scene.light}")
    if kind == "about":
        sky = pick(rng, f"scene.sky.{scene.light}")
        return pick(
            rng, "scene.about.ask"
        ), f"{pick(rng, f'scene.open.{scene.place}', sky=sky)} It shows {listing(scene)}."
    if kind == "absent":
        other = absent(scene, rng)
        return _filled(rng, "absent", other=other, others=plural(other), list=listing(scene))
    return _thing_turn(scene, kind, rng)


def ask_kinds(scene: Scene) -> list[str]:
    """The kinds of questions that make sense for the scene, each with an answer of its own."""
    kinds = [kind for kind in ASK_KINDS if kind != "where" or _single(scene)]
    return [kind for kind in kinds if kind != "light" or scene.place != "shapes"]


def absent(scene: Scene, rng: Random) -> str:
    """The name of a thing that the scene does not hold."""
    # Outside pictures of shapes the sun is a circle and a sail a triangle: asking for those would be unfair.
    names = (
        [*GROUND.values(), *AIR.values()] if scene.place == "shapes" else [GROUND[p] for p in LANDS] + [*AIR.values()]
    )
    every = dict.fromkeys(name for group in names for name in group)
    return rng.choice([name for name in every if not scene.named(name)])


def _thing_turn(scene: Scene, kind: str, rng: Random) -> Turn:
    name = rng.choice(_names(scene))
    things = scene.named(name)
    if kind == "colour":
        colour = things[0].colour
        return _filled(rng, "colour", name=name, colour=colour, colour_cap=colour.capitalize())
    if kind == "where":
        thing = rng.choice(_single(scene))
        return _filled(rng, "where", name=thing.name, colour=thing.colour, where=where(thing))
    n = len(things)
    language = rng.choice(("zh", "ja", "", "", "", "", "", "", "", "", "", ""))
    if language:
        return _filled(rng, f"{language}_count", name=_foreign(language, name), n=n)
    noun = name if n == 1 else plural(name)
    return _filled(rng, "count", names=plural(name), n=NUMBERS[n], names_n=noun, **{"is": "is" if n == 1 else "are"})


def _single(scene: Scene) -> list[Thing]:
    """Things that share name and colour with no other."""
    looks = [(thing.name, thing.colour) for thing in scene.things]
    return [thing for thing, look in zip(scene.things, looks, strict=True) if looks.count(look) == 1]


def _foreign(language: str, name: str) -> str:
    return words(f"scene.{language}.{name}")[0]


def _filled(rng: Random, kind: str, **slots: str | int) -> Turn:
    return pick(rng, f"scene.{kind}.ask", **slots), pick(rng, f"scene.{kind}.reply", **slots)


def _names(scene: Scene) -> list[str]:
    return list(dict.fromkeys(thing.name for thing in scene.things))


def _group(things: list[Thing], rng: Random) -> str:
    name = things[0].name
    if len(things) == 1:
        return pick(rng, "scene.group.one", colours=things[0].colour, name=name, where=where(things[0])).replace(
            " a orange", " an orange"
        )
    runs = [(colour, len(list(run))) for colour, run in groupby(thing.colour for thing in things)]
    parts = [f"{'an' if c[0] == 'o' else 'a'} {c} one" if n == 1 else f"{NUMBERS[n]} {c} ones" for c, n in runs]
    if len(runs) == 1:
        each = "both" if len(things) == PAIR else "all"
        return f"There are {counted(name, len(things))}, {each} of them {things[0].colour}."
    return pick(rng, "scene.group.many", n=NUMBERS[len(things)], names=plural(name), list=_joined(parts))


def _joined(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
