"""Rubrics filled up to whole cache blocks, so that an engine computes none of their tokens for every sample."""

from collections.abc import Callable, Iterable, Sequence
from itertools import takewhile
from typing import Final

from shards.schema import ROLES

ALIGN: Final = 16
"""Tokens of a cache block of vLLM on accelerators; its CPU build has 128."""

_OPENINGS: Final = ("a", "1", "\n", " ", "<")
"""What a message may begin with: tokens that change with it are none of its header's."""


def header_tokens(encode: Callable[[str], list[int]]) -> int:
    """Tokens that all samples begin with whose first message has the same role: the fewest of any role."""
    heads = [[encode(f"=== {role} ===\n{opening}") for opening in _OPENINGS] for role in ROLES]
    return min(_common(ids) for ids in heads)


def _common(heads: Sequence[list[int]]) -> int:
    return sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, zip(*heads, strict=False)))


def shared_tokens(before: int, header: int, align: int) -> int:
    """Tokens of a prompt that an engine finds in its cache once it has seen another sample of the rubric.

    Args:
        before: tokens before every sample.
        header: see `header_tokens`.
        align: tokens of a cache block.
    """
    return (before + header) // align * align


def filled(rubric: str, before: Callable[[str], int], header: int, align: int) -> str:
    """The rubric, with a line of dashes below it that makes what stands before a sample's first word whole blocks.

    Such a line parts a page in Markdown, and in most tokenizers each of its dashes is one token; where no line fills
    the block, the rubric stays as it is.

    Args:
        rubric: Markdown.
        before: counts the tokens before every sample, given the rubric.
        header: see `header_tokens`.
        align: tokens of a cache block.
    """
    return next((text for text in _forms(rubric, align) if (before(text) + header) % align == 0), rubric)


def _forms(rubric: str, align: int) -> Iterable[str]:
    yield rubric
    for last in ("-", "--"):  # the second is for tokenizers that make two tokens of a space and a dash
        for dashes in range(2 * align):
            yield f"{rubric}\n{'- ' * dashes}{last}\n"
