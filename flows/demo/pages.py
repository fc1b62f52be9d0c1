"""Document pages: what they say, where each line stands and how they are drawn."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from PIL import Image

from flows.demo.drawing import GREY, INK, PALETTES, PAPERS, Canvas, Colour, blend, text_width
from flows.demo.phrases import groups, pick, words

SIZES = ((480, 560), (500, 580), (460, 600), (560, 480))
BOX_UNITS = 999


@dataclass(frozen=True, slots=True)
class Line:
    """One printed line: its text, left edge, top and size in pixels."""

    text: str
    left: float
    top: float
    size: int

    def box(self, page: tuple[int, int]) -> tuple[int, int, int, int]:
        """Left, top, right, bottom in thousandths of the page."""
        right, bottom = self.left + text_width(self.text, self.size), self.top + self.size * 1.2
        x, y = BOX_UNITS / page[0], BOX_UNITS / page[1]
        return round(self.left * x), round(self.top * y), round(right * x), round(bottom * y)


@dataclass(frozen=True, slots=True)
class Page:
    """One page; `lines` holds the title first."""

    title: str
    paragraphs: tuple[str, ...]
    lines: tuple[Line, ...]
    tint: Colour
    paper: Colour
    size: tuple[int, int]


def sample_page(rng: Random) -> Page:
    """A page of two or three paragraphs."""
    topic = f"page.topic.{rng.choice(groups('page.topic'))}"
    slots: dict[str, str | int] = {
        "place": pick(rng, "places"),
        "person": pick(rng, "people"),
        "month": pick(rng, "months"),
        "year": rng.randint(1902, 2024),
        "day": rng.randint(2, 28),
        "n": rng.randint(6, 48),
        "m": rng.randint(110, 890),
    }
    source = words(f"{topic}.lines")
    chosen = sorted(rng.sample(range(len(source)), rng.randint(7, 10)))
    texts = [source[i].format(**slots) for i in chosen]
    cut = rng.randint(2, 3)
    paragraphs = tuple(" ".join(texts[i : i + cut]) for i in range(0, len(texts), cut))
    size = rng.choice(SIZES)
    title = words(f"{topic}.title")[0].format(**slots)
    lines = _layout(title, paragraphs, size, left=rng.choice((36, 44, 60)), body=rng.choice((16, 17, 18)))
    return Page(title, paragraphs, lines, rng.choice(rng.choice(PALETTES)), rng.choice(PAPERS), size)


def _layout(title: str, paragraphs: tuple[str, ...], size: tuple[int, int], left: int, body: int) -> tuple[Line, ...]:
    lines = [Line(title, left, 46, 20 if text_width(title, 20) < size[0] - 2 * left else 17)]
    top = 92.0
    for paragraph in paragraphs:
        for text in _wrap(paragraph, body, size[0] - 2 * left):
            lines.append(Line(text, left, top, body))
            top += body * 1.45
        top += body * 0.7
    return tuple(lines)


def _wrap(text: str, size: int, width: float) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if text_width(longer, size) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def draw_page(page: Page) -> Image.Image:
    """The page as a picture."""
    width, height = page.size
    canvas = Canvas(page.size, page.paper)
    canvas.box(0, 0, width, 14, page.tint)
    title, *body = page.lines
    canvas.text(title.left, title.top, title.text, title.size, blend(page.tint, INK, 0.5))
    canvas.line([(title.left, 80), (width - title.left, 80)], blend(page.tint, page.paper, 0.4), 1.5)
    for line in body:
        canvas.text(line.left, line.top, line.text, line.size)
    canvas.line([(title.left, height - 30), (title.left + 60, height - 30)], GREY)
    return canvas.finish()
