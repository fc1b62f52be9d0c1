"""What worker processes share: the fork server imports this module before it makes copies of itself.

Nothing here may have polars work: its threads would be missing in the copies. To import it starts none of those.
"""

import gc
from importlib import import_module
from typing import Final

from filters.compiled import is_space

MODULES: Final = ("flows.sourcing", "flows.scoring", "flows.comparing", "manifests.likeness", "scipy.fftpack")
"""What jobs of the first steps need; others load what they need themselves."""

TABLES: Final = (
    ("filters.code_bits", "classes"),
    ("filters.code_bits", "lowered"),
    ("filters.judge_domain", "spotter"),
    ("filters.judges.injection", "spotter"),
    ("filters.phrases", "automaton"),
    ("filters.signatures", "characters"),
    ("filters.tongue", "model"),
)
"""Functions that make, once, what text filters look things up in."""

for _name in MODULES:
    import_module(_name)
# numba loads most of itself when the first kernel is called, 0.3 s and 15 MB
is_space(0)
for _module, _table in TABLES:
    getattr(import_module(_module), _table)()
# a collection in a copy would write to every object, and so copy its page
gc.collect()
gc.freeze()
