"""Checks of what a recipe needs beside this machine: its judge, and an account for its gated sources."""

import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import httpx

from filters.judges.base import Judge
from filters.judges.http import API_KEY, HttpJudge
from filters.judges.vllm import VllmJudge
from flows.console import where
from flows.doctor import Finding, bad, doubtful, good
from flows.recipe_judge import judge_of
from flows.resolve import locate
from manifests.load import load_recipe
from shards.errors import UsageError
from shards.store import Store

ANSWER_S: Final = 5.0
"""Seconds that a server may take for a word about itself. Ours."""
_HUB: Final = "https://huggingface.co"


def recipe(name: str, store: str) -> Iterator[Finding]:
    """The recipe itself, its judge, and the account for its gated sources."""
    try:
        loaded, folder = load_recipe(name)
        place = Store(where(store))
        located, missing = locate(loaded, folder, place)
        judge = judge_of(loaded, folder)
    except UsageError as error:
        yield bad("recipe", str(error), "")
        return
    left_out = f", {len(missing)} entries left out" if missing else ""
    yield good("recipe", f"`{loaded.name}`: {len(located)} entries with a source{left_out}")
    yield from of_judge(judge)
    gated = {each.source.repo for each in located.values() if each.remote and each.source.status == "gated"}
    yield from hub(sorted(repo for repo in gated if repo))


def of_judge(judge: Judge | None) -> Iterator[Finding]:
    """Whether a judge can be asked; no question is put."""
    if isinstance(judge, HttpJudge):
        if not Path(judge.tokenizer).is_dir():
            yield bad("judge", f"no tokenizer at `{judge.tokenizer}`", "see `tokenizer` in docs/judge.md")
        yield from (_server(judge, url) for url in judge.urls)
    elif isinstance(judge, VllmJudge):
        if find_spec("vllm") is None:
            yield bad("judge", "`vllm` is not installed", "install the build for your accelerator, see docs/judge.md")
        if not Path(judge.model).is_dir():
            yield bad("judge", f"no model at `{judge.model}`", "download it, or correct `model` of the recipe's judge")
        else:
            yield good("judge", f"vllm, `{judge.model}`")
    else:
        yield good("judge", judge.judge_id if judge else "off: nobody is asked")


def _server(judge: HttpJudge, url: str) -> Finding:
    key = os.environ.get(API_KEY)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        answer = httpx.get(f"{url.rstrip('/')}/v1/models", headers=headers, timeout=ANSWER_S)
        answer.raise_for_status()
        names = [str(each["id"]) for each in answer.json()["data"]]
    except httpx.HTTPStatusError as error:
        remedy = f"set `{API_KEY}`" if error.response.status_code in {401, 403} else "see the server's log"
        return bad("judge", f"`{url}` answers {error.response.status_code}", remedy)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return bad("judge", f"`{url}`: {error or type(error).__name__}", "start the server, see docs/deploy-judge.md")
    except (ValueError, KeyError, TypeError):
        return bad("judge", f"`{url}` is no server of the OpenAI protocol", "correct `urls` of the recipe's judge")
    if judge.model not in names:
        return bad("judge", f"`{url}` serves {', '.join(names) or 'nothing'}, not `{judge.model}`", "correct `model`")
    return good("judge", f"`{url}` serves `{judge.model}`")


def hub(gated: list[str]) -> Iterator[Finding]:
    """Whether the account of `HF_TOKEN` may read these repositories; the token goes to the hub and is not shown."""
    token = os.environ.get("HF_TOKEN", "").strip()
    endpoint = os.environ.get("HF_ENDPOINT", _HUB).rstrip("/")
    if not token:
        if gated:
            remedy = "request access on their pages, then set HF_TOKEN to a token of that account"
            yield doubtful("hub", f"HF_TOKEN is not set, gated: {', '.join(gated)}", remedy)
        else:
            yield good("hub", "no gated source, no token needed")
        return
    headers = {"Authorization": f"Bearer {token}"}
    code = _status(f"{endpoint}/api/whoami-v2", headers)
    if code != httpx.codes.OK:
        words = "HF_TOKEN is not accepted" if code in {401, 403} else f"`{endpoint}` answers {code or 'not at all'}"
        yield bad("hub", words, "make another token, or look whether the hub can be reached")
        return
    yield good("hub", "HF_TOKEN is valid")
    for repo in gated:
        code = _status(f"{endpoint}/api/datasets/{repo}/auth-check", headers)
        if code == httpx.codes.OK:
            yield good("hub", f"access to `{repo}`")
        else:
            yield bad("hub", f"no access to `{repo}` ({code})", f"request it at {endpoint}/datasets/{repo}")


def _status(url: str, headers: dict[str, str]) -> int:
    """Status of an answer; 0 where none comes."""
    try:
        return httpx.get(url, headers=headers, timeout=ANSWER_S).status_code
    except httpx.HTTPError:
        return 0
