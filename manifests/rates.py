"""What a judge's work is charged at: how fast it is, how many accelerators work, and what an hour of one costs."""

from typing import Annotated

from pydantic import Field

from manifests.operators import Written

Positive = Annotated[float, Field(gt=0)]


class Rates(Written):
    """Rates of a judge, as somebody measured or agreed them; what is null is not known. No fingerprint covers them."""

    tokens_per_second: Positive | None = None
    """Tokens of prompts that one replica computes in a second, those found in its cache not counted."""
    replicas: Annotated[int, Field(ge=1)] | None = None
    """Engines that work at the same time; null: one for each server in `urls`, or the judge's `replicas`."""
    accelerators: Annotated[int, Field(ge=1)] | None = None
    """Accelerators of one replica; null: the judge's `tensor_parallel`, or 1."""
    price_per_hour: Annotated[float, Field(ge=0)] | None = None
    """Of one accelerator."""
    currency: Annotated[str, Field(min_length=1, max_length=12)] = "USD"
    """What `price_per_hour` is in."""

    def under(self, other: "Rates") -> "Rates":
        """These rates where the other says nothing."""
        return Rates(**(self.model_dump(exclude_unset=True) | other.model_dump(exclude_unset=True)))
