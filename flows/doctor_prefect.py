"""Checks of the Prefect server: whether it answers, its version, deployments, their schedules, pools and workers."""

from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from typing import Any, Final

import httpx

from flows.doctor import Finding, bad, doubtful, good
from flows.doctor_recipe import ANSWER_S
from flows.doctor_store import clock

_FLOW: Final = "build-sft-mix"
_DEPLOY: Final = "prefect --no-prompt deploy --all, in the project's folder"


def prefect() -> Iterator[Finding]:
    """The server that `PREFECT_API_URL` or the profile names; without one a run starts its own for its time."""
    from prefect.settings import get_current_settings

    settings = get_current_settings().api
    if not settings.url:
        yield good("prefect", f"{version('prefect')}; no server is named, `prefect run` starts one for its time")
        return
    headers = {"Authorization": f"Bearer {settings.key.get_secret_value()}"} if settings.key else {}
    auth = settings.auth_string.get_secret_value().partition(":") if settings.auth_string else None
    login = (auth[0], auth[2]) if auth else None
    with httpx.Client(base_url=f"{settings.url.rstrip('/')}/", headers=headers, auth=login, timeout=ANSWER_S) as client:
        try:
            yield from server(client)
        except httpx.HTTPStatusError as error:
            closed = error.response.status_code in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}
            remedy = "give PREFECT_API_KEY or PREFECT_API_AUTH_STRING" if closed else "see its log"
            yield bad("prefect", f"`{settings.url}` answers {error.response.status_code}", remedy)
        except (httpx.HTTPError, ValueError) as error:
            remedy = "start it (`prefect server start`), or correct PREFECT_API_URL"
            yield bad("prefect", f"`{settings.url}`: {error or type(error).__name__}", remedy)


def server(client: httpx.Client) -> Iterator[Finding]:
    """What a server says of itself and of our deployments; `client` points to its API.

    Raises:
        HTTPStatusError: it refuses.
        HTTPError: it does not answer.
    """
    answer = client.get("admin/version")
    answer.raise_for_status()
    theirs, ours = str(answer.json()), version("prefect")
    words = f"server {theirs} at `{client.base_url}`"
    if theirs.split(".")[:2] == ours.split(".")[:2]:
        yield good("prefect", words)
    else:
        yield doubtful("prefect", f"{words}, {ours} here", "install the same version on both sides")
    if "date" in answer.headers:
        ahead = parsedate_to_datetime(answer.headers["date"]) - datetime.now(UTC)
        yield clock("Prefect server", ahead.total_seconds())
    deployments = _post(client, "deployments/filter", {"flows": {"name": {"any_": [_FLOW]}}})
    if not deployments:
        yield doubtful("deployments", f"none of `{_FLOW}`", _DEPLOY)
    for deployment in deployments:
        yield from _deployment(deployment)
    for pool in sorted({each["work_pool_name"] for each in deployments if each.get("work_pool_name")}):
        yield from _pool(client, pool)


def _deployment(deployment: dict[str, Any]) -> Iterator[Finding]:
    name = f"{_FLOW}/{deployment['name']}"
    active = [each["schedule"] for each in deployment.get("schedules") or [] if each.get("active")]
    when = ", ".join(str(each.get("cron") or each.get("interval") or each.get("rrule")) for each in active)
    if deployment.get("paused"):
        remedy = f"prefect api POST /deployments/{deployment['id']}/resume_deployment"
        yield doubtful("deployment", f"`{name}` is paused", remedy)
    elif active:
        yield good("deployment", f"`{name}`: {when}")
    else:
        yield doubtful(
            "deployment", f"`{name}` has no active schedule", f"add one to prefect.yaml and deploy: {_DEPLOY}"
        )
    limit = (deployment.get("global_concurrency_limit") or {}).get("limit") or deployment.get("concurrency_limit")
    if limit == 1:
        yield good("limit", f"`{name}`: one run at a time")
    else:
        remedy = "set `concurrency_limit` to 1 in prefect.yaml; the store's lock stops a second run in any case"
        yield doubtful("limit", f"`{name}`: {limit or 'no'} limit", remedy)


def _pool(client: httpx.Client, pool: str) -> Iterator[Finding]:
    answer = client.get(f"work_pools/{pool}")
    if answer.status_code == httpx.codes.NOT_FOUND:
        yield bad("pool", f"no work pool `{pool}`", f"prefect work-pool create {pool} --type process")
        return
    answer.raise_for_status()
    if answer.json().get("is_paused"):
        yield bad("pool", f"`{pool}` is paused", f"prefect work-pool resume {pool}")
    workers = _post(client, f"work_pools/{pool}/workers/filter", {})
    alive = [each["name"] for each in workers if each.get("status") == "ONLINE"]
    if alive:
        yield good("worker", f"{len(alive)} alive in pool `{pool}`: {', '.join(alive)}")
    else:
        yield doubtful("worker", f"none alive in pool `{pool}`", f"prefect worker start --pool {pool}")


def _post(client: httpx.Client, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    answer = client.post(path, json=body)
    answer.raise_for_status()
    found: list[dict[str, Any]] = answer.json()
    return found
