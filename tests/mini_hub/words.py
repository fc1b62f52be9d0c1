"""Questions and answers that differ from row to row."""

from random import Random

THINGS = (
    "kite",
    "lantern",
    "ferry",
    "kettle",
    "bicycle",
    "stamp",
    "ladder",
    "violin",
    "tram",
    "basket",
    "clock",
    "map",
)
COLOURS = ("red", "teal", "amber", "grey", "violet", "green", "navy", "ochre")
PLACES = ("on the table", "by the door", "under the bridge", "near the window", "in the corner", "behind the fence")


def question(random: Random) -> str:
    thing, number = random.choice(THINGS), random.randrange(1000)
    return random.choice(
        (
            f"What colour is the {thing} with number {number}?",
            f"How many {thing}s stand {random.choice(PLACES)}, apart from number {number}?",
            f"Where is the {thing} marked {number}?\nAnswer with one phrase.",
        )
    )


def answer(random: Random) -> str:
    thing, colour, place = random.choice(THINGS), random.choice(COLOURS), random.choice(PLACES)
    return f"The {colour} {thing} stands {place}, next to sign {random.randrange(10000)}."
