"""What worker processes share: the fork server imports this module before it makes copies of itself.

Nothing here may have polars work: its threads would be missing in the copies. To import it starts none of those.
"""

import gc
from importlib import import_module
from typing import Final

import pyarrow as pa

from filters.compiled import is_space

MODULES: Final = ("flows.sourcing", "flows.scoring", "flows.comparing", "manifests.likeness", "scipy.fftpack")
"""What jobs of the first steps need; others load what they need themselves."""

for _name in MODULES:
    import_module(_name)
# numba loads most of itself when the first kernel is called, 0.3 s and 15 MB
is_space(0)
# Arrow's own allocator keeps 25 MB in every process for later
pa.set_memory_pool(pa.system_memory_pool())
# a collection in a copy would write to every object, and so copy its page
gc.collect()
gc.freeze()
