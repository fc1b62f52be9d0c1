"""How a run went, as a page beside its report: what is new, counters, earlier runs.

It stands apart from the report: equal builds give equal reports, byte for byte, and no two runs take equally long.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from flows.record import RunRecord
from flows.report.render import environment
from flows.since import since_lines

PAGE: Final = "run.html"
"""Name of the file in the box of a run; the report links to it."""

SHOWN: Final = 20
"""Earlier runs on the page."""

_INDENT: Final = 2


class _News(NamedTuple):
    depth: int
    text: str


def run_page(record: RunRecord, earlier: Sequence[RunRecord]) -> str:
    """The page of a run.

    Args:
        record: of the run, as far as it has come.
        earlier: runs of the same recipe before it, the latest first.
    """
    lines = list(since_lines(record.since)) if record.since else []
    news = [_News((len(line) - len(line.lstrip())) // _INDENT, line.strip()) for line in lines]
    return environment().get_template(PAGE).render(record=record, news=news, earlier=earlier)
