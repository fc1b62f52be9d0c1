"""Loops found and right repetition left alone, beside the published checks: python -m benchmarks.loops [FOLDER].

Prints the figures of docs/filters.md. Without FOLDER, a folder of real rows in their publishers' forms (repetition,
alpaca, gsm8k, quality_ladder, magpie, llamafactory), only the generated texts and the speed are measured.
"""

import hashlib
import json
import re
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from math import sqrt
from pathlib import Path
from random import Random

import polars as pl
import yaml

from benchmarks.loop_corpus import BAD, GOOD, KINDS, texts
from filters.answer import MESSAGES
from filters.char_run import CharRuns
from filters.duplicates import DuplicateShares
from filters.gopher import Gopher
from filters.loops import Loops
from filters.texts import read_texts

RULE_SETS = Path(__file__).parents[1] / "manifests" / "rules"

INTERNVL = 0.4
"""Limit of the check in InternVL's trainer."""

Pairs = list[tuple[str, str]]
"""Questions and answers."""


def batch(pairs: Iterable[tuple[str, str]]) -> pl.DataFrame:
    """Conversations of one turn."""
    rows = [[{"role": "user", "text": q}, {"role": "assistant", "text": a}] for q, a in pairs]
    return pl.DataFrame({"messages": rows}, schema={"messages": MESSAGES})


def rules(name: str, *parts: str) -> list[pl.Expr]:
    """Predicates of a rule set, of the rules with one of these in their names."""
    listed = yaml.safe_load((RULE_SETS / f"{name}.yaml").read_text())["list"]
    return [pl.sql_expr(rule["when"]) for rule in listed if any(part in rule["name"] for part in parts)]


def scores(pairs: Iterable[tuple[str, str]]) -> pl.DataFrame:
    """All scores of repetition, and `flagged`."""
    read = read_texts(batch(pairs))
    found = pl.concat([score(read) for score in (Loops(), DuplicateShares(), CharRuns())], how="horizontal")
    return found.with_columns(flagged=pl.any_horizontal(rules("vlmix-chat", "loop", "character_run")))


def internvl(text: str) -> bool:
    """InternVL's trainer: distinct 10-grams seen more than once, of all, above 0.4."""
    words = text.split()
    grams = Counter(zip(*(words[i:] for i in range(10)), strict=False))
    return bool(grams) and sum(count > 1 for count in grams.values()) / sum(grams.values()) > INTERNVL


def gopher(answers: pl.Series) -> pl.Series:
    """Whether Gopher's rules on repetition (arXiv 2112.11446, table A1) flag each text."""
    found = Gopher()(read_texts(batch(("", text) for text in answers)))
    return found.select(pl.any_horizontal(rules("gopher", "_dup_", "_top_")).alias("Gopher repetition")).to_series()


