"""What a build shows on Prefect's pages, and tells automations: progress, counts, steps, what is new; events."""

import logging
from pathlib import Path
from typing import Final
from uuid import UUID

import httpx
from prefect.artifacts import (
    create_link_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.events import emit_event

from flows.logs import TextLines, fields_of
from flows.run import Summary
from flows.since import News, Since, since_lines

FINISHED: Final = "build-sft-mix.finished"
"""Event of every build that came to its end."""
CHANGED: Final = "build-sft-mix.changed"
"""Event of a build whose digest is not that of the one before."""
REVIEW: Final = "build-sft-mix.review"
"""Event of a build with rows that people must see."""
SOURCES: Final = "build-sft-mix.sources-changed"
"""Event of a build that read a source from something else than the one before."""

_STEPS: Final = ("scan", "gather", "convert", "score", "judge", "compare", "mix")
_MEGA: Final = 1e6
_LEAST: Final = 1.0
"""Percent from which on progress is worth a request to the server."""

AWAY: Final = (httpx.TransportError, httpx.HTTPStatusError)
"""What Prefect's client raises where its server does not answer, after it has asked for a minute."""

_LOG: Final = logging.getLogger(__name__)

PrefectLogger = logging.Logger | logging.LoggerAdapter[logging.Logger]


class ToPrefect(logging.Handler):
    """Gives what our packages say to the logger of a flow run, workers' words included."""

    def __init__(self, logger: PrefectLogger) -> None:
        super().__init__(logging.INFO)
        self._logger, self._lines = logger, TextLines()

    def emit(self, record: logging.LogRecord) -> None:
        """Say it there, with step, source and part before the words; run and time are the server's own."""
        said = fields_of(record)
        where = [str(said[name]) for name in ("step", "source", "part") if name in said]
        self._logger.log(record.levelno, "%s%s", f"{' '.join(where)}: " if where else "", self._lines.words(record))


class Progress:
    """How far a build has come, as an artifact: steps done out of all, which count as equally long."""

    def __init__(self, key: str, mixtures: int) -> None:
        self._steps = len(_STEPS[:4]) + len(_STEPS[4:]) * mixtures
        self._done = 0
        self._shown = 0.0
        made = create_progress_artifact(0.0, key=f"{key}-progress", description="Steps of this build")
        self._artifact = made if isinstance(made, UUID) else None

    def note(self, step: str) -> None:
        """A step is done."""
        self._done += step in _STEPS
        self._show(100 * self._done / self._steps)

    def end(self) -> None:
        """All is done."""
        self._show(100.0)

    def _show(self, percent: float) -> None:
        percent = min(percent, 100.0)
        if self._artifact and percent - self._shown >= _LEAST:
            try:
                update_progress_artifact(self._artifact, percent)
            except AWAY as error:
                self._artifact = None  # each further question would cost another minute
                _LOG.warning("the Prefect server does not answer (%s); the build goes on, not shown there", error)
            self._shown = percent


def artifact_key(recipe: str) -> str:
    """Beginning of the names of a recipe's artifacts: lower case letters, digits and dashes."""
    return "".join(character if character.isalnum() else "-" for character in Path(recipe).stem.lower())


def publish(recipe: str, summary: Summary) -> None:
    """Show the counts, the steps, what is new and where the report is, if the server answers."""
    try:
        _publish(recipe, summary)
    except AWAY as error:
        _LOG.warning("the Prefect server does not answer (%s); the report is %s", error, summary.report)


def _publish(recipe: str, summary: Summary) -> None:
    key = artifact_key(recipe)
    rows = [
        {"stage": stage.stage, "domain": domain, **counts.model_dump()}
        for stage in summary.stages
        for domain, counts in [*stage.domains.items(), ("all", stage.totals)]
    ]
    create_table_artifact(key=f"{key}-counts", table=rows, description=f"Rows per domain, digest {summary.digest}")
    steps = [step_row(line.model_dump()) for line in summary.counters]
    create_table_artifact(key=f"{key}-steps", table=steps, description=f"How the run went; in full: {summary.record}")
    if summary.since:
        news = "; ".join(line.strip() for line in list(since_lines(summary.since))[:1])
        create_table_artifact(key=f"{key}-new", table=news_rows(summary.since), description=news)
    link = Path(summary.report).as_uri()
    create_link_artifact(key=f"{key}-report", link=link, link_text="Report", description="Open on the worker's machine")


def tell(recipe: str, summary: Summary) -> None:
    """Emit the events of a finished build, with what an automation needs to go on."""
    told, resource = summary.since, {"prefect.resource.id": f"vlmix.recipe.{artifact_key(recipe)}"}
    about = {"recipe": recipe, "digest": summary.digest, "report": summary.report}
    totals = {stage.stage: stage.totals.model_dump() for stage in summary.stages}
    emit_event(FINISHED, resource=resource, payload={**about, "totals": totals, "executed": summary.steps.executed})
    waiting = {stage.stage: stage.totals.review for stage in summary.stages if stage.totals.review}
    if waiting:
        emit_event(REVIEW, resource=resource, payload={**about, "rows": waiting})
    if told and not told.same:
        emit_event(CHANGED, resource=resource, payload={**about, "before": told.before, "new": list(since_lines(told))})
    if told and told.sources:
        emit_event(SOURCES, resource=resource, payload={**about, "before": told.before, "sources": told.sources})


def step_row(line: dict[str, object]) -> dict[str, object]:
    """A row of the table of steps: without what is nought or per source, sizes in MB."""
    line["mb"] = round(int(str(line.pop("bytes"))) / _MEGA, 1)
    line["peak_mb"] = round(int(str(line.pop("peak_bytes"))) / _MEGA)
    del line["source"]
    return line


def news_rows(told: Since) -> list[dict[str, object]]:
    """One row a stage, source and domain that changed."""
    rows: list[dict[str, object]] = []
    for stage in told.stages:
        named = [("all", "", stage.total), *(("domain", name, news) for name, news in stage.domains.items())]
        rows += [{"stage": stage.stage, "of": kind, "name": name, **news.model_dump()} for kind, name, news in named]
        rows += [
            {"stage": stage.stage, "of": "source", "name": name, **_counts(news)} | {"changed": ", ".join(news.changed)}
            for name, news in stage.sources.items()
        ]
    return rows


def _counts(news: News) -> dict[str, object]:
    return {name: getattr(news, name) for name in News.model_fields}
