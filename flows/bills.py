"""Calls and tokens of a judge for each source of a plan, counted without a call where the source was built before."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import BaseModel

from filters.judges.base import Judge
from filters.judges.layout import Layout
from flows.build import Prepared
from flows.judging import rows_concerned, rows_to_ask, spare
from flows.ledger import Question, ledger_box, read_ledger
from flows.mixing import load_source
from flows.recipe_judge import ask_when, domain_tags, prompts_of
from flows.scoring import CRITERIA, SIGHTED, criteria_of, judged_types, natives, score_box
from manifests.mixture import SourceScores
from manifests.plan import PlannedStage
from shards.schema import STATE_SUFFIX
from shards.store import Box, Store

Mask = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]

_HEADER: Final = "\n=== assistant ===\n"


class SourceBill(BaseModel):
    """Calls about one source for one criterion, over all stages; at most so many, for another answer may spare one.

    `basis`: of `scores in the store`, every row was looked at: calls are for rows that cheap rules and `ask_when` leave
    open and that the ledger does not answer. Of `rows taken` they are the rows that entries take.
    """

    source: str
    criterion: str
    basis: Literal["rows taken", "scores in the store"]
    concerned: int | None
    """Rows taken that a rule on the criterion looks at."""
    answered: int
    """Of these, rows that are open and answered in the ledger."""
    calls: int | None
    """With the second looks, where these are known."""
    second_looks: int | None
    """Calls about samples that speak to their grader, without the sentences that do so."""
    computed_tokens: int | None
    """Of prompts: all but what the engine finds in its cache."""
    cached_tokens: int | None
    reason: str
    """Why something is null; empty where nothing is."""


@dataclass(frozen=True, slots=True)
class Counter:
    """What is needed to count the calls of a plan.

    `layout` and `name` are null where the judge is no language model, or its model is not on this machine.
    """

    prepared: Prepared
    store: Store
    judge: Judge
    name: str | None
    layout: Layout | None

    def bills(self) -> list[SourceBill]:
        """One for each source and criterion that a rule reads, sorted."""
        asked: dict[str, set[str]] = {}
        for stage, entry_id, criterion in self._entries():
            asked.setdefault(self.prepared.plan.sources[stage.mixture, entry_id], set()).add(criterion)
        found = []
        for source in sorted(asked):
            scores = self._stored(source)
            for criterion in sorted(asked[source]):
                if scores is None:
                    found.append(self._taken(source, criterion))
                else:
                    found.append(self._counted(*scores, criterion))
        return found

    def _stages(self) -> list[PlannedStage]:
        return [stage for stage in self.prepared.plan.stages if stage.mixture == stage.name]

    def _entries(self) -> Iterator[tuple[PlannedStage, str, str]]:
        """Stage, entry and criterion wherever a rule on the criterion looks at the entry."""
        for stage in self._stages():
            for entry in stage.entries:
                read = {name for rule in stage.predicates if rule.applies(entry) for name in rule.scores}
                for criterion in criteria_of(read):
                    yield stage, entry.id, criterion

    def _taken(self, source: str, criterion: str) -> SourceBill:
        """From the rows of the plan; entries of several stages may take the same rows, but none more than there are."""
        places = {(stage.name, entry) for stage, entry, each in self._entries() if each == criterion}
        entries = [
            entry
            for entry in self.prepared.plan.entries
            if (entry.stage, entry.id) in places and entry.source == source
        ]
        known = [entry.taken for entry in entries if entry.taken is not None]
        rows = entries[0].rows
        calls = None if len(known) < len(entries) or rows is None else min(sum(known), rows)
        unknown = "rows unknown" if calls is None else "tokens of its samples unknown"
        return SourceBill(
            source=source,
            criterion=criterion,
            basis="rows taken",
            concerned=calls,
            answered=0,
            calls=calls,
            second_looks=None,
            computed_tokens=None,
            cached_tokens=None,
            reason=f"source `{source}`: {unknown} until it is built",
        )

    def _stored(self, name: str) -> tuple[SourceScores, Box] | None:
        """The cheap scores of a source as it was built last in this store; None where some are missing."""
        filters = self.prepared.filters
        box = self.store.latest("shards", name)
        if box is None:
            return None
        source = next(each.source for each in self.prepared.located.values() if each.source.name == name)
        items = (*filters.samples, *natives(source), *filters.pictures)
        if not all(score_box(self.store, box, item).done for item in items):
            return None
        return load_source(self.store, filters, source, box), box

    def _counted(self, source: SourceScores, box: Box, criterion: str) -> SourceBill:
        concerned, waiting = self._masks(source, criterion)
        scores = source.scores
        answered, computed, cached, looks = 0, 0, 0, 0
        # tokens of pictures are known to the engine alone
        layout = None if criterion in SIGHTED else self.layout
        for prompt_id, rows in self._by_prompt(source, waiting, criterion):
            known = self._known(box, criterion, prompt_id)
            left = np.setdiff1d(rows, known)
            answered += len(rows) - len(left)
            again = scores["instruction_like"].fill_null(False).to_numpy()[left] & (criterion == "quality")
            looks += int(again.sum())
            if layout is not None and len(left):
                own, frame = _own(layout, scores, left, prompt_id), layout.frame(prompt_id)
                weights = 1 + again.astype(np.int64)
                around = len(frame.before) + len(frame.after) - frame.shared
                computed += int(((own + around) * weights).sum()) + frame.shared
                cached += frame.shared * (int(weights.sum()) - 1)
        calls = int(waiting.sum()) - answered + looks
        return SourceBill(
            source=source.name,
            criterion=criterion,
            basis="scores in the store",
            concerned=int(concerned.sum()),
            answered=answered,
            calls=calls,
            second_looks=looks,
            computed_tokens=None if layout is None else computed,
            cached_tokens=None if layout is None else cached,
            reason=f"{criterion}: tokens of pictures are not known before the engine is asked"
            if criterion in SIGHTED
            else "",
        )

    def _masks(self, source: SourceScores, criterion: str) -> tuple[Mask, Mask]:
        """Rows that a rule on the criterion looks at, and those of them that are open as far as cheap scores tell."""
        recipe, sources = self.prepared.recipe, self.prepared.plan.sources
        others = [name for each in CRITERIA if each != criterion for name in judged_types(each)]
        states = [name + STATE_SUFFIX for name in others if name in source.scores.columns]
        # what the answers to other criteria will decide is not known: as if they decided nothing
        scores = spare(source.scores, ask_when(recipe)).with_columns(pl.col(states).replace("not_asked", "unknown"))
        marked = {source.name: replace(source, scores=scores)}
        concerned, waiting = (np.zeros(scores.height, np.bool_) for _ in range(2))
        for stage in self._stages():
            entries = [entry for entry in stage.entries if sources[stage.mixture, entry.id] == source.name]
            own, source_of = replace(stage, entries=tuple(entries)), {entry.id: source.name for entry in entries}
            place = (source.name, criterion)
            concerned |= rows_concerned(recipe, own, marked, source_of).get(place, False)
            waiting |= rows_to_ask(recipe, own, marked, source_of).get(place, False)
        return concerned, waiting

    def _by_prompt(self, source: SourceScores, mask: Mask, criterion: str) -> Iterator[tuple[str, Rows]]:
        rows = np.flatnonzero(mask)
        if criterion != "quality":
            yield criterion, rows
            return
        tags: dict[str, str] = {}
        for stage in self._stages():
            own = {entry.id: self.prepared.plan.sources[stage.mixture, entry.id] for entry in stage.entries}
            tags |= {name: tag for name, tag in domain_tags(stage, own).items() if tag is not None}
        tag = tags.get(source.name)
        domains = source.scores["judge_domain"].fill_null("general").to_numpy()[rows]
        for prompt_id in prompts_of(criterion):
            domain = prompt_id.removeprefix("quality_")
            yield prompt_id, rows[domains == domain] if tag is None else rows[: len(rows) * (tag == domain)]

    def _known(self, box: Box, criterion: str, prompt_id: str) -> Rows:
        """Rows whose answer is in the ledger."""
        if self.name is None:
            return np.empty(0, np.int64)
        ledger = ledger_box(self.store, box, Question(self.judge, criterion, prompt_id, sighted=criterion in SIGHTED))
        rows: Rows = read_ledger(ledger, criterion)["row"].to_numpy()
        return rows


def _own(layout: Layout, scores: pl.DataFrame, rows: Rows, prompt_id: str) -> Rows:
    """Tokens of samples in a prompt: their text as the recipe counts it, and a header for each message."""
    header, frame = len(layout.plain_ids(_HEADER)), layout.frame(prompt_id)
    room = layout.max_len - 1 - len(frame.before) - len(frame.after)
    text = scores["num_tokens"].cast(pl.Int64).to_numpy()[rows]
    messages = scores["num_turns"].cast(pl.Int64).fill_null(1).to_numpy()[rows]
    own: Rows = np.minimum(text + header * messages, room)
    return own
