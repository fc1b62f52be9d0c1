"""The commands `vlmix review ...`: the queue out to people, the page that asks them, and their answers back."""

import sys
from pathlib import Path
from typing import Literal

from cyclopts import App

from flows.cli_review_answers import review_import, review_stats
from flows.console import JsonOption, StoreOption, messages, say, where

review_app = App(name="review", help="The manual review queue.")
review_app.command(review_import, name="import")
review_app.command(review_stats, name="stats")


@review_app.command(name="export")
def review_export(
    mix: str,
    *,
    to: Literal["csv", "jsonl", "parquet", "label-studio", "html"],
    out: Path,
    prefix: str = "",
    audit: int = 0,
    per_source: int | None = None,
    per_rule: int | None = None,
    per_domain: int | None = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the review queue of a mixture: one item per row that a person must see, pictures beside it.

    Args:
        mix: folder of a mixture, recipe (all stages), or recipe.stage.
        to: format.
        out: folder to write to.
        prefix: for Label Studio, path of `out` below its local files document root.
        audit: rows drawn at random from every rule with what it says, to learn how often it is wrong.
        per_source: most rows in review from one source.
        per_rule: most rows in review from one deciding rule.
        per_domain: most rows in review from one domain.
        store: folder of the store.
        as_json: print one JSON document.
    """
    with messages():
        from flows.reviewing import export_queue, queue_options
        from shards.store import Store

        options = queue_options(audit=audit, per_source=per_source, per_rule=per_rule, per_domain=per_domain)
        done = export_queue(Store(where(store)), mix, to=to, out=out, prefix=prefix, options=options)
        document = {**done.queue.model_dump(), "out": str(out), "items": done.items, "pictures": done.pictures}
        say(document, f"{done.items} items with {done.pictures} pictures in {out}", as_json=as_json)


@review_app.command(name="serve")
def review_serve(
    mix: str,
    *,
    host: str = "127.0.0.1",
    port: int = 8765,
    token: str | None = None,
    name: tuple[str, ...] = (),
    audit: int = 0,
    reviewer: str = "",
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Serve the review page of a mixture; every answer is in the store before the next item shows.

    Args:
        mix: folder of a mixture, recipe (all stages), or recipe.stage.
        host: address to listen on; any but that of this machine alone needs a token.
        port: to listen on; 0 is any free one.
        token: secret that visitors must bring; default is a made one where one is needed.
        name: host name under which others reach this machine; may stand several times.
        audit: rows that the rules keep or drop, drawn at random for each rule and asked about, too.
        reviewer: name of those who have not told theirs; default is to ask.
        store: folder of the store.
        as_json: print one JSON document, once the page can be opened.
    """
    with messages():
        from flows.serving import Open, Place, serve_queue
        from shards.store import Store

        def tell(served: Open) -> None:
            document = {"url": served.url, "items": served.items, "token": served.token}
            say(document, f"{served.items} items; open {served.url}", as_json=as_json)
            sys.stdout.flush()

        place = Place(host, port, token, name)
        serve_queue(Store(where(store)), mix, place, audit=audit, reviewer=reviewer, tell=tell)
