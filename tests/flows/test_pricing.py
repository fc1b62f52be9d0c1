"""What a plan says of its judge's cost, held against what a build then does, and against the prompts themselves."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from commands import DemoBuild, Vlmix
from tiny_model import make_wording

from filters.judges.base import Request
from filters.judges.layout import load_layout
from filters.judges.prompt import load_prompt, prompt_ids
from filters.judges.score import render
from flows.executor import LocalRunner
from flows.mixes import find_one
from flows.pricing import JudgePrice, price
from flows.probing import probe
from flows.rates import RatesFile, read_rates
from flows.run import checked, run_with
from flows.speed import Probe, measure, probe_lines, write_rates
from manifests.rates import Rates
from shards.errors import UsageError
from shards.store import Store

LOOP = "it turns and turns and turns again, " * 30
PAIRS = [("Name a fruit.", f"An apple of kind {number}, {'and ' * (number % 4)}a good one.") for number in range(40)]
PAIRS += [("Tell me more.", LOOP + str(number)) for number in range(6)] + [("Empty?", "")] * 4
ASK_WHEN = {"repetition": "dup_ngram_share >= 0.1"}


@pytest.fixture(scope="module")
def wording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rubrics = "\n".join(load_prompt(prompt_id).text for prompt_id in prompt_ids())
    return make_wording(tmp_path_factory.mktemp("wording"), rubrics)


def recipe(folder: Path, judge: Any, **more: Any) -> str:
    rows = [{"question": question, "answer": answer} for question, answer in PAIRS]
    (folder / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = {"layout": "table", "files": "data.jsonl", "columns": {"user": ["question"], "assistant": ["answer"]}}
    written = {"name": "priced", "rules": {"extends": ["default"]}, "dedup": {"level": "off"}, "judge": judge}
    path = folder / "recipe.yaml"
    # JSON is YAML
    path.write_text(json.dumps({**written, "entries": [{"id": "mine", "source": source}], **more}))
    return str(path)


def http(wording: Path, **more: Any) -> dict[str, Any]:
    fixed = {"backend": "http", "model": "m", "urls": ["http://127.0.0.1:9", "http://127.0.0.1:10"]}
    return {**fixed, "options": {"tokenizer": str(wording)}, "ask_when": ASK_WHEN, **more}


def priced(path: str, store: Store, rates: RatesFile | None = None) -> JudgePrice:
    found = price(checked(path, store, count=True), store, rates)
    assert found is not None
    return found


def built(path: str, store: Store) -> Any:
    return run_with(checked(path, store), store, LocalRunner(None), None, lambda step, done: None)


def test_before_a_build_only_rows_are_known(tmp_path: Path, wording: Path) -> None:
    found = priced(recipe(tmp_path, http(wording, rates={"tokens_per_second": 100})), Store(tmp_path / "store"))
    assert [(bill.criterion, bill.basis, bill.calls) for bill in found.sources] == [
        ("quality", "rows taken", len(PAIRS)),
        ("repetition", "rows taken", len(PAIRS)),
    ]
    assert (found.total.calls, found.total.output_tokens) == (100, 100)
    assert found.total.computed_tokens is None and found.total.hours is None and found.total.money is None
    assert found.reasons == ["source `mine`: tokens of its samples unknown until it is built"]


def test_a_built_source_is_counted_as_a_build_then_asks(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    path = recipe(tmp_path, {"backend": "tiny", "ask_when": ASK_WHEN})
    judged = built(path, store).built.mixtures["sft"].manifest.judged
    again = recipe(tmp_path, {"backend": "tiny", "ask_when": {}})
    for changed in (path, again):
        found = {bill.criterion: bill for bill in priced(changed, store).sources}
        assert {bill.basis for bill in found.values()} == {"scores in the store"}
        assert found["quality"].concerned == judged["quality"].concerned == len(PAIRS)
        # the ledger answers everything that was asked before
        assert (found["quality"].calls, found["quality"].answered) == (0, judged["quality"].asked)
    path = recipe(tmp_path, {"backend": "tiny", "ask_when": ASK_WHEN})
    spared = {bill.criterion: bill for bill in priced(path, store).sources}["repetition"]
    assert spared.calls is not None and spared.calls + spared.answered < found["repetition"].calls + spared.answered
    assert judged["repetition"].asked <= spared.calls + spared.answered <= 6


def test_tokens_are_those_of_the_prompts(tmp_path: Path, wording: Path) -> None:
    store = Store(tmp_path / "store")
    more = {"tokenizer": str(wording / "tokenizer.json")}
    built(recipe(tmp_path, "tiny", **more), store)
    path = recipe(tmp_path, http(wording), **more)
    found = {bill.criterion: bill for bill in priced(path, store).sources}["quality"]
    scores = find_one(store, "priced").scores
    layout = load_layout(str(wording), 8192)
    computed = tokens = 0
    seen = set()
    open_rows = scores["quality_state"].ne_missing("not_asked").to_list()
    domains = scores["judge_domain"].fill_null("general")
    for (question, answer), domain, is_open in zip(PAIRS, domains, open_rows, strict=True):
        text = render([{"role": "user", "text": question}, {"role": "assistant", "text": answer}])
        prompt = layout.prompt(Request(f"quality_{domain}", text))
        if is_open:
            frame = layout.frame(f"quality_{domain}")
            computed += len(prompt.ids) - frame.shared * (domain in seen)
            tokens += len(prompt.ids)
            seen.add(domain)
    assert found.calls == sum(open_rows) >= 40
    assert found.computed_tokens == pytest.approx(computed, rel=0.05)
    assert found.computed_tokens + found.cached_tokens == pytest.approx(tokens, rel=0.02)


def test_hours_and_money_follow_the_rates(tmp_path: Path, wording: Path) -> None:
    store = Store(tmp_path / "store")
    built(recipe(tmp_path, "tiny"), store)
    rates = {"tokens_per_second": 50.0, "price_per_hour": 3.0, "currency": "EUR"}
    found = priced(recipe(tmp_path, http(wording, rates=rates)), store)
    tokens = found.total.computed_tokens
    # two servers, each with an accelerator
    assert tokens and found.total.hours == pytest.approx(tokens / 100 / 3600)
    assert found.total.accelerator_hours == pytest.approx(2 * found.total.hours)
    assert found.total.money == pytest.approx(3 * found.total.accelerator_hours)
    assert found.known == found.total and found.reasons == []
    file = RatesFile(judge=found.judge, rates=Rates(tokens_per_second=100, replicas=5, accelerators=4))
    other = priced(recipe(tmp_path, http(wording, rates=rates)), store, file)
    assert other.total.hours == pytest.approx(tokens / 500 / 3600)
    assert other.total.accelerator_hours == pytest.approx(20 * other.total.hours)
    assert other.rates.currency == "EUR" and other.total.money == pytest.approx(3 * other.total.accelerator_hours)


def test_without_a_rate_there_is_no_price(tmp_path: Path, wording: Path) -> None:
    store = Store(tmp_path / "store")
    built(recipe(tmp_path, "tiny"), store)
    path = recipe(tmp_path, http(wording))
    found = priced(path, store)
    assert found.total.computed_tokens and found.total.hours is None
    assert found.reasons == ["no `tokens_per_second` in the rates; `vlmix judge probe` measures it"]
    of_another = priced(path, store, RatesFile(judge="http-other", rates=Rates(tokens_per_second=1)))
    assert of_another.total.hours is None and "are those of judge `http-other`" in of_another.reasons[0]
    absent = priced(recipe(tmp_path, http(tmp_path / "nowhere")), store)
    assert absent.judge is None and absent.total.calls and absent.total.computed_tokens is None
    assert "expected a folder with tokenizer.json" in absent.reasons[0]


def test_rates_change_no_mixture(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    first = built(recipe(tmp_path, {"backend": "tiny"}), store).summary
    second = built(recipe(tmp_path, {"backend": "tiny", "rates": {"tokens_per_second": 5}}), store).summary
    assert (second.digest, second.mix, second.steps.executed) == (first.digest, first.mix, 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rates: {tokens_per_second: 0}", "greater than 0"),
        ("rates: {token_per_second: 9}", "token_per_second"),
        ("seconds: 3", "rates"),
        ("rates: [", "rates `"),
    ],
)
def test_a_file_of_rates_that_is_not_understood_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "rates.yaml").write_text(text)
    with pytest.raises(UsageError, match=message):
        read_rates(tmp_path / "rates.yaml")
    with pytest.raises(UsageError, match=r"absent\.yaml`: No such file"):
        read_rates(tmp_path / "absent.yaml")


@pytest.mark.integration
def test_the_commands(vlmix: Vlmix, small_demo: DemoBuild, tmp_path: Path) -> None:
    demo = small_demo.copy(tmp_path / "demo")
    plan = vlmix("plan", "demo", "--store", demo.store, "--json").document["judge"]
    assert {bill["basis"] for bill in plan["sources"]} == {"scores in the store"}
    assert plan["total"]["calls"] is not None and plan["total"]["money"] is None
    shown = vlmix("plan", "demo", "--store", demo.store).out
    assert "judge tiny-" in shown and "the embedded judge reads no tokens" in shown
    found = vlmix("judge", "probe", "demo.charts", "--recipe", "demo", "--rows", "20", "--store", demo.store, "--json")
    assert (found.document["rows"], found.document["tokens_per_second"]) == (20, None)
    refused = vlmix(
        *("judge", "probe", "demo.charts", "--recipe", "demo", "--out", tmp_path / "r.yaml", "--store", demo.store)
    )
    assert refused.code == 2 and "no rate in tokens" in refused.err and not (tmp_path / "r.yaml").exists()


def test_a_probe_of_a_table(tmp_path: Path) -> None:
    rows = pl.DataFrame({"question": [pair[0] for pair in PAIRS], "answer": [pair[1] for pair in PAIRS]})
    rows.write_parquet(tmp_path / "rows.parquet")
    store, path = Store(tmp_path / "store"), recipe(tmp_path, "tiny")
    found = probe(path, store, source=str(tmp_path / "rows.parquet"), rows=30, criterion="repetition")
    assert (found.prompt, found.rows, sum(found.states.values())) == ("repetition", 30, 30)
    assert found.samples_per_second == pytest.approx(30 / found.seconds) and found.computed_per_sample is None
    assert len(probe_lines(found)) == 2
    with pytest.raises(UsageError, match="neither a file nor a source that was built"):
        probe(path, store, source="nothing", rows=30, criterion="quality")
    with pytest.raises(UsageError, match="no criterion `beauty`"):
        probe(path, store, source=str(tmp_path / "rows.parquet"), rows=30, criterion="beauty")
    assert not (tmp_path / "store" / "scores").exists(), "no answer is kept"


def test_what_a_probe_writes_a_plan_reads(tmp_path: Path) -> None:
    figures = {"seconds": 2.0, "samples_per_second": 5.0, "tokens_per_sample": 700.0, "computed_per_sample": 120.0}
    found = Probe(
        judge="http-m-1",
        criterion="quality",
        prompt="quality_general",
        rows=10,
        states={"scored": 10},
        computed_by="engine",
        own_per_sample=100.0,
        tokens_per_second=600.0,
        replicas=2,
        **figures,
    )
    write_rates(found, tmp_path / "rates.yaml")
    read = read_rates(tmp_path / "rates.yaml")
    assert (read.judge, read.rates) == ("http-m-1", Rates(tokens_per_second=300.0))
    assert "price_per_hour" not in yaml.safe_load((tmp_path / "rates.yaml").read_text())["rates"]
    with pytest.raises(UsageError, match="scored no row"):
        write_rates(found.model_copy(update={"states": {"engine_error": 10}}), tmp_path / "rates.yaml")


def test_a_probe_of_silent_servers_is_no_rate(tmp_path: Path, wording: Path) -> None:
    # nobody listens on these ports
    path = recipe(tmp_path, http(wording, options={"tokenizer": str(wording), "patience_s": 0.0}))
    judge = checked(path, Store(tmp_path / "store")).judge
    assert judge is not None
    found = measure(judge, [Request("repetition", f"=== user ===\nrow {number}") for number in range(8)], "repetition")
    assert found.states == {"engine_error": 4} and found.computed_by == "layout" and found.replicas == 2
    with pytest.raises(UsageError, match="scored no row"):
        write_rates(found, tmp_path / "rates.yaml")
