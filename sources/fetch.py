"""Downloads of pictures from URL lists into packs: chunk by chunk, resumed by URL.

What becomes of one URL is decided in sources/client.py, which lists the reasons.
"""

import asyncio
import shutil
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from shards.errors import SourceError, StoreError
from shards.pack import PackWriter
from shards.store import Box
from sources.client import Client, Reply
from sources.gather import Gathered, finish, read_rows, store_picture, write_rows
from sources.places import Places
from sources.policy import FetchPolicy
from sources.spec import Source
from sources.spool import Spool

CHUNK_URLS: Final = 512
"""URLs per pack and log; a chunk is packed when each of its URLs has a lasting outcome."""
_OPEN_CHUNKS: Final = 8  # asked for at a time, so that a slow host holds up its own chunk only

Ref = tuple[str, str | None]  # URL, and SHA-256 where the publisher gives it
_Failures = list[tuple[str, Reply]]


def download(box: Box, source: Source, refs: Sequence[Ref], policy: FetchPolicy) -> None:
    """Download URLs into the packs of a gathering box.

    Lasting outcomes of an unfinished chunk wait in the box's folder `spool`; packs and tables are made from whole
    chunks in the order of `refs`, so neither the order of arrival nor an interruption shows in their bytes. Equal
    bytes are stored once per chunk, because chunks finish in any order.

    Raises:
        SourceError: some URLs had passing failures only; run again to ask for these alone.
        StoreError: the disk is full or the folder cannot be written.
    """
    try:
        failed = asyncio.run(_download(box, refs, policy))
    except OSError as error:
        remedy = "free space or choose another store with --store; what is finished is kept"
        raise StoreError(f"cannot write `{box.path}`: {error.strerror or error}; {remedy}") from error
    if failed:
        url, reply = failed[0]
        reasons = ", ".join(f"`{name}` {n}" for name, n in sorted(Counter(reply.reason for _, reply in failed).items()))
        raise SourceError(
            f"source `{source.name}`: {len(failed)} of {len(refs)} URLs gave no lasting answer, first `{url}`: "
            f"{reply.message}; run again: finished downloads are kept; by reason: {reasons}"
        )
    rows = (row for number in range(-(-len(refs) // CHUNK_URLS)) for row in read_rows(_log(box, number)))
    shutil.rmtree(box.path / "spool", ignore_errors=True)
    finish(box, rows)


def _log(box: Box, number: int) -> Path:
    return box.path / f"log-{number:05d}.parquet"


async def _download(box: Box, refs: Sequence[Ref], policy: FetchPolicy) -> _Failures:
    # look-ups of dead hosts hang in their threads, so there are enough for all, and for packing
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(policy.concurrency + _OPEN_CHUNKS))
    places, packing, client = asyncio.Semaphore(_OPEN_CHUNKS), asyncio.Lock(), Client(policy)

    async def chunk(number: int, start: int) -> _Failures:
        async with places:
            part, folder = refs[start : start + CHUNK_URLS], box.path / "spool" / f"{number:05d}"
            spool = await asyncio.to_thread(Spool, folder)
            failed = await _fill(spool, part, client, policy.give_up)
            if not failed:
                async with packing:  # one at a time beside the downloads: decoding is most of the work
                    await asyncio.to_thread(_write_chunk, box, number, part, spool)
        return failed

    starts = enumerate(range(0, len(refs), CHUNK_URLS))
    todo = [chunk(number, start) for number, start in starts if not _log(box, number).is_file()]
    return [pair for failed in await asyncio.gather(*todo) for pair in failed]


async def _fill(spool: Spool, refs: Sequence[Ref], client: Client, give_up: bool) -> _Failures:
    """Ask for what the spool lacks; gives the passing failures in order."""

    async def one(position: int) -> Reply:
        url, sha256 = refs[position]
        reply = await client.get(url, spool.part(position))
        if reply.sha256 and sha256 and sha256.lower() != reply.sha256:
            reply = Reply(None, "download_sha256", f"expected sha256 {sha256[:12]}.., found {reply.sha256[:12]}..")
        if reply.transient and give_up:
            reply = Reply(None, "download_failed", f"no lasting answer after all retries, last `{reply.reason}`")
        if reply.transient:
            spool.part(position).unlink(missing_ok=True)
        else:
            spool.keep(position, reply)
        return reply

    todo = [position for position in range(len(refs)) if position not in spool.replies]
    replies = await asyncio.gather(*map(one, todo))
    return [(refs[position][0], reply) for position, reply in zip(todo, replies, strict=True) if reply.transient]


def _write_chunk(box: Box, number: int, refs: Sequence[Ref], spool: Spool) -> None:
    rows, seen = list[Gathered](), Places(box.path)
    with PackWriter(box.store, box.name, f"pictures-{number:05d}") as packs:
        for position, (url, _) in enumerate(refs):
            reply = spool.replies[position]
            lost = Gathered(url, None, reply.reason, reply.message)
            rows.append(store_picture(packs, url, spool.body(position).read_bytes(), seen) if reply.sha256 else lost)
    write_rows(_log(box, number), rows)
    shutil.rmtree(spool.folder)
