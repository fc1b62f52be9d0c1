"""What a mixture should hold of each domain: amounts, shares or a temperature, within limits."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from manifests.operators import Written

Unit = Literal["rows", "images", "turns", "tokens"]
Positive = Annotated[float, Field(gt=0)]


class Limits(Written):
    """Smallest and largest repeat factor of a domain."""

    least: Annotated[float, Field(ge=0)] = 0
    most: Annotated[float, Field(gt=0)] = 4
    """Above four passes repeated rows are worth little. Source: arXiv 2305.16264, section 5."""

    @model_validator(mode="after")
    def _ordered(self) -> "Limits":
        if self.least > self.most:
            raise ValueError(f"`least` {self.least:g} is above `most` {self.most:g}")
        return self


class Targets(Written):
    """Repeat factors are solved so that what is emitted meets these targets, counted in `unit`.

    Exactly one of `amounts` (per domain, in units), `shares` (per domain, relative) and `temperature` (a domain's share
    is proportional to what it has to the power of 1 / temperature; 1 keeps the natural shares, large ones are even).
    Shares and temperature fill `total` units; without one, the largest total that keeps the shares within the limits.
    Domains that `amounts` or `shares` do not name keep the repeat factors that are written.
    """

    unit: Unit = "rows"
    amounts: dict[str, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)
    shares: dict[str, Positive] = Field(default_factory=dict)
    temperature: Positive | None = None
    total: Positive | None = None
    limits: Limits = Limits()
    """Limits of every domain without its own."""
    domains: dict[str, Limits] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_kind(self) -> "Targets":
        kinds = bool(self.amounts) + bool(self.shares) + (self.temperature is not None)
        if kinds != 1:
            raise ValueError("targets need exactly one of `amounts`, `shares` and `temperature`")
        if self.amounts and self.total is not None:
            raise ValueError("`amounts` are absolute; they take no `total`")
        return self
