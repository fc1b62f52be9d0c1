"""The rows of a probe: a few real ones of a source or a table, asked of a recipe's judge; flows/speed.py times it."""

from pathlib import Path

import polars as pl

from filters.judges.base import Request
from filters.judges.score import render
from flows.importing import read_table
from flows.recipe_judge import judge_of, prompts_of
from flows.scoring import ALWAYS
from flows.speed import WARMING, Probe, measure
from manifests.load import load_recipe
from shards.errors import UsageError
from shards.sample import read_all
from shards.store import Store


def probe(recipe: str, store: Store, *, source: str, rows: int, criterion: str) -> Probe:
    """Ask the judge of a recipe about real rows and time it; no answer is kept.

    Args:
        recipe: built-in name or path.
        store: where sources were built.
        source: one of them, or a table with `answer` (and `question`) as `vlmix judge check` takes.
        rows: asked at most, evenly spread; a few more before the clock starts.
        criterion: quality or repetition; quality is asked with the prompt `quality_general`.

    Raises:
        UsageError: no judge, no such source or file, or fewer rows with text than the probe needs.
    """
    if criterion not in ALWAYS:
        raise UsageError(f"no criterion `{criterion}`; known: {', '.join(ALWAYS)}")
    loaded, folder = load_recipe(recipe)
    judge = judge_of(loaded, folder)
    if judge is None:
        raise UsageError(f"recipe `{recipe}` says `judge: off`; there is nobody to ask")
    texts = _texts(source, store, rows + WARMING)
    if len(texts) <= WARMING:
        raise UsageError(f"`{source}` has {len(texts)} rows with text, expected more than {WARMING}")
    prompt_id = prompts_of(criterion)[-1]
    return measure(judge, [Request(prompt_id, text) for text in texts], criterion)


def _texts(source: str, store: Store, most: int) -> list[str]:
    """Conversations with text, evenly spread over a table or a source."""
    if Path(source).is_file():
        table = read_table(Path(source))
        if "answer" not in table.columns:
            raise UsageError(f"`{source}`: expected a column `answer`, found {', '.join(table.columns)}")
        asked = table["question"] if "question" in table.columns else pl.Series([""] * table.height)
        pairs = zip(asked.fill_null(""), table["answer"].fill_null(""), strict=True)
        chats = [
            [{"role": "user", "text": question}, {"role": "assistant", "text": answer}] for question, answer in pairs
        ]
    else:
        box = store.latest("shards", source)
        if box is None:
            raise UsageError(f"`{source}` is neither a file nor a source that was built in `{store.root}`")
        chats = [messages for frame in read_all(box.path, ["messages"]) for messages in frame["messages"].to_list()]
    full = [render(chat) for chat in chats if any(turn["text"].strip() for turn in chat)]
    step = max(1, len(full) // most)
    return full[::step][:most]
