"""The chat template of a model, rendered as its publisher means it and without a clock."""

from collections.abc import Sequence
from typing import Final, NoReturn

from jinja2.exceptions import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from filters.judges.model import ModelFiles
from shards.errors import UsageError

Part = dict[str, object]
"""One part of a turn: `{"type": "text", "text": ...}`, or a picture."""
PICTURE: Final[Part] = {"type": "image"}
"""A picture as templates know it."""


def words(text: str) -> Part:
    """A part of a turn that is text."""
    return {"type": "text", "text": text}


def chat(rubric: str, question: object) -> list[dict[str, object]]:
    """The rubric as the system's turn and the question, with its sample, as the user's."""
    return [{"role": "system", "content": rubric}, {"role": "user", "content": question}]


def render_chat(files: ModelFiles, rubric: str, question: str) -> str:
    """The prompt up to where the model answers; without a thought, where the template can leave it out.

    Templates that know no system turn get the rubric at the head of the user's.

    Raises:
        UsageError: the template fails on both.
    """
    alone: list[dict[str, object]] = [{"role": "user", "content": f"{rubric}\n{question}"}]
    return _first(files, [chat(rubric, question), alone])


def render_pictures(files: ModelFiles, rubric: str, question: str, pictures: Sequence[Part]) -> str:
    """As `render_chat`, with pictures before the question; for templates whose turns have parts.

    Raises:
        UsageError: the template fails.
    """
    split: list[dict[str, object]] = [
        {"role": "system", "content": [words(rubric)]},
        {"role": "user", "content": [*pictures, words(question)]},
    ]
    alone: list[dict[str, object]] = [{"role": "user", "content": [*pictures, words(f"{rubric}\n{question}")]}]
    return _first(files, [split, alone])


def render_turns(files: ModelFiles, turns: list[dict[str, object]]) -> str | None:
    """A conversation that is over, by the template; None where it refuses these turns."""
    try:
        return _render(files, turns, answer=False)
    except TemplateError:
        return None


def _first(files: ModelFiles, forms: Sequence[list[dict[str, object]]]) -> str:
    """The first form that the template does not refuse."""
    *others, last = forms
    for form in others:
        try:
            return _render(files, form)
        except TemplateError:
            continue
    try:
        return _render(files, last)
    except TemplateError as error:
        raise UsageError(f"the chat template fails: {error}") from error


def _render(files: ModelFiles, messages: list[dict[str, object]], *, answer: bool = True) -> str:
    try:
        return _ENVIRONMENT.from_string(files.template).render(
            messages=messages,
            add_generation_prompt=answer,
            enable_thinking=False,
            raise_exception=_refuse,
            **files.specials,
        )
    except TypeError as error:  # a template that joins strings got a turn with parts
        raise TemplateError(str(error)) from error


def _refuse(message: str) -> NoReturn:
    raise TemplateError(message)


# The settings of transformers' `apply_chat_template`. It also offers `strftime_now`; without it the templates that
# would write today's date write the one they were published with, and prompts stay the same from day to day.
_ENVIRONMENT: Final = ImmutableSandboxedEnvironment(
    trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
)
