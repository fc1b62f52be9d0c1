"""Quantiles against numpy's, bit by bit."""

import numpy as np
import pytest

from manifests.likeness_ranks import ranked

RNG = np.random.default_rng(3)
VALUES = {
    "one": np.array([0.7]),
    "two": np.array([3.0, 1.0]),
    "ties": RNG.integers(0, 4, (31, 7)).astype(float),
    "nothing": np.zeros((5, 5)),
    "even": RNG.random((20, 30)),
    "odd": RNG.random((21, 31)),
    "wide": np.exp(RNG.normal(0, 40, (60, 50))),
    "with nothing": np.maximum(RNG.normal(0, 1, 999), 0.0),
}


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_quantiles_are_those_of_numpy(values) -> None:
    found = ranked(values)
    assert found.number == values.size
    assert found.median() == np.median(values)
    for share in (0.0, 0.01, 1 / 3, 0.5, 0.9, 0.98, 0.9937, 1.0, *RNG.random(50)):
        assert found.quantile(share) == np.quantile(values, share), share
    assert found.quantile(98 / 100) == np.percentile(values, 98)


@pytest.mark.parametrize("share", [0.02, 0.5, 0.99])
def test_only_what_the_mask_names_counts(share: float) -> None:
    values = VALUES["wide"]
    mask = RNG.random(values.shape) < share
    found = ranked(values, mask)
    assert found.number == mask.sum() > 0
    assert found.median() == np.median(values[mask])
    for each in RNG.random(50):
        assert found.quantile(each) == np.quantile(values[mask], each)


def test_no_value_is_a_number_of_none() -> None:
    assert ranked(VALUES["even"], np.zeros((20, 30), bool)).number == 0
