"""Runs one peer's MinHash deduplication in the peer's own interpreter; `minhash.py` calls this.

    python benchmarks/minhash_peer.py NAME FILE

FILE holds a JSON string a line. Prints one line of JSON: CPU seconds, peak memory in MiB, the rows dropped. All have
words by their own cut, shingles of 5, 21 bands of 6 hashes.
"""

import json
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

BANDS, HASHES, WORDS = 21, 6, 5

Dropped = Callable[[Sequence[str]], list[int]]


def datatrove() -> Dropped:
    """The signature, bucket and cluster steps of its MinHash pipeline, through files as it does."""
    from datatrove.data import Document
    from datatrove.pipeline.dedup import MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupSignature
    from datatrove.pipeline.dedup.minhash import MinhashConfig

    config = MinhashConfig(n_grams=WORDS, num_buckets=BANDS, hashes_per_bucket=HASHES)

    def dropped(texts: Sequence[str]) -> list[int]:
        with tempfile.TemporaryDirectory() as folder:
            documents = (Document(text=text, id=str(row)) for row, text in enumerate(texts))
            MinhashDedupSignature(f"{folder}/signatures", config).run(documents)
            for bucket in range(BANDS):
                buckets = MinhashDedupBuckets(f"{folder}/signatures", f"{folder}/buckets", config=config)
                buckets.run(rank=bucket, world_size=BANDS)
            MinhashDedupCluster(f"{folder}/buckets", f"{folder}/remove", config).run()
            removed = [path.read_bytes() for path in Path(folder, "remove").glob("*.remove")]
        return [row for part in removed for (row,) in struct.iter_unpack("<I", part)]

    return dropped


def data_juicer() -> Dropped:
    """Its `document_minhash_deduplicator`."""
    from data_juicer.ops.deduplicator import DocumentMinhashDeduplicator
    from datasets import Dataset

    def dropped(texts: Sequence[str]) -> list[int]:
        operator = DocumentMinhashDeduplicator(
            window_size=WORDS,
            num_permutations=BANDS * HASHES,
            jaccard_threshold=0.8,
            num_bands=BANDS,
            num_rows_per_band=HASHES,
        )
        rows = [operator.compute_hash({"text": text, "row": row}) for row, text in enumerate(texts)]
        kept, _ = operator.process(Dataset.from_list(rows))
        return sorted(set(range(len(texts))) - set(kept["row"]))

    return dropped


def rensa() -> Dropped:
    """Its deduplicator with an index of bands, which compares signatures; words are Python's to cut."""
    from rensa import RMinHash, RMinHashDeduplicator

    def dropped(texts: Sequence[str]) -> list[int]:
        index = RMinHashDeduplicator(threshold=0.8, num_perm=BANDS * HASHES, use_lsh=True, num_bands=BANDS)
        found = []
        for row, text in enumerate(texts):
            words = text.lower().split()
            signature = RMinHash(num_perm=BANDS * HASHES, seed=42)
            signature.update([" ".join(words[i : i + WORDS]) for i in range(len(words) - WORDS + 1)])
            if not index.add(str(row), signature):
                found.append(row)
        return found

    return dropped


PEERS = {"datatrove": datatrove, "data-juicer": data_juicer, "rensa": rensa}


def main() -> None:
    """Drop what the peer takes for duplicates in the file."""
    name, path = sys.argv[1:]
    texts = [json.loads(line) for line in Path(path).read_text().splitlines()]
    dropped = PEERS[name]()
    dropped(texts[:20])  # what is loaded on the first call is not counted
    begin = time.process_time()
    found = dropped(texts)
    seconds = time.process_time() - begin
    # `getrusage` would count what the parent had in memory, too
    peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024
    print(json.dumps({"seconds": seconds, "peak": peak, "dropped": found}))


if __name__ == "__main__":
    main()
