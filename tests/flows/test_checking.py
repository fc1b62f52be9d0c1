"""What a look at a whole source counts."""

import io
import json
import tarfile
from pathlib import Path

from PIL import Image

from flows.checking import check
from shards.pack import Mirror
from shards.store import Store


def png(seed: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (seed, 0, 0)).save(buffer, "PNG")
    return buffer.getvalue()


def test_pictures_under_another_path_count_as_repaired(tmp_path: Path) -> None:
    base, store = tmp_path / "raw", tmp_path / "store"
    base.mkdir()
    names = ["a.png", "b.png", "train/c.png", "none.png"]
    turns = [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": "A colour."}]
    rows = [{"id": name, "image": name, "conversations": turns} for name in names]
    (base / "rows.json").write_text(json.dumps(rows))
    with tarfile.open(base / "all.tar", "w") as archive:
        for seed, name in enumerate(("deep/er/a.png", "deep/er/b.png", "train/c.png")):
            info = tarfile.TarInfo(name)
            info.size = len(png(seed))
            archive.addfile(info, io.BytesIO(png(seed)))
    body = {"name": "mine", "layout": "llava", "files": "rows.json", "archive": "all.tar", "quarantine_limit": 1}
    for place, text in (
        ("catalog/mine.yaml", json.dumps(body)),
        ("mirrors/mine.json", Mirror(root=str(base)).model_dump_json()),
    ):
        (store / place).parent.mkdir(parents=True)
        (store / place).write_text(text)
    found = check("mine", Store(store))
    assert (found.samples, found.quarantined, found.gate) == (3, 1, None)
    assert found.repairs == {"archive_prefix": 2}
