"""UniChart: charts by name, with the task as a tag in the query."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from sources.layouts.media import relative
from sources.layouts.rows import Raw, convert
from sources.layouts.turns import exchange
from sources.layouts.value import RowError, chosen, extras, shown, text_of
from sources.record import Defect, Member, Record
from sources.spec import Source

PROMPTS: Final = {
    "summarize_chart": "Summarize this chart.",
    "extract_data_table": "Write the data of this chart as a table.",
}
"""Question for a task that has none. Ours."""

_TAG: Final = re.compile(r"\s*<([a-z_]+)>")
_END: Final = "<s_answer>"
"""What the model of the publisher wants at the end of a query."""


@dataclass(frozen=True, slots=True)
class UniChart:
    """Rows of {imgname, query, label}; the tag (`<chartqa>`) goes to `meta`, so does `imgname`.

    A query of nothing but its tag is asked by the source's `prompt`, else by a fixed sentence for its task. A table
    in `label` stays as it is, with ` | ` between cells and ` & ` between rows. `root` is the folder of the charts,
    which lie in a repository of their own.
    """

    version: ClassVar[int] = 1
    evidence: ClassVar[str] = "card"

    def __call__(self, path: Path, source: Source) -> Iterator[Record | Defect]:
        """One record or defect per row."""
        return convert(path, source, _record)


def _record(raw: Raw, source: Source) -> Record:
    fields = raw.fields()
    query = text_of(fields, "query")
    match = _TAG.match(query)
    task = match[1] if match else ""
    asked = query[match.end() if match else 0 :].replace(_END, "").strip() or source.prompt or PROMPTS.get(task, "")
    if not asked:
        raise RowError("missing_field", f"expected a question in `query` or a `prompt`, found {shown(query)}")
    return Record(
        row=raw.row,
        messages=exchange(asked, text_of(fields, "label")),
        pictures=(Member(relative(text_of(fields, "imgname"))),),
        meta={**extras(fields, ("query", "label", *source.native)), "task": task},
        native=chosen(fields, source.native),
    )
