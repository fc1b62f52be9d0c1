"""What the heuristic rules of `vlmix-chat` find in real data, and what the filters behind them cost.

python -m benchmarks.heuristics FOLDER [--layouts] [--show RULE]

FOLDER holds the extracts alpaca, gsm8k, llamafactory, magpie and quality_ladder. Four tables: rows that no label calls
bad, by source; which rules found them; rows of Alpaca that a mechanical label calls bad, by kind and half (a hash of
the row parts the halves), with Wilson's 95 % interval; nanoseconds a byte for each filter, least of five rounds on
samples of some 3 kB in one thread. `--show` prints the rows that a rule found, to be
read. `--layouts` takes 17 sources through the whole line instead (tests/flows/real_data.yaml; some minutes).
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

os.environ.setdefault("POLARS_MAX_THREADS", "1")

import polars as pl

from filters import FILTERS, TEXT_FILTERS
from filters.answer import MESSAGES
from filters.texts import read_texts
from manifests.rules import load_rule_set, parse
from shards.markers import escape

RULES = "vlmix-chat"
COUNTED_BY_OTHERS = ("loop", "character_run")
"""Rules of repetition begin with these words; benchmarks/loops.py has their figures."""
FOUND = ("empty_output", "placeholder_output", "placeholder_input", "needs_url_content", "needs_image")
NEEDED = ("holdings",)
"""Filters of samples whose scores the rules read beside those of `TEXT_FILTERS`."""
SAMPLE_BYTES = 3000
Row = tuple[str, list[tuple[str, str]]]


def alpaca(folder: Path) -> Iterator[Row]:
    """Rows of Alpaca, labelled with the kind of their defect."""
    table = pl.read_parquet(folder / "alpaca" / "alpagasus_labels.parquet")
    for asked, given, output, defect in table.select("instruction", "input", "output", "defect").iter_rows():
        question = "\n".join(part for part in (asked, given) if part)
        yield f"defect:{defect}" if defect else "alpaca", [("user", escape(question)), ("assistant", escape(output))]


def chats(folder: Path) -> Iterator[Row]:
    """Rows of the other chat sources."""
    for line in (folder / "gsm8k" / "train.jsonl").read_text().splitlines():
        row = json.loads(line)
        yield "gsm8k", [("user", row["question"]), ("assistant", row["answer"])]
    for name in ("alpaca_en_demo", "identity"):
        for row in json.loads((folder / "llamafactory" / f"{name}.json").read_text()):
            question = "\n".join(part for part in (row["instruction"], row["input"]) if part)
            yield f"llamafactory {name}", [("user", question), ("assistant", row["output"])]
    for row in json.loads((folder / "magpie" / "example_instructions_5res_armorm.json").read_text()):
        for answer in row["responses"]:
            yield "magpie", [("user", row["instruction"]), ("assistant", answer)]


def batch_of(conversations: list[list[tuple[str, str]]]) -> pl.DataFrame:
    """Conversations as samples without pictures."""
    messages = [[{"role": role, "text": text} for role, text in turns] for turns in conversations]
    empty = pl.lit([], dtype=pl.List(pl.String))
    frame = pl.DataFrame({"messages": messages}, schema={"messages": MESSAGES})
    return frame.with_columns(empty.alias("images"), empty.alias("videos"))


def flagged(batch: pl.DataFrame) -> pl.DataFrame:
    """(n, rules) Boolean: what each rule says of each sample."""
    texts = read_texts(batch)
    frames = [kind()(texts) for kind in TEXT_FILTERS.values()] + [FILTERS[name]()(batch) for name in NEEDED]
    scores = pl.concat([frame.select(pl.exclude("^.*_state$")) for frame in frames], how="horizontal")
    known = dict(scores.schema)
    # rules of pictures read other scores
    rules = [
        rule
        for rule in load_rule_set(RULES)
        if not rule.name.startswith(COUNTED_BY_OTHERS) and set(pl.sql_expr(rule.when).meta.root_names()) <= set(known)
    ]
    return scores.select([each.true().alias(each.rule.name) for each in parse(rules, known)])


def wilson(found: int, rows: int) -> tuple[float, float]:
    """95 % interval of a share. Source: Wilson 1927."""
    if rows == 0:
        return 0.0, 1.0
    z, share = 1.96, found / rows
    middle, width = share + z * z / (2 * rows), z * math.sqrt(share * (1 - share) / rows + z * z / (4 * rows * rows))
    return (middle - width) / (1 + z * z / rows), min((middle + width) / (1 + z * z / rows), 1.0)


def quality(folder: Path, show: str | None) -> None:
    """The first three tables."""
    rows = [*alpaca(folder), *chats(folder)]
    found = flagged(batch_of([turns for _, turns in rows]))
    halves = [zlib.crc32(json.dumps(turns).encode()) % 2 for _, turns in rows]
    table = pl.DataFrame({"source": [label for label, _ in rows], "half": halves}).with_columns(
        found.select(pl.any_horizontal(pl.all())).to_series().alias("flagged")
    )
    clean = ~table["source"].str.starts_with("defect:")
    print("rows without a label of a defect, rows flagged, %")
    for source, size, count in _counted(table.filter(clean), "source"):
        print(f"  {source:28} {size:6} {count:5} {100 * count / size:6.2f}")
    print("rules that found them")
    for name in found.columns:
        count = int((found[name] & clean).sum())
        if count:
            print(f"  {name:28} {count:5}")
    print("rows with a label of a defect: kind, half, rows, found, %, 95 % interval")
    by_half = table.filter(~clean).with_columns(pl.format("{} {}", "source", "half").alias("kind"))
    for kind, size, count in _counted(by_half, "kind"):
        low, high = wilson(count, size)
        aim = "" if kind.split()[0].removeprefix("defect:") in FOUND else "  (labels mostly wrong, no aim)"
        print(f"  {kind:30} {size:5} {count:5} {100 * count / size:6.1f}  {low:.3f}..{high:.3f}{aim}")
    if show:
        for index in (found[show] & clean).arg_true():
            print(rows[index][0], json.dumps([text[-300:] for _, text in rows[index][1]], ensure_ascii=False))


def _counted(table: pl.DataFrame, by: str) -> Iterator[tuple[str, int, int]]:
    yield from table.group_by(by).agg(pl.len(), pl.col("flagged").sum()).sort(by).iter_rows()


def speed(folder: Path) -> None:
    """The fourth table."""
    conversations: list[list[tuple[str, str]]] = [[]]
    size = 0
    ladder = (folder / "quality_ladder" / "alpaca_eval_ladder.jsonl").read_text().splitlines()
    long = [
        ("quality", [("user", row["instruction"]), ("assistant", row["output"])]) for row in map(json.loads, ladder)
    ]
    rows = pl.Series("row", [*alpaca(folder), *chats(folder), *long], dtype=pl.Object)
    for _, turns in rows.sample(fraction=1, shuffle=True, seed=0).to_list():
        conversations[-1] += turns
        size += sum(len(text.encode()) for _, text in turns)
        if size >= SAMPLE_BYTES * len(conversations):
            conversations.append([])
    batch = batch_of(conversations[:3000])
    num_bytes = sum(len(text.encode()) for turns in conversations[:3000] for _, text in turns)
    texts = read_texts(batch)
    assert texts.strings.len() == len(texts.role)
    measures: dict[str, Callable[[], object]] = {"(reading)": lambda: read_texts(batch).strings}
    measures |= {name: partial(kind(), texts) for name, kind in TEXT_FILTERS.items()}
    measures |= {name: partial(FILTERS[name](), batch) for name in NEEDED}
    print(f"nanoseconds a byte, {batch.height} samples of {num_bytes / batch.height:.0f} bytes")
    for name, measure in measures.items():
        print(f"  {name:28} {_least(measure) / num_bytes * 1e9:6.2f}")


def _least(measure: Callable[[], object]) -> float:
    measure()
    times = []
    for _ in range(5):
        begin = time.process_time()
        measure()
        times.append(time.process_time() - begin)
    return min(times)


def layouts(folder: Path) -> None:
    """Rules that found something, by source, of a run over 17 sources."""
    written = (Path(__file__).parents[1] / "tests" / "flows" / "real_data.yaml").read_text()
    with tempfile.TemporaryDirectory() as place:
        recipe, out = Path(place) / "real.yaml", Path(place) / "real.parquet"
        changed = written.replace("SHARED", str(folder.resolve())).replace("[default]", f"[{RULES}]")
        recipe.write_text(changed + 'judge: "off"\n')
        store = ("--store", str(Path(place) / "store"))
        command = [sys.executable, "-m", "flows.cli"]
        run = [*command, "run", "build-sft-mix", "--recipe", str(recipe), *store, "--json"]
        subprocess.run(run, check=True, stdout=subprocess.DEVNULL)
        subprocess.run([*command, "table", "real", "--out", str(out), *store], check=True, stdout=subprocess.DEVNULL)
        table = pl.read_parquet(out).filter(pl.col("verdict") != "not_taken")
    sizes = dict(table.group_by("entry").len().iter_rows())
    named = table.explode("reasons", empty_as_null=True).drop_nulls("reasons")
    counts = named.group_by("entry", "domain", "reasons").len().sort("entry", "len", descending=[False, True])
    for entry in sorted(sizes):
        print(f"  {entry:20} {sizes[entry]:6} rows")
        for _, domain, rule, count in counts.filter(pl.col("entry") == entry).iter_rows():
            print(f"      {domain:12} {rule:24} {count:5}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--layouts", action="store_true")
    parser.add_argument("--show", metavar="RULE")
    asked_for = parser.parse_args()
    if asked_for.layouts:
        layouts(asked_for.folder)
    else:
        quality(asked_for.folder, asked_for.show)
        if not asked_for.show:
            speed(asked_for.folder)
