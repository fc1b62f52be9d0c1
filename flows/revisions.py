"""Whether publishers have something newer than what a store holds; asks for names and tags, and for no file."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel

from flows.fetching import is_remote
from flows.resolve import catalogue, locate
from flows.settings import private_hosts
from manifests.load import load_recipe
from shards.errors import VlmixError
from shards.store import Store
from sources.lock import COMMIT, locked_commit, locked_file
from sources.spec import Source
from sources.transfer import PASSING, Failed, Transfer, TransferPolicy

_BRANCH: Final = "main"

State = Literal["unchanged", "changed", "not fetched", "not known", "failed"]


class Looked(BaseModel):
    """One repository or file that sources come from.

    `known` is the commit or SHA-256 that the store has, `found` what is published; empty where nobody says. A pinned
    source can be `changed`: its pin keeps what it has.
    """

    place: str
    sources: list[str]
    pinned: bool
    known: str
    found: str
    state: State
    message: str = ""


def remote_sources(store: Store, recipe: str | None) -> list[Source]:
    """Sources that come over the network: those of a recipe, or all of the catalogue; by name.

    Raises:
        UsageError: no such recipe, or one that is wrong.
    """
    if recipe is None:
        found = {source.name: source for source in catalogue(store).values() if is_remote(source)}
    else:
        loaded, folder = load_recipe(recipe)
        found = {place.source.name: place.source for place in locate(loaded, folder, store)[0].values() if place.remote}
    return [found[name] for name in sorted(found)]


def look_all(sources: Iterable[Source], store: Store, policy: TransferPolicy | None = None) -> list[Looked]:
    """Ask about every repository and address once; what cannot be reached says so and stops nobody."""
    by_place: dict[tuple[str, str], list[str]] = {}
    addresses: dict[tuple[str, bool], list[str]] = {}
    for source in sources:
        for file in source.downloads:
            addresses.setdefault((file.url, file.sha256 is not None), []).append(source.name)
        if not source.downloads and source.repo:
            by_place.setdefault((source.repo, source.revision or _BRANCH), []).append(source.name)
    lock, bounds = store.root / "sources.lock", policy or TransferPolicy()
    hubs = [_repository(*place, names, lock, bounds) for place, names in sorted(by_place.items())]
    return hubs + [_address(*place, names, lock, bounds) for place, names in sorted(addresses.items())]


def _repository(repo: str, revision: str, names: list[str], lock: Path, policy: TransferPolicy) -> Looked:
    from sources.repository import Repository

    pinned = COMMIT.fullmatch(revision) is not None
    branch = _BRANCH if pinned else revision
    known = revision if pinned else locked_commit(lock, repo, revision) or ""
    try:
        found = Repository(names[0], repo, policy, lambda done, total: None).resolve(branch)
    except VlmixError as error:
        return _looked(repo, names, known, "", "failed", pinned=pinned, message=str(error))
    state: State = "unchanged" if found == known else "changed" if known else "not fetched"
    return _looked(repo, names, known, found, state, pinned=pinned)


def _address(url: str, pinned: bool, names: list[str], lock: Path, policy: TransferPolicy) -> Looked:
    from sources.origin import Origin

    known = locked_file(lock, url)
    if known is None:
        return _looked(url, names, "", "", "not fetched", pinned=pinned)
    asked = {"If-None-Match": known.etag, "If-Modified-Since": known.modified}
    headers = {name: value for name, value in asked.items() if value}
    if not headers:
        message = "the server gave neither tag nor date; only a fetch with --update can tell"
        return _looked(url, names, known.sha256, "", "not known", pinned=pinned, message=message)
    origin = Origin(silence=policy.timeout, private=private_hosts())

    def ask() -> State:
        with origin.ask(url, headers, attempt=0) as answer:
            if not (answer.whole or answer.unchanged):
                raise Failed(f"HTTP {answer.status}; look at the address", passing=answer.status in PASSING)
            return "unchanged" if answer.unchanged else "changed"

    try:
        state = Transfer(f"source `{names[0]}`", policy, lambda done, total: None).patiently(f"`{url}`", ask)
    except VlmixError as error:
        return _looked(url, names, known.sha256, "", "failed", pinned=pinned, message=str(error))
    return _looked(url, names, known.sha256, known.sha256 if state == "unchanged" else "", state, pinned=pinned)


def _looked(
    place: str, names: list[str], known: str, found: str, state: State, *, pinned: bool = False, message: str = ""
) -> Looked:
    return Looked(
        place=place, sources=sorted(names), pinned=pinned, known=known, found=found, state=state, message=message
    )
