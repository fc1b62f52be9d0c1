"""`python -m mini_hub OUT` with `tests/` on the path: the miniature of the project's own catalogue."""

import sys
from pathlib import Path

from mini_hub.build import build

CATALOG = Path(__file__).parents[2] / "sources" / "catalog"

summary = build(CATALOG, Path(sys.argv[1]))
for layout, names in sorted(summary.sources.items()):
    sys.stdout.write(f"{layout}: {len(names)} sources\n")
for name, why in sorted(summary.left_out.items()):
    sys.stdout.write(f"left out {name}: {why}\n")
