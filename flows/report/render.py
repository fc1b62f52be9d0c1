"""A report view as one HTML page that loads nothing and runs nothing."""

from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from flows.report import number, stage
from flows.report.review import estimate
from flows.report.view import ReportView
from manifests.manifest import Counts, totals
from review.visible import plain, visible

TEMPLATES: Final = Path(__file__).parent / "templates"


def render(view: ReportView) -> str:
    """The page; equal views give equal text."""
    pages = _stages(view)
    own = [page.manifest.totals for page in pages if not page.shared_with]
    total = totals(own, f"report `{view.title}`") if own else Counts()
    return (
        environment()
        .get_template("report.html")
        .render(view=view, stages=pages, total=total, ends=stage.endings(total), ledger=stage.ledger(total))
    )


def _stages(view: ReportView) -> list[stage.StagePage]:
    owners: dict[str, str] = {}
    pages = []
    for index, each in enumerate(view.stages):
        owner = owners.setdefault(each.manifest.mixture, each.name)
        shared_with = "" if owner == each.name else owner
        pages.append(stage.stage_page(each, index, view.samples, shared_with))
    return pages


def environment() -> Environment:
    """Templates of all pages, with filters that make text of rows harmless."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "count": number.count,
        "short": number.short,
        "size": number.size,
        "visible": visible,
        "plain": plain,
        "words": lambda name: str(name).replace("_", " "),
    }
    environment.globals |= {"percent": number.percent, "estimate": estimate, "dedup_words": stage.dedup_words}
    return environment
