import json

import polars as pl
import pytest

from filters.native import Native


@pytest.mark.parametrize(
    ("native", "value", "state"),
    [
        ({"clip": "0.31"}, 0.31, None),
        ({"clip": 3}, 3.0, None),
        ({"clip": " -1e-3 "}, -0.001, None),
        ({}, None, "not_applicable"),
        ({"clip": None}, None, "not_applicable"),
        ({"clip": "high"}, None, "error"),
        ({"clip": ""}, None, "error"),
        ({"clip": "nan"}, None, "error"),
        ({"clip": "inf"}, None, "error"),
        ({"clip": "1_000"}, None, "error"),
        ({"clip": True}, None, "error"),
        ({"clip": [1]}, None, "error"),
        ({"clip": 10**400}, None, "error"),
    ],
)
def test_values_and_states(native, value, state):
    batch = pl.DataFrame({"meta": [json.dumps({"native": native})]})
    assert Native("x", "clip")(batch).row(0) == (value, state)


def test_the_score_is_named_after_the_parameter():
    filter_ = Native(name="aesthetic", column="AES score.v1")
    assert dict(filter_.writes) == {"native_aesthetic": pl.Float64}
    batch = pl.DataFrame({"meta": ['{"native": {"AES score.v1": "5.5"}}', '{"id": 3}']})
    assert filter_(batch).to_dict(as_series=False) == {
        "native_aesthetic": [5.5, None],
        "native_aesthetic_state": [None, "not_applicable"],
    }
