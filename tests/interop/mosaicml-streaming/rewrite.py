"""Writes a set of MDS shards again with the package's own writer: FROM TO SIZE_LIMIT."""

import json
import sys
from pathlib import Path

from streaming import MDSWriter, StreamingDataset

folder, to, limit = sys.argv[1:]
first = json.loads((Path(folder) / "index.json").read_text())["shards"][0]
columns = dict(zip(first["column_names"], first["column_encodings"], strict=True))
samples = StreamingDataset(local=folder, batch_size=1, shuffle=False, num_canonical_nodes=1)
with MDSWriter(out=to, columns=columns, size_limit=int(limit)) as writer:
    for number in range(len(samples)):
        writer.write(samples[number])
