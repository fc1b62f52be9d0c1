"""The embedded judge, the domain rules and the injection patterns on real rows: python -m benchmarks.judge_tiny FOLDER.

FOLDER holds quality_ladder, repetition, alpaca, gsm8k and im2latex in their publishers' forms. Prints the figures of
docs/judge.md.
"""

import sys
from pathlib import Path

import polars as pl

from filters.answer import MESSAGES
from filters.judge_domain import JudgeDomain
from filters.judges.injection import InjectionSpans
from filters.judges.tiny import TinyJudge
from filters.texts import read_texts
from flows.calibrating import grade, spearman


def chats(questions: pl.Series, answers: pl.Series) -> pl.DataFrame:
    """A batch of one-turn conversations."""
    rows = [
        [{"role": "user", "text": question}, {"role": "assistant", "text": answer}]
        for question, answer in zip(questions, answers, strict=True)
    ]
    return pl.DataFrame({"messages": rows}, schema={"messages": MESSAGES})


def partial(left: pl.Series, right: pl.Series, given: pl.Series) -> float:
    """Rank correlation of two series with the ranks of a third held constant."""
    xy, xz, yz = (spearman(a, b) or 0.0 for a, b in ((left, right), (left, given), (right, given)))
    return float((xy - xz * yz) / ((1 - xz**2) * (1 - yz**2)) ** 0.5)


def ladder(folder: Path) -> None:
    """Mean grade per model against its win rate."""
    rows = pl.read_ndjson(folder / "quality_ladder" / "alpaca_eval_ladder.jsonl")
    table = rows.rename({"instruction": "question", "output": "answer"})
    found = rows.hstack(grade(TinyJudge(), table, "quality"))
    models = (
        found.group_by("model")
        .agg(
            pl.col("quality").mean(),
            pl.first("lc_winrate", "avg_length"),
            pl.col("quality").lt(7).mean().alias("below"),
        )
        .sort("lc_winrate")
    )
    print(models)
    win, length, quality = models["lc_winrate"], models["avg_length"], models["quality"]
    print(f"ladder: {models.height} models, Spearman with lc_winrate {spearman(quality, win):.3f}")
    print(f"        with length {spearman(quality, length):.3f}, of lc_winrate with length {spearman(win, length):.3f}")
    print(f"        partial given length {partial(quality, win, length):.3f}")


def alpaca(folder: Path) -> None:
    """Grades of rows with a planted or found defect, and of the others."""
    rows = pl.read_parquet(folder / "alpaca" / "alpagasus_labels.parquet")
    question = rows["instruction"] + "\n" + rows["input"].fill_null("")
    table = pl.DataFrame({"question": question, "answer": rows["output"].fill_null("")})
    found = rows.hstack(grade(TinyJudge(), table, "quality")).with_columns(
        pl.col("defect").fill_null("").replace("", "none")
    )
    kinds = (
        found.group_by("defect")
        .agg(pl.len(), pl.col("quality").mean(), pl.col("quality").lt(7).mean().alias("below"))
        .sort("below")
    )
    print(kinds)
    hostile = InjectionSpans()(read_texts(chats(table["question"], table["answer"])))
    print(f"alpaca: {hostile['instruction_like'].sum()} of {rows.height} rows look like an injection")


def repetition(folder: Path) -> None:
    """Grades of repetition by label, and calls that the recipe's `ask_when` saves."""
    rows = pl.read_ndjson(folder / "repetition" / "repetition_labels.jsonl")
    table = pl.DataFrame({"question": rows["instruction"], "answer": rows["output"]})
    found = rows.select("label").hstack(grade(TinyJudge(), table, "repetition"))
    print(
        found.group_by("label").agg(
            pl.len(), pl.col("repetition").mean(), pl.col("repetition").lt(3).mean().alias("below")
        )
    )


def domains(folder: Path) -> None:
    """What the domain rules say of sources whose domain is known."""
    gsm = pl.read_ndjson(folder / "gsm8k" / "train.jsonl")
    print("gsm8k", counts(chats(gsm["question"], gsm["answer"])))
    lines = (folder / "im2latex" / "formulas.lst").read_text("latin-1").split("\n")[:2000]
    formulas = pl.Series([line for line in lines if line.strip()])
    print("im2latex", counts(chats(pl.Series(["<image>\nTranscribe."] * formulas.len()), formulas)))
    alpaca_rows = pl.read_parquet(folder / "alpaca" / "alpagasus_labels.parquet")
    print("alpaca", counts(chats(alpaca_rows["instruction"], alpaca_rows["output"].fill_null(""))))


def counts(batch: pl.DataFrame) -> dict[str, int]:
    """Samples by domain."""
    return dict(sorted(JudgeDomain()(read_texts(batch))["judge_domain"].value_counts().iter_rows()))


def main(folder: Path) -> None:
    """Print everything."""
    for part in (ladder, repetition, alpaca, domains):
        part(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
