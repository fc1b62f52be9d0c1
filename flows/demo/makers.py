"""Makers of items: row number and variant in, picture and turns out."""

from __future__ import annotations

from random import Random

from flows.demo import chats, texts
from flows.demo.charts import draw_chart, sample_chart
from flows.demo.defects import Item, Make, stream
from flows.demo.drawing import png
from flows.demo.pages import draw_page, sample_page
from flows.demo.tables import draw_table, sample_table

PAGE_COLOURS = 64
TURNS = (1, 1, 1, 2, 3)


def _streams(seed: int, file: str, row: int, variant: str) -> tuple[Random, Random, Random]:
    """Generators for looks, numbers and texts; a variant `other ...` changes the numbers only."""
    numbers = stream(seed, file, row, "numbers", variant if variant.startswith("other") else "")
    return stream(seed, file, row, "look"), numbers, stream(seed, file, row, "text")


def chart_maker(seed: int, file: str) -> Make:
    """Charts with one to three questions."""

    def make(row: int, variant: str) -> Item:
        look, numbers, text = _streams(seed, file, row, variant)
        chart = sample_chart(look, numbers)
        n = 1 if variant == "single" else look.choice(TURNS)
        turns = (texts.chart_description(chart, text),) if variant == "long" else texts.chart_turns(chart, text, n)
        return Item(png(draw_chart(chart)), turns)

    return make


def table_maker(seed: int, file: str) -> Make:
    """Tables with one to three questions."""

    def make(row: int, variant: str) -> Item:
        look, numbers, text = _streams(seed, file, row, variant)
        table = sample_table(look, numbers)
        n = 1 if variant == "single" else look.choice(TURNS)
        turns = (texts.table_description(table, text),) if variant == "long" else texts.table_turns(table, text, n)
        return Item(png(draw_table(table), PAGE_COLOURS), turns)

    return make


def chat_maker(seed: int, file: str) -> Make:
    """Conversations without a picture."""

    def make(row: int, variant: str) -> Item:
        rng = stream(seed, file, row)
        if variant == "legit_repetition_ok":
            return Item(None, (chats.repetition(rng),), markers=0)
        if variant == "unreadable_script":
            return Item(None, (chats.unreadable(rng),), markers=0)
        if variant == "loop_permuted":
            return Item(None, (chats.proof(rng, row),), markers=0)
        turns = chats.chat(rng, row)
        return Item(None, turns[:1] if variant == "single" else turns, markers=0)

    return make


def parse_maker(seed: int, file: str) -> Make:
    """Pages, tables and charts to be written out."""

    def make(row: int, variant: str) -> Item:
        look, numbers, text = _streams(seed, file, row, variant)
        kind = look.choice(("page", "page", "table", "chart")) if variant != "long" else "page"
        if kind == "page":
            page = sample_page(look)
            turn = texts.page_summary(page, text) if variant == "long" else texts.page_parse(page, text)
            return Item(png(draw_page(page), PAGE_COLOURS), (turn,), task="doc_parse")
        if kind == "table":
            table = sample_table(look, numbers)
            return Item(png(draw_table(table), PAGE_COLOURS), (texts.table_parse(table, text),), task="table_parse")
        chart = sample_chart(look, numbers)
        return Item(png(draw_chart(chart)), (texts.chart_parse(chart, text),), task="chart_parse")

    return make


def box_maker(seed: int, file: str) -> Make:
    """Two rows in turn ask for places or texts on the same page."""

    def make(row: int, variant: str) -> Item:
        page = sample_page(stream(seed, file, row // 2, "look"))
        first, second = stream(seed, file, row // 2, "lines").sample(page.lines, 2)
        turn = texts.page_box(page, second if row % 2 else first, stream(seed, file, row, "text"))
        return Item(png(draw_page(page), PAGE_COLOURS), (turn,), task="text_localization")

    return make
