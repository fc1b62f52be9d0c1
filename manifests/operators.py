"""What an entry takes of its source: the operators of published recipes, as people write them."""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$", max_length=120)]
Percent = Annotated[float, Field(ge=0, le=100)]

_NEEDS: Final[dict[str, frozenset[str]]] = {
    "all": frozenset(),
    "first": frozenset({"rows", "percent", "fraction"}),
    "end": frozenset({"rows", "percent", "fraction"}),
    "random": frozenset({"rows", "percent", "fraction"}),
    "top": frozenset({"rows", "percent", "fraction"}),
    "even": frozenset({"rows"}),
    "exclude": frozenset({"file"}),
}
"""Per kind of take, the amounts of which exactly one must be written."""


class Written(BaseModel):
    """A model that a person writes: frozen, and every unknown word is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Take(Written):
    """Which rows of the source enter, in its published order.

    `all`; the first, last (`end`) or N `random` ones; N `even`ly spaced ones; the `top` ones by a score; or all but
    the row numbers that a file lists (`exclude`). An amount is `rows`, or `percent` or `fraction` of the rows as
    published. No take ever repeats a row: an amount above the rows there are takes all.

    `random` orders rows by a hash of recipe seed, entry id and key, so a larger take contains a smaller one, and the
    order of the recipe changes nothing.
    """

    kind: Literal["all", "first", "end", "random", "even", "top", "exclude"] = "all"
    rows: Annotated[int, Field(ge=0)] | None = None
    percent: Percent | None = None
    fraction: Annotated[float, Field(ge=0, le=1)] | None = None
    rounding: Literal["ceil", "floor", "float-floor"] | None = None
    """How `percent` or `fraction` becomes rows. `ceil`: LLaVA-NeXT, the default of `percent`. `float-floor`: InternVL's
    `int(rows * fraction)` in binary floating point, the default of `fraction`: 0.29 of 100 rows is 28. `floor`: of the
    decimal number as written."""
    by: Identifier | None = None
    """Score that `top` orders by, highest first; ties in published order. Rows without the score are not taken."""
    file: str | None = None
    """JSON list of row numbers to leave out, relative to the recipe (VILA's `name@folder`)."""

    @model_validator(mode="after")
    def _one_amount(self) -> "Take":
        needs = _NEEDS[self.kind]
        given = {name for name in ("rows", "percent", "fraction", "file") if getattr(self, name) is not None}
        if given - needs or len(given) != bool(needs):
            wanted = " or ".join(f"`{name}`" for name in ("rows", "percent", "fraction", "file") if name in needs)
            raise ValueError(f"`{self.kind}` takes {f'exactly one of {wanted}' if needs else 'no amount'}")
        if (self.by is not None) != (self.kind == "top"):
            raise ValueError("`by` names the score of `top`, and of nothing else")
        if self.rounding and self.percent is None and self.fraction is None:
            raise ValueError("`rounding` needs `percent` or `fraction`")
        return self


class Slice(Written):
    """The part of a source that an entry means, in percent of its rows: from int(rows x start) to int(rows x end).

    For published entries that are one file of several (`pixmo_cap_part_1`). `take` counts within the slice.
    """

    start: Percent = 0
    end: Percent = 100

    @model_validator(mode="after")
    def _forward(self) -> "Slice":
        if self.start >= self.end:
            raise ValueError(f"slice from {self.start:g} to {self.end:g} percent is empty")
        return self
