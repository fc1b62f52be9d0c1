"""The published rule sets decide as the packages do that publish them, given the same words; see README.md."""

import os
from functools import cache
from pathlib import Path

import pytest

from interop.environments import CannotMakeError, make, python
from interop.published import DATA_JUICER, DATATROVE, SETS, made_texts, ours, theirs

pytestmark = pytest.mark.integration

ROWS = 20_000
TEXTS = list(made_texts(ROWS, seed=6))


BY_HAND = {"data-juicer": "DATA_JUICER_PYTHON"}
"""Packages that are too large to install here, and the variable that names an interpreter that has them."""


@cache
def interpreter(name: str) -> Path:
    if name in BY_HAND:
        if BY_HAND[name] not in os.environ:
            pytest.skip(f"NOT COMPARED: `{BY_HAND[name]}` names no interpreter with {name}; see README.md")
        return Path(os.environ[BY_HAND[name]])
    try:
        make(name)
    except CannotMakeError as error:
        pytest.skip(f"NOT COMPARED: the environment `{name}` cannot be made on this machine: {error}")
    return python(name)


@pytest.mark.parametrize("package", SETS)
def test_rules_agree_with_the_package(package: str) -> None:
    found, expected = ours(TEXTS, SETS[package]), theirs(TEXTS, package, interpreter(package))
    assert len(expected) == ROWS
    names = {
        name for name in (DATATROVE | DATA_JUICER).values() if name.startswith("juicer") == (package != "datatrove")
    }
    seldom = {"gopher_many_words"}
    assert {name for name in names if sum(name in row for row in expected) < 20} <= seldom
    for one, other, text in zip(found, expected, TEXTS, strict=True):
        # upstream looks no further: no text, no words to divide by, a page that goes as a whole
        if other & {"empty", "error"}:
            assert one, text
            continue
        if "gopher_hashes" in other:  # one option for both, and the first reason is told
            one.discard("gopher_ellipses")
            other.discard("gopher_ellipses")
        c4 = {name for name in other if name.startswith("c4")}
        assert {name for name in one if not name.startswith("c4")} == other - c4, text
        assert c4 <= one and bool(c4) == any(name.startswith("c4") for name in one), text
