"""What a run says while it runs: lines for people, one JSON object a line for machines, from all of its processes.

Every record has the run, and the step, source and part that its thread works on. Those of a worker travel with what
its job gives back (flows/attempt.py), so they arrive whole and in order for each part. No address is shown with its
password or query, no secret of the environment, and no text of a row.
"""

import json
import logging
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final, Literal, NamedTuple, TextIO

from flows.installation import PACKAGES
from flows.metering import here, run_name
from flows.settings import log_format, log_level

Format = Literal["text", "json"]
Field = str | int | float | None
Fields = Mapping[str, Field]

MOST: Final = 1000
"""Records that one job gives back; what it says beyond is counted."""

_EVENTS: Final = logging.getLogger("flows.run")
_ADDRESS: Final = re.compile(
    r"(?P<scheme>\b[a-z][a-z0-9+.-]*://)(?:[^\s/@`'\"]*@)?(?P<rest>[^\s?#`'\"]*)(?P<tail>[?#][^\s`'\"]*)?"
)
_SECRET: Final = re.compile(r"TOKEN|SECRET|PASSWORD|PASSWD|API_KEY|ACCESS_KEY", re.IGNORECASE)
_SECRET_LENGTH: Final = 8
"""Characters from which on the value of such a variable is looked for: shorter ones are words."""


class Said(NamedTuple):
    """A record of a worker."""

    logger: str
    level: int
    created: float
    """Seconds since 1970."""
    message: str
    fields: Fields


def event(name: str, message: str, fields: Fields | None = None, *, level: int = logging.INFO) -> None:
    """Say that something happened; `name` is what programs look for."""
    _EVENTS.log(level, "%s", message, extra={"fields": {"event": name, **(fields or {})}})


def fields_of(record: logging.LogRecord) -> dict[str, Field]:
    """Run, step, source, part and what else a record says, without what it does not say."""
    own: Fields = getattr(record, "fields", {})
    now = here()
    found = {"run": run_name(), "step": now.place.step, "source": now.place.source, "part": now.part, **own}
    return {
        name: trimmed(value) if isinstance(value, str) else value
        for name, value in found.items()
        if value != "" and value is not None
    }


def trimmed(text: str) -> str:
    """A text without passwords and queries of addresses, and without values of secret variables."""
    for value in sorted(_secrets(), key=len, reverse=True):
        text = text.replace(value, "***")
    return _ADDRESS.sub(lambda found: found["scheme"] + found["rest"] + ("?***" if found["tail"] else ""), text)


def _secrets() -> set[str]:
    values = {value for name, value in os.environ.items() if _SECRET.search(name)}
    return {value for value in values if len(value) >= _SECRET_LENGTH}


class JsonLines(logging.Formatter):
    """One JSON object a record: `time` (UTC), `level`, `message`, and fields."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        said = {"time": at.replace("+00:00", "Z"), "level": record.levelname.lower(), "logger": record.name}
        error = {"error": trimmed(self.formatException(record.exc_info))} if record.exc_info else {}
        return json.dumps({**said, "message": trimmed(record.getMessage()), **fields_of(record), **error})


class TextLines(logging.Formatter):
    """A line for people: time of day here, level, where, message."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        at = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        said = fields_of(record)
        where = [str(said[name]) for name in ("step", "source", "part") if name in said]
        place = [f"[{' '.join(where)}]"] if where else []
        return " ".join([at, record.levelname.lower(), *place, self.words(record)])

    def words(self, record: logging.LogRecord) -> str:
        """The message, with an error if there is one."""
        words = trimmed(record.getMessage())
        return f"{words}\n{trimmed(self.formatException(record.exc_info))}" if record.exc_info else words


@contextmanager
def logging_to(handler: logging.Handler) -> Iterator[None]:
    """Give a handler everything that our packages say, from its level on if it has one, and nobody else's words."""
    loggers = [logging.getLogger(name) for name in PACKAGES]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        if 0 < handler.level < logger.getEffectiveLevel():
            logger.setLevel(handler.level)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.removeHandler(handler)
            logger.setLevel(level)


@contextmanager
def logs(shown: Format | None = None, stream: TextIO | None = None) -> Iterator[None]:
    """Show what a command says on standard error.

    Args:
        shown: as text, from warnings on, or as JSON with everything; None for `VLMIX_LOG`.
        stream: where to; None for standard error.

    Raises:
        UsageError: `VLMIX_LOG` or `VLMIX_LOG_LEVEL` is no word that is known.
    """
    chosen = shown or log_format()
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines() if chosen == "json" else TextLines())
    handler.setLevel(log_level() or (logging.DEBUG if chosen == "json" else logging.WARNING))
    with logging_to(handler):
        yield


def wanted_level() -> int:
    """The level from which on somebody hears our packages."""
    return logging.getLogger(PACKAGES[-1]).getEffectiveLevel()


def hear(level: int) -> None:
    """Have our packages speak from a level on, as in the process that a worker belongs to."""
    for name in PACKAGES:
        logger = logging.getLogger(name)
        if logger.getEffectiveLevel() != level:
            logger.setLevel(level)


class _Kept(logging.Handler):
    """Keeps records as values, at most `MOST`."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[Said] = []
        self.more = 0

    def emit(self, record: logging.LogRecord) -> None:
        if len(self.said) == MOST:
            self.more += 1
            return
        self.said.append(Said(record.name, record.levelno, record.created, record.getMessage(), fields_of(record)))


@contextmanager
def listening() -> Iterator[list[Said]]:
    """Keep what our packages say in this process meanwhile."""
    kept = _Kept()
    with logging_to(kept):
        yield kept.said
    if kept.more:
        last = kept.said[-1]
        kept.said.append(last._replace(message=f"{kept.more:,} more records of this job are left out"))


def repeat(said: Sequence[Said]) -> None:
    """Say in this process what another one said."""
    for each in said:
        logger = logging.getLogger(each.logger)
        if logger.isEnabledFor(each.level):
            about = {"name": each.logger, "levelno": each.level, "levelname": logging.getLevelName(each.level)}
            about |= {"msg": "%s", "args": (each.message,), "created": each.created, "fields": dict(each.fields)}
            logger.handle(logging.makeLogRecord(about))
