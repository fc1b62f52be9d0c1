"""What a mixture of many samples costs: bytes, CPU hours, accelerator hours, money and memory, by stage; a model.

    python -m benchmarks.scale_model [--rows 10000000 100000000 1000000000] [--pictures 1] [--cores 32] ...

Prints the tables of docs/scale.md. Costs of a unit were measured, each by the command that its docstring names. What a
sample is like, prices, and how fast a judge is are parameters: put in your own. Hours and money of the judge come from
the code of `vlmix plan`, which counts row by row what is supposed here.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Final

from filters.judges.vllm import VllmJudge
from flows.pricing import Bill, charged, speed_of
from manifests.rates import Rates

SIZES: Final = (10_000_000, 100_000_000, 1_000_000_000)
_MS: Final = 1e-3
_HOUR: Final = 3600.0
_WHOLE: Final = 10
"""From here on two digits are a whole number."""
_ALONE: Final = ("mix and report", "export")
"""Stages of the main process alone."""


@dataclass(frozen=True)
class Sample:
    """What a sample is like on average, and what of it is asked and found; suppositions all."""

    pictures: float = 1
    """Distinct pictures of a sample."""
    picture_kb: float = 100
    """kB of a picture: a JPEG of 640 x 480."""
    text_kb: float = 1
    """kB of text."""
    tokens: float = 310
    """Tokens that a judge computes: the mean of ten public sources, docs/judge.md."""
    asked: float = 1
    """Share of samples that a judge is asked about, times criteria."""
    near: float = 0.02
    """Pairs of near pictures that are compared, as a share of samples."""
    exported: float = 1
    """Samples written by exports, as a share of samples; 0 for training from the store."""


@dataclass(frozen=True)
class Prices:
    """Money; examples, not offers."""

    core_hour: float = 0.04
    gb_month: float = 0.023
    accelerator_hour: float = 2.5
    tokens_per_second: float = 50_000
    """Tokens of prompts that an accelerator computes: a supposition, not measured; `vlmix judge probe` measures it."""


@dataclass(frozen=True)
class Machines:
    """What works at the same time."""

    cores: float = 32
    accelerators: float = 8


@dataclass(frozen=True)
class Unit:
    """CPU milliseconds, bytes and memory of a unit, as measured on the machine of docs/scale.md."""

    convert_gb: float = 2500
    """ms for 1 GB of pictures: `benchmarks.shards`, from 2.2 s (quiet) to 2.7."""
    convert_row: float = 0.09
    """ms: `benchmarks.scale`, step `sources`."""
    text_row: float = 0.02
    """ms beside the text itself, and"""
    text: float = 0.035
    """ms for 1 kB: docs/filters.md, 6,270 samples of 3.3 kB a CPU second; `benchmarks.scale`, 0.04 ms for 0.45 kB."""
    picture: float = 1.1
    """ms of a photo of 640 x 480, measured and hashed: `benchmarks.hashes`; a page of 2000 x 1500 takes 4."""
    mix_row: float = 0.03
    """ms in the main process: `benchmarks.scale`, steps `compact`, `mix` and `report`."""
    search_row: float = 0.006
    """ms in the main process: `benchmarks.clusters`, level `pair`."""
    comparison: float = 8.6
    """ms: `benchmarks.dedup_truth`; photos take 3 to 7."""
    export_row: float = 0.11
    """ms: `benchmarks.scale`, format `hf`."""
    export_gb: float = 1000
    """ms: read, hashed and written once more; hashing alone takes 550 (`benchmarks.shards`)."""
    samples_row: float = 150
    """Bytes of a sample in shards beside its text, which is packed to half its size."""
    scores_row: float = 200
    """Bytes of all scores and measures: twice what generated rows take, which pack well."""
    mixture_row: float = 140
    """Bytes in a mixture (scores as rules saw them, decisions, ids): twice what generated rows take."""
    search_memory: float = 250
    """Bytes a kept sample in the main process: `benchmarks.clusters`, 2.5 GiB at 10 M."""


@dataclass(frozen=True)
class Stage:
    """One line: what a stage takes for all rows."""

    name: str
    cpu_hours: float = 0
    accelerator_hours: float = 0
    gigabytes: float = 0
    """That stay on disk."""
    dollars: float = 0
    """For the work, once."""
    monthly: float = 0
    """For the disk, each month."""


def stages(rows: int, sample: Sample, prices: Prices, unit: Unit) -> list[Stage]:
    """The stages in their order.

    Storage counts what each leaves behind: raw files and packs are two copies unless a mirror is registered.
    """
    picture_gb = rows * sample.pictures * sample.picture_kb / 1e6
    text_gb = rows * sample.text_kb / 1e6
    compared = rows * sample.near
    convert = picture_gb * unit.convert_gb + rows * unit.convert_row
    text = rows * (unit.text_row + sample.text_kb * unit.text)
    mixed = rows * (unit.mix_row + unit.search_row)
    exported_gb = sample.exported * (picture_gb + text_gb)
    export = exported_gb * unit.export_gb + sample.exported * rows * unit.export_row
    scored_gb = rows * unit.scores_row / 1e9
    return [
        _stage("raw files", 0, picture_gb + text_gb, prices),
        _stage("scan, gather, convert", convert, picture_gb + text_gb / 2 + rows * unit.samples_row / 1e9, prices),
        _stage("score text", text, scored_gb / 2, prices),
        _stage("score pictures", rows * sample.pictures * unit.picture, scored_gb / 2, prices),
        _judged(rows, sample, prices),
        _stage("compare pictures", compared * unit.comparison, compared * 100 / 1e9, prices),
        _stage("mix and report", mixed, rows * unit.mixture_row / 1e9, prices),
        _stage("export", export, exported_gb, prices),
    ]


def _stage(name: str, milliseconds: float, gigabytes: float, prices: Prices) -> Stage:
    hours = milliseconds * _MS / _HOUR
    return Stage(name, hours, 0, gigabytes, hours * prices.core_hour, gigabytes * prices.gb_month)


def _judged(rows: int, sample: Sample, prices: Prices) -> Stage:
    calls = round(rows * sample.asked)
    rates = Rates(tokens_per_second=prices.tokens_per_second, price_per_hour=prices.accelerator_hour)
    asked = Bill(calls=calls, computed_tokens=round(calls * sample.tokens), output_tokens=calls)
    bill = charged(asked, rates, speed_of(rates, VllmJudge(model="any"), []))
    assert bill.accelerator_hours is not None and bill.money is not None, "all rates are given"
    # an answer is a row of a ledger: its place, a grade, a mass, a state
    gigabytes = calls * 30 / 1e9
    return Stage("judge", 0, bill.accelerator_hours, gigabytes, bill.money, gigabytes * prices.gb_month)


def table(rows: int, found: Sequence[Stage]) -> Iterator[str]:
    """The stages of one size as Markdown."""
    yield f"| {rows:,} samples | CPU hours | accelerator hours | GB | USD once | USD a month |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: |"
    for stage in [*found, total(found)]:
        values = (getattr(stage, field.name) for field in fields(Stage)[1:])
        yield f"| {stage.name} | " + " | ".join(_figure(value) for value in values) + " |"


def summary(sizes: Mapping[int, Sequence[Stage]], machines: Machines, unit: Unit) -> Iterator[str]:
    """All sizes as Markdown: hours if every core has work all the time, what the main process does alone, memory."""
    yield (
        f"| samples | CPU hours | {machines.cores:g} cores, hours | main process, hours | "
        f"{machines.accelerators:g} accelerators, hours | TB | USD once | USD a month | search, GB of memory |"
    )
    yield "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    for rows, found in sizes.items():
        whole = total(found)
        alone = sum(stage.cpu_hours for stage in found if stage.name in _ALONE)
        values = (
            whole.cpu_hours,
            (whole.cpu_hours - alone) / machines.cores,
            alone,
            whole.accelerator_hours / machines.accelerators,
            whole.gigabytes / 1000,
            whole.dollars,
            whole.monthly,
            rows * unit.search_memory / 1e9,
        )
        yield f"| {rows:,} | " + " | ".join(_figure(value) for value in values) + " |"


def total(found: Sequence[Stage]) -> Stage:
    """All stages together."""
    names = [field.name for field in fields(Stage)][1:]
    return Stage("all", *(sum(getattr(stage, name) for stage in found) for name in names))


def _figure(value: float) -> str:
    """Two digits that mean something; a dash for nothing."""
    if not value:
        return "-"
    return f"{float(f'{value:.2g}'):,.0f}" if value >= _WHOLE else f"{value:.2g}"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=SIZES)
    kinds = (Sample, Prices, Machines, Unit)
    for kind in kinds:
        for field in fields(kind):
            parser.add_argument(f"--{field.name.replace('_', '-')}", type=float, default=field.default)
    given = vars(parser.parse_args())
    made = [kind(**{field.name: given[field.name] for field in fields(kind)}) for kind in kinds]
    print("\n".join(page(given["rows"], *made)))


def page(rows: Sequence[int], sample: Sample, prices: Prices, machines: Machines, unit: Unit) -> list[str]:
    """The lines that docs/scale.md shows: the smallest size stage by stage, then all of them."""
    sizes = {each: stages(each, sample, prices, unit) for each in sorted(rows)}
    first = next(iter(sizes))
    return [*table(first, sizes[first]), "", *summary(sizes, machines, unit)]


if __name__ == "__main__":
    main()
