"""Finds near-duplicate pictures as one peer does, in the peer's own interpreter; `dedup_peers.py` calls this.

    python benchmarks/dedup_peer.py NAME RADIUS FOLDER

Prints one line of JSON: CPU seconds, peak memory in MiB, and for each picture of FOLDER, sorted by name, the place of
the first kept one within RADIUS bits of it, or its own. NAME `faiss` reads RADIUS and a number of random hashes.
"""

import importlib.util
import json
import resource
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

Hashes = Callable[[Sequence[Path]], list[int]]


def imagehash() -> Hashes:
    """`phash` of imagehash."""
    from imagehash import phash
    from PIL import Image

    return lambda paths: [int(str(phash(Image.open(path))), 16) for path in paths]


def imagededup() -> Hashes:
    """`PHash` of imagededup, which data-juicer's `image_deduplicator` calls, too, to compare the strings.

    Two of its packages load torchvision where they are imported, for a model that hashes do not use: these two are
    entered without running their `__init__`.
    """
    for name in ("imagededup.methods", "imagededup.utils"):
        spec = importlib.util.find_spec("imagededup")
        assert spec and spec.submodule_search_locations
        package = ModuleType(name)
        package.__path__ = [str(Path(spec.submodule_search_locations[0]) / name.rpartition(".")[2])]
        sys.modules[name] = package
    from imagededup.methods.hashing import PHash

    made = PHash(verbose=False)
    return lambda paths: [int(made.encode_image(image_file=str(path)), 16) for path in paths]


PEERS: dict[str, Callable[[], Hashes]] = {"imagehash": imagehash, "imagededup": imagededup}


def kept_first(hashes: Sequence[int], radius: int) -> list[int]:
    """Position of the first kept hash within the radius, or its own."""
    kept: list[int] = []
    joined = []
    for at, value in enumerate(hashes):
        joined.append(next((other for other in kept if (hashes[other] ^ value).bit_count() <= radius), at))
        if joined[-1] == at:
            kept.append(at)
    return joined


def faiss(number: int, radius: int) -> int:
    """Pairs that the range search of faiss finds among random hashes, one in ten a copy with two bits flipped."""
    import faiss as library
    import numpy as np

    library.omp_set_num_threads(1)
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 256, (number, 8), dtype=np.uint8)
    codes[-(number // 10) :] = codes[: number // 10]
    codes[-(number // 10) :, :2] ^= np.uint8(1)
    index = library.IndexBinaryFlat(64)
    index.add(codes)
    limits, _, _ = index.range_search(codes, radius + 1)
    return (int(limits[-1]) - number) // 2


def main() -> None:
    """Run one peer."""
    name, radius, given = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    if name == "faiss":
        begin = time.process_time()
        joined: list[int] = [faiss(int(given), radius)]
    else:
        paths = sorted(Path(given).iterdir())
        hashes = PEERS[name]()
        hashes(paths[:2])
        begin = time.process_time()
        joined = kept_first(hashes(paths), radius)
    seconds = time.process_time() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "peak": peak, "joined": joined}))


if __name__ == "__main__":
    main()
