"""The chat template of a model, rendered as its publisher means it and without a clock."""

from typing import Final, NoReturn

from jinja2.exceptions import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from filters.judges.model import ModelFiles
from shards.errors import UsageError


def chat(rubric: str, question: str) -> list[dict[str, str]]:
    """The rubric as the system's turn and the question, with its sample, as the user's."""
    return [{"role": "system", "content": rubric}, {"role": "user", "content": question}]


def render_chat(files: ModelFiles, rubric: str, question: str) -> str:
    """The prompt up to where the model answers; without a thought, where the template can leave it out.

    Templates that know no system turn get the rubric at the head of the user's.

    Raises:
        UsageError: the template fails on both.
    """
    alone = [{"role": "user", "content": f"{rubric}\n{question}"}]
    try:
        return _render(files, chat(rubric, question))
    except TemplateError:
        try:
            return _render(files, alone)
        except TemplateError as error:
            raise UsageError(f"the chat template fails: {error}") from error


def _render(files: ModelFiles, messages: list[dict[str, str]]) -> str:
    return _ENVIRONMENT.from_string(files.template).render(
        messages=messages,
        add_generation_prompt=True,
        enable_thinking=False,
        raise_exception=_refuse,
        **files.specials,
    )


def _refuse(message: str) -> NoReturn:
    raise TemplateError(message)


# The settings of transformers' `apply_chat_template`. It also offers `strftime_now`; without it the templates that
# would write today's date write the one they were published with, and prompts stay the same from day to day.
_ENVIRONMENT: Final = ImmutableSandboxedEnvironment(
    trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
)
