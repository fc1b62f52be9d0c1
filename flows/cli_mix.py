"""Commands about finished mixtures: `vlmix verify` and `vlmix diff`."""

import sys
from typing import Annotated

from cyclopts import Parameter

from flows.console import JsonOption, StoreOption, messages, say, where
from shards.errors import DataError, GateError


def verify(
    mix: str,
    *,
    raw: Annotated[bool, Parameter(negative="--no-raw")] = True,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Prove a mixture: files against digests, the same bytes made again, 0.1 % of the rows read again from raw files.

    Args:
        mix: folder of a mixture, recipe (all stages of its last run), or recipe.stage.
        raw: read rows again from raw files; without, they may be gone.
        store: folder of the store.
        as_json: print one JSON document.
    """
    with messages():
        from flows.mix_text import verified_lines
        from flows.verifying import verify as prove
        from shards.store import Store

        found = prove(Store(where(store)), mix, raw=raw)
        say(found.model_dump(mode="json"), "\n".join(verified_lines(found)), as_json=as_json)
        problems = [problem for each in found.mixtures for problem in each.problems]
        if problems:
            more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
            raise DataError(f"{problems[0]}{more}")


def diff(
    before: str, after: str, *, check: bool = False, store: StoreOption = None, as_json: JsonOption = False
) -> None:
    """Compare two mixtures: rows, domains, repeat factors, verdicts, rules, sources, and twenty changed rows.

    Args:
        before: folder of a mixture, recipe (all stages of its last run), or recipe.stage.
        after: the other one.
        check: exit 1 when they differ, for a pull request that edits a recipe.
        store: folder of the store.
        as_json: print one JSON document.
    """
    with messages():
        from flows.diffing import diff as compare
        from flows.mix_text import difference_lines
        from shards.store import Store

        found = compare(Store(where(store)), before, after)
        say(found.model_dump(mode="json"), "\n".join(difference_lines(found)), as_json=as_json)
        if check and not found.same:
            sys.exit(GateError.exit_code)
