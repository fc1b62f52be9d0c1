"""The rubrics in `prompts/`: Markdown files with a strict head, read once and known by the hash of their text."""

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shards.complaint import complaint
from shards.errors import UsageError

PROMPTS: Final = Path(__file__).parent / "prompts"


class Head(BaseModel):
    """The lines between `---` at the top of a prompt file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern="^[a-z][a-z_]*$")
    version: int = Field(ge=1)
    scale: str = Field(min_length=1)
    """Which end is good, for people."""
    source: str = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Prompt:
    """A rubric as a judge reads it.

    Attributes:
        id: stem of its file.
        version: raised by whoever changes the text.
        text: the rubric, ending in the table of grades 0..10; the backend adds the labels to answer with.
        sha256: 64 hex digits of `text`; part of the name of every ledger of answers to it.
    """

    id: str
    version: int
    text: str
    sha256: str


def prompt_ids() -> list[str]:
    """Every prompt there is, sorted."""
    return sorted(path.stem for path in PROMPTS.glob("*.md"))


@cache
def load_prompt(prompt_id: str) -> Prompt:
    """The prompt of a name.

    Raises:
        UsageError: there is none, or its file is not understood.
    """
    path = PROMPTS / f"{prompt_id}.md"
    if prompt_id not in prompt_ids():
        raise UsageError(f"no prompt `{prompt_id}`; known: {', '.join(prompt_ids())}")
    return parse_prompt(path.read_text(encoding="utf-8"), prompt_id)


def parse_prompt(document: str, prompt_id: str) -> Prompt:
    """A prompt from the text of its file.

    Raises:
        UsageError: no head between lines `---`, a word in it that is not known or missing, or another id.
    """
    opening, _, rest = document.partition("---\n")
    head, found, text = rest.partition("\n---\n")
    if opening or not found:
        raise UsageError(f"prompt `{prompt_id}`: expected a head between two lines `---` at the top")
    try:
        matter = Head.model_validate(yaml.safe_load(head))
    except (ValidationError, yaml.YAMLError) as error:
        why = complaint(error) if isinstance(error, ValidationError) else str(error).partition("\n")[0]
        raise UsageError(f"prompt `{prompt_id}`: {why}") from error
    if matter.id != prompt_id:
        raise UsageError(f"prompt `{prompt_id}`: its head says `id: {matter.id}`")
    body = text.strip() + "\n"
    return Prompt(matter.id, matter.version, body, hashlib.sha256(body.encode()).hexdigest())
