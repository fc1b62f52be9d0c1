"""The declaration of a source: one catalogue entry, or the inline form inside a recipe."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

SourceName = Annotated[str, Field(pattern=r"^[a-z0-9_.-]+$", max_length=120)]
Glob = Annotated[str, Field(min_length=1)]


class Columns(BaseModel):
    """Which columns of a `table` make a sample; a dot reaches into nested objects (`answers.0.text`).

    Several columns of one role are joined by one newline, empty ones left out. `images` holds column names, or a
    template such as `tables/{id}.png` with column names in braces.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str | None = None
    system: tuple[str, ...] = ()
    user: tuple[str, ...] = ()
    assistant: tuple[str, ...] = ()
    document: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    meta: tuple[str, ...] = ()


class SourceBody(BaseModel):
    """How the raw files of a source are read; the same in the catalogue and inline.

    `files` are globs relative to the source's base folder (the recipe's folder for an inline source), or absolute.
    `root` is the folder, relative to the same base or absolute, that picture paths in records are joined to. `archive`
    is a glob of tar files, or of raw pieces of one tar, that hold the pictures instead.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    layout: str
    files: tuple[Glob, ...] = ()
    root: str = "."
    archive: Glob | None = None
    split: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")] = "train"
    columns: Columns | None = None
    prompt: str | None = None
    """Question asked where the publisher gives an answer only (captions)."""
    native: tuple[str, ...] = ()
    """Published numeric columns offered as scores `native_NAME`."""
    licence: str = "unknown"
    rows: Annotated[int, Field(ge=0)] | None = None
    """Rows expected; another count stops the flow."""
    rows_basis: Literal["card", "paper", "file name", "generator", "counted"] | None = None
    quarantine_limit: Annotated[float, Field(ge=0, le=1)] = 0.2
    """Share of rows in quarantine above which the flow stops."""

    @model_validator(mode="before")
    @classmethod
    def _one_glob_is_a_list(cls, data: object) -> object:
        # YAML writers put one glob as a string; this is the one place where two spellings are allowed, because the
        # recipes in the documentation of every trainer do it.
        if isinstance(data, dict) and isinstance(data.get("files"), str):
            return {**data, "files": (data["files"],)}
        return data


class Source(SourceBody):
    """One published subset, as the catalogue declares it."""

    name: SourceName
    repo: str | None = None
    """Hub id, or `demo` for the embedded publishers."""
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] | None = None
    pictures: Literal["pack", "reference"] = "pack"
    """`reference`: picture bytes stay where they are (registered mirrors)."""
