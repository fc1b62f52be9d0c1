"""The same judge behind vLLM's own server, in a process that can be killed."""

import threading
import time
from collections import Counter
from dataclasses import replace

import pytest
from rows import hostile, many_rows, marked
from test_engine import same

from filters.judges.base import Reply
from filters.judges.http import HttpJudge, counts
from shards.errors import UsageError

pytestmark = [pytest.mark.vllm, pytest.mark.filterwarnings("ignore")]

CHUNK = 50


def of(server, model) -> HttpJudge:
    return HttpJudge("tiny", (server.url,), str(model), max_model_len=4096, patience_s=1.0, timeout_s=30.0)


def test_in_process_and_over_http_are_the_same_and_a_killed_server_costs_no_finished_chunk(judge, running, model):
    rows = many_rows()
    undisturbed = judge(rows)
    found: list[Reply | None] = [None] * len(rows)

    server = running()
    http = of(server, model)
    _agrees_with_the_engine(http, judge, undisturbed)
    killer = threading.Thread(target=_kill_after, args=(server, _answered() + 220))
    killer.start()
    _ask(http, found, list(range(len(rows))))
    killer.join()
    lost = [row for row, reply in enumerate(found) if reply is None]
    assert 0 < len(lost) <= 280
    assert min(lost) >= 200, "finished chunks are whole"

    server = running()
    before = server.answered()
    _ask(of(server, model), found, lost)
    assert server.answered() - before == len(lost), "only what is missing is asked again"
    same([reply for reply in found if reply is not None], undisturbed)


def _agrees_with_the_engine(http: HttpJudge, judge, undisturbed: list[Reply]) -> None:
    same(http(many_rows()), undisturbed)
    same(replace(http, in_flight=3)(many_rows()[:30][::-1]), undisturbed[:30][::-1])
    cases = [request for request, _, _ in hostile()]
    replies = http(cases)
    same(replies, judge(cases))
    assert Counter(reply.state for reply in replies) == {"scored": 160, "empty": 20, "no_answer": 20}
    with pytest.raises(UsageError, match="does not know the model"):
        replace(http, model="another")([marked(1)])
    # a prompt longer than the server takes is refused by itself
    longer = replace(http, max_model_len=8192)
    states = [reply.state for reply in longer([marked(4), marked(4, "long words " * 3000), marked(4)])]
    assert states == ["scored", "engine_error", "scored"]
    (chat,) = replace(http, api="chat")([marked(6)])
    assert chat.state == "scored" and chat.probs[6] == pytest.approx(1.0, abs=1e-3)


def _ask(http: HttpJudge, found: list[Reply | None], rows: list[int]) -> None:
    """Chunk by chunk, as the ledger does; a row that failed stays unknown."""
    requests = many_rows()
    for start in range(0, len(rows), CHUNK):
        chunk = rows[start : start + CHUNK]
        for row, reply in zip(chunk, http([requests[row] for row in chunk]), strict=True):
            assert found[row] is None
            found[row] = None if reply.state == "engine_error" else reply


def _answered() -> int:
    return counts().get(("answered", "token_ids"), 0)


def _kill_after(server, answered: int) -> None:
    """Kill it as soon as the client has so many answers; asking the busy server itself could come too late."""
    while _answered() < answered:
        time.sleep(0.001)
    server.kill()