def periodic_tail(text: str) -> bool:
    """A verbatim loop of three copies or more at the end that covers 0.3 of the text."""
    mirror = re.sub(r"\s+", " ", text.strip())[::-1]
    for period in range(1, len(mirror) // 3 + 1):
        same = period
        while same < len(mirror) and mirror[same] == mirror[same - period]:
            same += 1
        if same >= max(3 * period, 50) and same >= 0.3 * len(mirror):
            return True
    return False


SURE, MANY, LONG, STRONG = 0.9, 6, 600, 30
"""Confidence and copies of loops that are cut; characters of the answers they are put into; win rate in percent."""

PEERS: dict[str, Callable[[str], bool]] = {
    "InternVL 10-gram": internvl,
    "periodic tail": periodic_tail,
}


def interval(hits: int, of: int) -> str:
    """A share with its 95 % Wilson interval, in percent."""
    if of == 0:
        return "-"
    z, share = 1.96, hits / of
    middle, half = share + z * z / (2 * of), z * sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    low, high = ((middle + sign * half) / (1 + z * z / of) for sign in (-1, 1))
    return f"{hits}/{of} = {100 * share:.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def corpus() -> None:
    """Share of the generated texts that are flagged, by shape and kind."""
    for title, shapes in (("loops", BAD), ("right repetition", GOOD)):
        made = texts(shapes, seeds=10)
        frame = pl.DataFrame(made, schema=["shape", "kind", "size", "text"], orient="row")
        frame = frame.hstack(scores(("What is it?", text) for text in frame["text"]))
        frame = frame.with_columns(pl.col("flagged").cast(pl.Float64) * 100)
        print(f"{title}, % flagged by kind of text, {frame.height} texts")
        print(frame.pivot(on="kind", index="shape", values="flagged", aggregate_function="mean"))
        print(frame.pivot(on="size", index="shape", values="flagged", aggregate_function="mean"))


def labelled(folder: Path) -> pl.DataFrame:
    """The labelled rows with scores and `held`: whether the row lies in the half that was not tuned on."""
    rows = pl.read_ndjson(folder / "repetition" / "repetition_labels.jsonl").select("instruction", "output", "label")
    held = [hashlib.sha256(text.encode()).digest()[0] % 2 == 1 for text in rows["instruction"]]
    return rows.hstack(scores(rows.select("instruction", "output").iter_rows())).with_columns(held=pl.Series(held))


def labels(found: pl.DataFrame) -> None:
    """Rows flagged by label, in both halves, and by the published checks."""
    for name, judge in PEERS.items():
        found = found.with_columns(found["output"].map_elements(judge, return_dtype=pl.Boolean).alias(name))
    found = found.with_columns(gopher(found["output"]))
    for label in ("degenerate", "legit_repetitive", "clean"):
        for half in (False, True):
            part = found.filter(pl.col("label") == label, pl.col("held") == half)
            print(f"{label}, {'held out' if half else 'tuned on'}: {interval(part['flagged'].sum(), part.height)}")
        part = found.filter(pl.col("label") == label)
        for name in ("flagged", *PEERS, "Gopher repetition"):
            print(f"    all, {name}: {interval(part[name].sum(), part.height)}")
    size = pl.Series([len(zlib.compress(text.encode(), 1)) / max(len(text.encode()), 1) for text in found["output"]])
    rank = found.select(pl.corr("lz_share", size, method="spearman")).item()
    print(f"lz_share and zlib level 1: Spearman {rank:.3f}")


def partial(found: pl.DataFrame) -> None:
    """Real loops cut to fewer copies, at the end and in the middle of a clean answer."""
    sure = found.filter(pl.col("label") == "degenerate", pl.col("loop") >= SURE, pl.col("loop_copies") >= MANY)
    clean = found.filter(pl.col("label") == "clean", pl.col("output").str.len_chars() > LONG)["output"].to_list()
    chooser = Random(0)
    for low, high in ((20, 60), (60, 150), (150, 600)):
        part = sure.filter(pl.col("loop_period").is_between(low, high, closed="left"))
        for copies in (2, 3, 5):
            ends: Pairs = []
            middles: Pairs = []
            columns = part.select("instruction", "output", "loop_start", "loop_period")
            for question, text, start, period in columns.iter_rows():
                loop, other = text[start : start + copies * period], chooser.choice(clean)
                half = other.find(" ", len(other) // 2)
                ends.append((question, text[:start] + loop))
                middles.append(("", f"{other[:half]} {loop} {other[half:]}"))
            shares = [interval(scores(made)["flagged"].sum(), len(made)) for made in (ends, middles)]
            print(f"period {low} to {high}, {copies} copies: at the end {shares[0]}; in the middle {shares[1]}")


def chat(folder: Path) -> dict[str, Pairs]:
    """Ordinary instruction data."""
    alpaca = pl.read_parquet(folder / "alpaca" / "alpagasus_labels.parquet").filter(
        pl.col("defect").fill_null("") == ""
    )
    question = pl.col("instruction") + "\n" + pl.col("input").fill_null("")
    ladder = pl.read_ndjson(folder / "quality_ladder" / "alpaca_eval_ladder.jsonl")
    strong = pl.col("lc_winrate") >= STRONG
    demo = json.loads((folder / "llamafactory" / "alpaca_en_demo.json").read_text())
    magpie = json.loads((folder / "magpie" / "example_instructions_5res_armorm.json").read_text())
    return {
        "alpaca, no defect": list(alpaca.select(question, pl.col("output").fill_null("")).iter_rows()),
        "gsm8k train": list(pl.read_ndjson(folder / "gsm8k" / "train.jsonl").select("question", "answer").iter_rows()),
        "llamafactory": [(row["instruction"] + "\n" + row["input"], row["output"]) for row in demo],
        "magpie": [(row["instruction"], answer) for row in magpie for answer in row["responses"]],
        "ladder, win rate >= 30": list(ladder.filter(strong).select("instruction", "output").iter_rows()),
        "ladder, weaker models": list(ladder.filter(~strong).select("instruction", "output").iter_rows()),
    }


def ordinary(folder: Path) -> None:
    """Rows of ordinary data that are flagged, with where."""
    for name, pairs in chat(folder).items():
        found = scores(pairs)
        print(f"{name}: {interval(found['flagged'].sum(), found.height)}")
        spans = found.with_row_index().filter("flagged").select("index", "loop_start", "loop_chars")
        for row, start, size in spans.iter_rows():
            print(f"    row {row}: {pairs[row][1][start : start + min(size, 90)]!r}")


def speed() -> None:
    """CPU nanoseconds a byte on texts that do not loop, and of the first call."""
    prose = KINDS["English"]
    rows = [(f"Question {n}?", " ".join(prose.units(Random(n), 40))) for n in range(3000)]
    size = sum(len(q) + len(a) for q, a in rows)
    read = read_texts(batch(rows))
    for score in (Loops(), DuplicateShares(), CharRuns()):
        rounds = []
        for _ in range(6):
            begin = time.process_time()
            score(read)
            rounds.append(time.process_time() - begin)
        name = type(score).__name__
        print(f"{name}: {1e9 * min(rounds) / size:.1f} ns a byte, first call {rounds[0]:.1f} s of CPU")


def main(folders: Sequence[str]) -> None:
    """Print everything."""
    pl.Config(tbl_rows=20, tbl_cols=12, tbl_width_chars=160, float_precision=1)
    speed()
    corpus()
    for folder in map(Path, folders):
        found = labelled(folder)
        labels(found)
        partial(found)
        ordinary(folder)


if __name__ == "__main__":
    main(sys.argv[1:])
