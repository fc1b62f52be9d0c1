"""The commands `vlmix store ...`: what lies there, what nobody needs, where something went, and what must go."""

from pathlib import Path

from cyclopts import App

from flows.console import JsonOption, StoreOption, messages, say, where
from shards.errors import UsageError

store_app = App(name="store", help="The store: list, clean up, find where something went, take it down.")


@store_app.command(name="ls")
def store_ls(*, store: StoreOption = None, as_json: JsonOption = False) -> None:
    """List what a store holds by kind: boxes, bytes, newest change, and how much no mixture needs.

    Args:
        store: folder of the store.
        as_json: print one JSON document.
    """
    with messages():
        from flows.stocktaking import take_stock
        from flows.store_text import stock_lines
        from shards.store import Store

        found = take_stock(Store(where(store)))
        say(found.model_dump(mode="json"), "\n".join(stock_lines(found)), as_json=as_json)


@store_app.command(name="gc")
def store_gc(
    *,
    keep_last: int | None = None,
    older_than: float | None = None,
    unfinished: bool = False,
    yes: bool = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what no mixture of the store needs, and with --yes remove it.

    Every run and mixture is kept unless --keep-last or --older-than lets it go; where both are given, a run goes that
    both let go. The last run of a recipe, answers of people, imported scores and sources.lock always stay.

    Args:
        keep_last: runs of each recipe that are kept, the newest.
        older_than: days after which a finished run may go.
        unfinished: also what a run that was cut short may go on from.
        yes: remove it; without, nothing is removed.
        store: folder of the store.
        as_json: print one JSON document.
    """
    with messages():
        from flows.collecting import collect
        from flows.reachability import Limits
        from flows.store_text import collected_lines
        from shards.store import Store

        if (keep_last is not None and keep_last < 1) or (older_than is not None and older_than < 0):
            raise UsageError("--keep-last takes 1 or more, --older-than 0 days or more")
        limits = Limits(keep_last=keep_last, days=older_than, unfinished=unfinished)
        found = collect(Store(where(store)), limits, remove=yes)
        say(found.model_dump(mode="json"), "\n".join(collected_lines(found)), as_json=as_json)


@store_app.command(name="find")
def store_find(
    *,
    sha256: str | None = None,
    url: str | None = None,
    source: str | None = None,
    key: str | None = None,
    file: Path | None = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find every mixture that ever held a picture, an address, a sample or a source, and what became of it there.

    Args:
        sha256: of the bytes of a picture, 64 hex digits.
        url: address that a picture was downloaded from, or that a sample names.
        source: name of a source.
        key: source/split/row of a sample.
        file: a picture; found by its bytes and by its pixels.
        store: folder of the store.
        as_json: print one JSON document.
    """
    with messages():
        from flows.store_text import traced_lines
        from flows.tracing import question, trace
        from shards.store import Store

        found = trace(Store(where(store)), question(file, sha256=sha256, url=url, source=source, key=key))
        say(found.model_dump(mode="json"), "\n".join(traced_lines(found)), as_json=as_json)


@store_app.command(name="takedown")
def store_takedown(
    *,
    sha256: str | None = None,
    url: str | None = None,
    source: str | None = None,
    key: str | None = None,
    file: Path | None = None,
    reason: str = "",
    by: str = "",
    with_copies: bool = False,
    lift: bool = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take something down: no later run emits a row that holds it; without a target, list what is taken down.

    Mixtures that are there stay as they are. The next run of a recipe drops the rows by rule `taken_down`.

    Args:
        sha256: of the bytes of a picture, 64 hex digits.
        url: address that a picture was downloaded from, or that a sample names.
        source: name of a source; all its rows.
        key: source/split/row of a sample.
        file: a picture; by its bytes and by its pixels.
        reason: why; it is kept in the list.
        by: who asks; default is the name of this account.
        with_copies: also pictures that were compared with it and are the same, and rows of its clusters.
        lift: take a take-down back, with what came with it.
        store: folder of the store.
        as_json: print one JSON document.
    """
    with messages():
        from getpass import getuser

        from flows.store_text import act_lines, withdrawn_lines
        from flows.tracing import question
        from flows.withdrawing import listed, withdraw
        from shards.store import Store

        place = Store(where(store))
        if all(value is None for value in (sha256, url, source, key, file)):
            if lift or reason:
                raise UsageError("say what: one of --sha256, --url, --source, --key and --file")
            held = listed(place)
            say(held.model_dump(mode="json"), "\n".join(act_lines(held.takedowns)), as_json=as_json)
            return
        if not reason:
            raise UsageError("say why with --reason; it is kept in the list")
        targets = question(file, sha256=sha256, url=url, source=source, key=key)
        done = withdraw(place, targets, reason=reason, by=by or getuser(), copies=with_copies, lift=lift)
        say(done.model_dump(mode="json"), "\n".join(withdrawn_lines(done)), as_json=as_json)
