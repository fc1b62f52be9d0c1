from typing import Any

import pytest

from manifests.manifest import Counts, DomainCounts, RunManifest, StageReport, totals
from shards.errors import ConservationError

WHOLE = Counts(
    read=12,
    quarantined=2,
    made=10,
    not_taken=1,
    keep=5,
    drop=2,
    review=1,
    unscored=1,
    duplicates=1,
    capped=1,
    written=3,
    emitted=6,
)


def test_whole_counts_pass() -> None:
    WHOLE.check("here")
    Counts().check("here")


@pytest.mark.parametrize("field", [name for name in Counts.model_fields if name != "emitted"])
@pytest.mark.parametrize("step", [-1, 1])
def test_a_count_off_by_one_is_noticed(field: str, step: int) -> None:
    wrong = WHOLE.model_copy(update={field: getattr(WHOLE, field) + step})
    with pytest.raises(ConservationError, match=r"here: `\w+` is \d+, its parts add up to \d+"):
        wrong.check("here")
    with pytest.raises(ConservationError, match="here: "):
        totals([WHOLE, wrong], "here")


def test_two_wrong_parts_do_not_cancel_out_in_the_total() -> None:
    low, high = WHOLE.model_copy(update={"drop": 1}), WHOLE.model_copy(update={"drop": 3})
    (low + high).check("the sum alone looks right")
    with pytest.raises(ConservationError):
        totals([low, high], "here")


def test_counts_add_up() -> None:
    doubled = totals([WHOLE, WHOLE], "here")
    assert doubled.model_dump() == {name: 2 * value for name, value in WHOLE.model_dump().items()}
    assert totals([], "here") == Counts()


def test_the_repeat_factor_of_a_domain() -> None:
    assert DomainCounts.of(WHOLE).repeat == 6 / 5
    assert DomainCounts.of(WHOLE.model_copy(update={"emitted": 5, "keep": 3})).repeat == 1.666667
    assert DomainCounts.of(Counts(made=3, drop=3)).repeat is None
    assert Counts(**DomainCounts.of(WHOLE).model_dump(exclude={"repeat"})) == WHOLE


def run(*digests: str, **fields: Any) -> RunManifest:
    stages = [
        StageReport(
            stage=f"s{number}",
            epochs=1,
            mix="m",
            manifest="m.json",
            digest=digest,
            totals=WHOLE,
            domains={},
            unresolved=0,
            **fields,
        )
        for number, digest in enumerate(digests)
    ]
    return RunManifest(recipe="mine", stages=stages, passes={})


def test_a_run_of_one_mixture_has_its_digest() -> None:
    assert run("abc").digest() == "abc"
    assert run("abc", "abc").digest() == "abc"


def test_a_run_of_several_mixtures_depends_on_all_and_their_order() -> None:
    digests = [run("abc", "def").digest(), run("def", "abc").digest(), run("abc", "abd").digest(), run("abc").digest()]
    assert len(set(digests)) == 4
    assert run("abc", "def").digest() == digests[0]
