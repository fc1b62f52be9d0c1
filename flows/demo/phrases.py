"""Access to phrases.toml by dotted key."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from random import Random

Node = dict[str, "Node"] | list[str] | list[int] | str
FILES = ("phrases.toml", "chats.toml")


@cache
def _tree() -> dict[str, Node]:
    """Both files as one tree; they share no top-level key."""
    return {k: v for name in FILES for k, v in tomllib.loads(Path(__file__).with_name(name).read_text("utf-8")).items()}


@cache
def _node(key: str) -> Node:
    node: Node = _tree()
    for part in key.split("."):
        assert isinstance(node, dict), key
        node = node[part]
    return node


def words(key: str) -> list[str]:
    """The list of texts at `key`; a single text counts as a list of one."""
    node = _node(key)
    return [node] if isinstance(node, str) else [str(item) for item in node]


def bounds(key: str) -> tuple[int, int]:
    """The pair of numbers at `key`."""
    low, high = words(key)
    return int(low), int(high)


def groups(key: str) -> list[str]:
    """The names below `key`, in the order of the file."""
    node = _node(key)
    assert isinstance(node, dict), key
    return list(node)


def pick(rng: Random, key: str, **slots: str | int) -> str:
    """One text of the list at `key` with its slots filled in."""
    return rng.choice(words(key)).format(**slots)
