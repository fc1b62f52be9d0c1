"""What is new since the run before, and how runs went: beside the manifest, in no digest."""

import json
from pathlib import Path

import pytest
from mixture_store import build_small, write_rows

from flows.executor import LocalRunner
from flows.mixes import Mix, latest_run
from flows.record import KEPT, history
from flows.report.went import PAGE
from flows.run import Finished, checked, run_with
from flows.since import FILE, News, Since, since_lines
from manifests.manifest import MANIFEST_VERSION
from shards.errors import GateError, StoreError


@pytest.fixture
def small(tmp_path: Path) -> Mix:
    return build_small(tmp_path)


def again(mix: Mix) -> Finished:
    store = mix.store
    recipe = store.root.parent / "raw" / "small.yaml"
    return run_with(checked(str(recipe), store), store, LocalRunner(None), None, lambda *_: None)


def box(mix: Mix) -> Path:
    found = mix.store.latest("runs", "small")
    assert found
    return found.path


def news(mix: Mix) -> Since:
    return Since.model_validate_json((box(mix) / FILE).read_bytes())


def test_the_first_run_is_all_new(small: Mix) -> None:
    found = news(small)
    assert (found.before, found.after, found.stages) == (None, small.manifest.digest(), [])
    assert found.scored.anew > 0 == found.scored.reused
    assert next(since_lines(found)) == "new: everything, the first mixture of recipe `small` in this store"


def test_a_run_that_changes_nothing_says_so_and_keeps_what_was_said(small: Mix) -> None:
    report, said = (box(small) / "report.html").read_bytes(), (box(small) / FILE).read_bytes()
    found = again(small).summary
    assert found.since and found.since.same and found.steps.executed == 0
    assert next(since_lines(found.since)) == f"no change since {small.manifest.digest()[:12]}"
    assert (found.since.scored.anew, found.since.judged.anew) == (0, 0) and found.since.scored.reused > 0
    assert (box(small) / "report.html").read_bytes() == report and (box(small) / FILE).read_bytes() == said


def test_a_stricter_rule_removes_rows(small: Mix) -> None:
    strict = build_small(small.store.root.parent, least=90)
    found = news(strict)
    lost = small.manifest.totals.keep - strict.manifest.totals.keep
    assert (found.before, found.after) == (small.manifest.digest(), strict.manifest.digest())
    (stage,) = found.stages
    assert (stage.total.added, stage.total.removed, stage.total.verdicts) == (0, lost, lost)
    assert stage.verdicts == {"keep": {"drop": lost}} and stage.rules == ["short changed"]
    assert stage.domains == {"chat": stage.total} and found.sources == {}
    assert News(**stage.sources["mine"].model_dump(include=set(News.model_fields))) == stage.total
    assert found.scored.anew == 0


def test_another_file_names_the_source_and_counts_the_rows_that_read_otherwise(small: Mix) -> None:
    write_rows(small.store.root.parent / "raw", changed=39)
    changed = build_small(small.store.root.parent)
    found = news(changed)
    assert found.sources == {"mine": ["files"]}
    assert found.stages[0].sources["mine"].edited == 1
    assert found.stages[0].total.removed == 1 and found.scored.anew > 0
    assert any("source `mine`: files, 1 rows with another text; 1 removed" in line for line in since_lines(found))


def test_going_back_is_told_although_the_run_is_there(small: Mix) -> None:
    root = small.store.root.parent
    strict = build_small(root, least=90)
    back = build_small(root)
    assert back.manifest.digest() == small.manifest.digest() != strict.manifest.digest()
    assert news(back).before == strict.manifest.digest() and news(back).stages[0].total.added > 0


def test_a_run_of_another_version_is_no_reason_to_stop(small: Mix) -> None:
    path = box(small) / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "manifest_version": 2}))
    with pytest.raises(StoreError, match=f"no manifest of version {MANIFEST_VERSION}: it is of version 2; run the"):
        latest_run(small.store, "small")
    found = news(build_small(small.store.root.parent, least=90))
    assert found.before is None and found.unknown and "it is of version 2" in found.unknown
    assert next(since_lines(found)).startswith("new: not known, ")


def test_a_mixture_that_is_gone_is_no_reason_to_stop(small: Mix) -> None:
    (small.box.path / "decisions.parquet").unlink()
    found = news(build_small(small.store.root.parent, least=90))
    assert found.unknown and "the mixture before cannot be read" in found.unknown


def test_each_run_has_a_record_that_adds_up(small: Mix) -> None:
    again(small)
    latest, first = history(small.store, "small")
    assert (first.outcome, latest.outcome) == ("done", "done") and first.run != latest.run
    assert first.digest == latest.digest == small.manifest.digest()
    assert first.executed > 0 == latest.executed and latest.cached > 0
    assert sum(line.elapsed_s for line in first.steps) == pytest.approx(first.seconds, abs=0.02)
    by_step = {line.step: line for line in first.steps}
    for step in ("scan", "convert", "score text"):
        own = [line for line in first.sources if line.step == step]
        assert [line.source for line in own] == ["mine"] and own[0].rows == by_step[step].rows == 400
        assert own[0].executed == by_step[step].executed > 0 and own[0].bytes > 0
    assert by_step["score pictures"].rows == 40 and by_step["mix"].rows == 400
    assert {line.step: line.cached for line in latest.steps}["score text"] == by_step["score text"].executed


def test_a_run_that_stops_has_a_record_too(small: Mix) -> None:
    (small.store.root.parent / "raw" / "rows.jsonl").write_text("no JSON\n")
    with pytest.raises(GateError) as stopped:
        again(small)
    latest = history(small.store, "small")[0]
    assert (latest.outcome, latest.error, latest.digest) == ("failed", str(stopped.value), None)


def test_old_records_go_and_broken_ones_are_left_out(small: Mix) -> None:
    folder = small.store.root / "history" / "small"
    for number in range(KEPT):
        (folder / f"20200101T000000Z-{number:012d}.json").write_text("{}")
    again(small)
    assert len(list(folder.iterdir())) == KEPT and len(history(small.store, "small")) == 2


def test_the_page_says_what_is_new_and_what_it_took(small: Mix) -> None:
    strict = build_small(small.store.root.parent, least=90)
    page = (box(strict) / PAGE).read_text()
    assert f"new since {small.manifest.digest()[:12]}" in page and "rule short changed" in page
    assert "score text" in page and "Earlier runs" in page and 'href="report.html"' in page
    assert "<script" not in page and "word1x0" not in page
    assert f'href="{PAGE}"' in (box(strict) / "report.html").read_text()


def test_no_row_text_is_kept(small: Mix) -> None:
    strict = build_small(small.store.root.parent, least=90)
    texts = [path.read_text() for path in (small.store.root / "history").rglob("*.json")]
    assert all("word" not in text for text in [*texts, (box(strict) / FILE).read_text()])
