"""Tables: what they say and how they are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from PIL import Image

from flows.demo.drawing import INK, PALETTES, PAPERS, RULE, Canvas, Colour, blend, ink_on
from flows.demo.phrases import groups, pick, words

ROW_PX = 30


@dataclass(frozen=True, slots=True)
class Table:
    """One table: a name column and number columns; the numbers of a column differ from each other."""

    title: str
    head: str
    columns: tuple[str, ...]
    names: tuple[str, ...]
    cells: tuple[tuple[int, ...], ...]
    tint: Colour
    paper: Colour
    ruled: bool

    def column(self, index: int) -> list[int]:
        """The numbers of one column from top to bottom."""
        return [row[index] for row in self.cells]


def sample_table(look: Random, numbers: Random) -> Table:
    """A table whose looks and names come from `look` and whose numbers come from `numbers`."""
    theme = f"table.theme.{look.choice(groups('table.theme'))}"
    names = look.sample(words(f"{theme}.rows"), look.randint(5, 9))
    columns = look.sample(words(f"{theme}.columns"), look.randint(2, 4))
    drawn = [numbers.sample(range(11, 190), len(names)) for _ in columns]
    return Table(
        title=pick(look, f"{theme}.caption", place=pick(look, "places"), year=look.randint(1995, 2024)),
        head=words(f"{theme}.head")[0],
        columns=tuple(columns),
        names=tuple(names),
        cells=tuple(zip(*drawn, strict=True)),
        tint=look.choice(look.choice(PALETTES)),
        paper=look.choice(PAPERS),
        ruled=look.choice((True, False)),
    )


def draw_table(table: Table) -> Image.Image:
    """The table as a picture."""
    width = 180 + 105 * len(table.columns)
    height = 64 + ROW_PX * (len(table.names) + 1) + 18
    canvas = Canvas((width, height), table.paper)
    canvas.text(20, 20, table.title, 18)
    canvas.box(20, 56, width - 20, 56 + ROW_PX, table.tint, 3)
    _row(canvas, 56, (table.head, *table.columns), ink_on(table.tint))
    for i, (name, cells) in enumerate(zip(table.names, table.cells, strict=True), start=1):
        top = 56 + ROW_PX * i
        if table.ruled:
            canvas.line([(20, top + ROW_PX), (width - 20, top + ROW_PX)], RULE)
        elif i % 2 == 0:
            canvas.box(20, top, width - 20, top + ROW_PX, blend(table.paper, table.tint, 0.1))
        _row(canvas, top, (name, *map(str, cells)), INK)
    return canvas.finish()


def _row(canvas: Canvas, top: float, texts: tuple[str, ...], ink: Colour) -> None:
    canvas.text(32, top + ROW_PX / 2, texts[0], 15, ink, "lm")
    for i, text in enumerate(texts[1:], start=1):
        canvas.text(146 + 105 * i, top + ROW_PX / 2, text, 15, ink, "rm")


def markdown(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
