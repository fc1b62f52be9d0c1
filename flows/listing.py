"""What the catalogue holds: filtered lists, one source in full, and names of every kind resolved to sources."""

import difflib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, get_args

from pydantic import BaseModel

from shards.errors import CatalogError, UsageError
from sources.spec import STAGES, Source, Status, Use

STATUSES: Final[tuple[str, ...]] = get_args(Status)
MEDIA: Final = ("text", "image", "multi-image", "video", "interleaved")
_NAMED: Final = 8
"""Sources that a message lists at most."""


Words = tuple[dict[str, dict[str, "Found"]], ...]
"""Word -> name of a source -> the source, per place to look in, see `words`."""


class Listing(BaseModel):
    """What `vlmix sources list --json` prints."""

    sources: list[Source]
    counts: dict[str, dict[str, int]]
    """Sources of the list by status, per system that uses them; a source of two systems counts in both."""


class Found(BaseModel):
    """A source, and what of it the asked name is: `name`, `alias`, `published name of nvila`, ..."""

    matched: str
    source: Source


class Shown(BaseModel):
    """What `vlmix sources show --json` prints; a published name may mean several sources."""

    asked: str
    found: list[Found]


def list_sources(
    known: Mapping[str, Source],
    *,
    system: str | None = None,
    stage: str | None = None,
    domain: str | None = None,
    licence: str | None = None,
    status: str | None = None,
    media: str | None = None,
    text: str | None = None,
) -> Listing:
    """The sources that pass every given filter, in the order of the catalogue.

    Args:
        known: the catalogue.
        system: published system that uses the source, such as `instella-vl`.
        stage: stage of the same use, such as `sft`.
        domain: domain row of the same use, in any letter case.
        licence: part of the licence, in any letter case.
        status: as in `sources.spec.Status`.
        media: what rows hold, such as `video`.
        text: part of a name, alias, repository, configuration, published name or note, in any letter case.

    Raises:
        UsageError: a system, stage, status or medium that does not exist.
    """
    _check("system", system, STAGES)
    _check("stage", stage, {name for slug, stages in STAGES.items() if system in {None, slug} for name in stages})
    _check("status", status, STATUSES)
    _check("media", media, MEDIA)
    asked_for_use = any((system, stage, domain))
    passed = [
        source
        for source in known.values()
        if status in {None, source.status}
        and (media is None or media in source.media)
        and (licence or "").casefold() in source.licence.casefold()
        and (text or "").casefold() in _text(source)
        and (not asked_for_use or any(_is_use(use, system, stage, domain) for use in source.used_by))
    ]
    counts = _counts(passed)
    return Listing(sources=passed, counts={system: counts[system]} if system in counts else counts)


def _check(what: str, value: str | None, allowed: Iterable[str]) -> None:
    if value is not None and value not in (names := sorted(allowed)):
        raise UsageError(f"unknown {what} `{value}`; one of: {', '.join(names)}")


def _is_use(use: Use, system: str | None, stage: str | None, domain: str | None) -> bool:
    return (
        system in {None, use.system}
        and stage in {None, use.stage}
        and (domain is None or (use.domain or "").casefold() == domain.casefold())
    )


def _text(source: Source) -> str:
    parts = [source.name, source.repo, source.config, source.notes, *source.aliases]
    return "\n".join([part for part in parts if part] + [use.name for use in source.used_by]).casefold()


def _counts(sources: list[Source]) -> dict[str, dict[str, int]]:
    pairs = Counter[tuple[str, str]]()
    for source in sources:
        pairs.update((system, source.status) for system in {use.system for use in source.used_by})
    counts = {system: {status: pairs[system, status] for status in STATUSES} for system in STAGES}
    return {system: row for system, row in counts.items() if any(row.values())}


def words(known: Mapping[str, Source]) -> Words:
    """What every word means.

    In order of search, with equal letter case and then with any: names, aliases, and what others call a source: hub
    ids (`owner/name`, `owner/name:config`), configurations, published names, entries of published configurations
    (both also as `system:name`), and keys of rows of published tables.
    """
    meanings: Words = tuple({} for _ in range(6))
    for source in known.values():
        for rank, word, matched in _words(source):
            found = Found(matched=matched, source=source)
            meanings[rank].setdefault(word, {}).setdefault(source.name, found)
            meanings[rank + 3].setdefault(word.casefold(), {}).setdefault(source.name, found)
    return meanings


def _words(source: Source) -> Iterator[tuple[int, str, str]]:
    """Rank, word and kind of everything that means the source."""
    yield 0, source.name, "name"
    yield from ((1, alias, "alias") for alias in source.aliases)
    if source.repo:
        yield 2, source.repo, "repository"
    if source.config:
        yield 2, source.config, "configuration"
        yield 2, f"{source.repo}:{source.config}", "repository and configuration"
    for use in source.used_by:
        yield 2, use.key, f"row of {use.system} {use.stage}"
        for kind, names in (("published name", (use.name,)), ("entry", use.entries)):
            for name in names:
                yield 2, name, f"{kind} of {use.system} {use.stage}"
                yield 2, f"{use.system}:{name}", f"{kind} of {use.system} {use.stage}"


def find(meanings: Words, asked: str) -> list[Found]:
    """Every source that a word means in the first place where it means any; empty where it means none."""
    for place, meaning in enumerate(meanings):
        if found := meaning.get(asked if place < len(meanings) // 2 else asked.casefold()):
            return list(found.values())
    return []


def lookup(meanings: Words, asked: str) -> Found:
    """The one source that a word means.

    Raises:
        CatalogError: no source of that name, with the nearest one; or several.
    """
    found = find(meanings, asked)
    if len(found) == 1:
        return found[0]
    if not found:
        raise CatalogError(f"no source `{asked}` in the catalogue; {_hint(meanings, asked)}")
    names = [f"`{item.source.name}`" for item in found]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    raise CatalogError(f"`{asked}` means {len(names)} sources: {', '.join(names[:_NAMED])}{more}; name one of them")


def _hint(meanings: Words, asked: str) -> str:
    near = {word: next(iter(found)) for meaning in reversed(meanings[3:]) for word, found in meaning.items()}
    # the last part of a name counts as a word: most people forget the publisher
    near |= {name.rsplit(".", maxsplit=1)[-1]: name for name in meanings[0]}
    close = difflib.get_close_matches(asked.casefold(), near, n=1)
    return f"did you mean `{near[close[0]]}`?" if close else "see `vlmix sources list`"


def show(meanings: Words, asked: str) -> Shown:
    """All facts about every source that a word means.

    Raises:
        CatalogError: no source of that name, with the nearest one.
    """
    return Shown(asked=asked, found=find(meanings, asked) or [lookup(meanings, asked)])
