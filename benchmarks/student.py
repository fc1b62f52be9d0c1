"""Students on real rows: python -m benchmarks.student FOLDER STORE.

FOLDER holds alpaca and quality_ladder in their publishers' forms, STORE a build of tests/flows/real_data.yaml with
FOLDER for `SHARED` and no `take`. Prints the figures of docs/judge.md, "Student".
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.judge_tiny import chats, partial
from filters.student import Student, design, measures
from filters.text_hash import TextHash
from flows.calibrating import compare, spearman
from flows.copying import copying_lines
from flows.distilling import cell_edges, distil, part_of_text, ridge
from shards.store import Store

_ALPHA = 30.0
_ROWS = 20_000
_LEARN = 0.7


def batch(questions: pl.Series, answers: pl.Series) -> pl.DataFrame:
    """Conversations without pictures, with every column that a student reads."""
    return chats(questions, answers).with_columns(
        pl.lit([], pl.List(pl.String)).alias("images"), pl.lit([], pl.List(pl.String)).alias("videos")
    )


def auc(scores: pl.Series, good: pl.Series) -> float:
    """Chance that a good row has the higher score, ties counted half."""
    columns = {"quality": scores, "label": good.cast(pl.Float64) * 10}
    states = {
        "quality_spread": pl.zeros(len(scores), eager=True),
        "quality_state": pl.Series([None] * len(scores), dtype=pl.String),
    }
    return compare(pl.DataFrame({**columns, **states}), "quality", "", 7).auc or float("nan")


def alpaca(folder: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows with labels, and the batch of their conversations."""
    rows = pl.read_parquet(folder / "alpaca" / "alpagasus_labels.parquet")
    question = rows["instruction"] + "\n" + rows["input"].fill_null("")
    return rows, batch(question, rows["output"].fill_null(""))


def defects(student: Student, rows: pl.DataFrame, samples: pl.DataFrame) -> None:
    """Guesses about rows with a known defect; the student was trained on grades of most of these rows."""
    found = rows.select(pl.col("defect").fill_null("").replace("", "none")).hstack(student(samples))
    good = found["defect"] == "none"
    kinds = found.group_by("defect").agg(
        pl.len(), pl.col("student_quality").mean().round(2), pl.col("student_quality").lt(7).mean().alias("below")
    )
    print(kinds.sort("below"))
    known = found["student_quality"].is_not_null()
    print(f"defects: AUC {auc(found['student_quality'].filter(known), good.filter(known)):.3f}")


def published(folder: Path, rows: pl.DataFrame, samples: pl.DataFrame) -> None:
    """Students of two published filters by language models: what is learnt of their verdicts from 70 % of the rows."""
    part = np.array([part_of_text(0, str(text)) for text in TextHash()(samples)["text_hash"]])
    learn, test = part < _LEARN, pl.Series(part >= _LEARN)
    edges = cell_edges(measures(samples.filter(pl.Series(learn))))
    features = design(samples, edges)
    models = pl.read_ndjson(folder / "quality_ladder" / "alpaca_eval_ladder.jsonl")
    others = design(batch(models["instruction"], models["output"]), edges)
    held_out = rows.filter(test).with_columns(pl.col("output").fill_null("").str.len_chars().alias("chars"))
    sound = held_out["defect"].fill_null("") == ""
    for name in ("kept", "kept_chatgpt_helpfulness"):
        weights, bias = ridge(features[learn], rows[name].to_numpy()[learn] * 10.0, _ALPHA)
        guessed, good = pl.Series(features @ weights + bias).filter(test), held_out[name]
        print(f"{name}: AUC on 30 % held out {auc(guessed, good):.3f}, length alone {auc(held_out['chars'], good):.3f}")
        print(f"        of rows without a defect over those with one {auc(guessed, sound):.3f}")
        steps(models.with_columns(pl.Series("guess", others @ weights + bias)))


def ladder(student: Student, folder: Path) -> None:
    """Mean guess per model against its win rate; no row of it was learnt from."""
    rows = pl.read_ndjson(folder / "quality_ladder" / "alpaca_eval_ladder.jsonl")
    found = student(batch(rows["instruction"], rows["output"]))
    steps(rows.with_columns(found["student_quality"].alias("guess")))


def steps(rows: pl.DataFrame) -> None:
    """Rank correlations of the mean guess per model."""
    models = rows.group_by("model").agg(pl.col("guess").mean(), pl.first("lc_winrate", "avg_length"))
    win, length, quality = models["lc_winrate"], models["avg_length"], models["guess"]
    print(f"ladder: {models.height} models, mean guesses {quality.min():.2f} to {quality.max():.2f}")
    print(f"        Spearman with lc_winrate {spearman(quality, win):.3f}, with length {spearman(quality, length):.3f}")
    print(f"        partial given length {partial(quality, win, length):.3f}")


def speed(student: Student, samples: pl.DataFrame) -> None:
    """Samples a CPU second, best of five."""
    rows = samples[:_ROWS]
    student(rows[:10])
    taken = []
    for _ in range(5):
        start = time.process_time()
        student(rows)
        taken.append(time.process_time() - start)
    print(f"speed: {rows.height / min(taken):,.0f} samples a CPU second")


def main(folder: Path, store: Path) -> None:
    """Print everything."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "student.npz"
        print("\n".join(copying_lines(distil("real", Store(store), path, criterion="quality"))))
        student = Student.of(path)
        rows, samples = alpaca(folder)
        defects(student, rows, samples)
        ladder(student, folder)
        published(folder, rows, samples)
        speed(student, samples)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
