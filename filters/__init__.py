"""Batches of samples turned into score columns."""

from typing import Final

from filters.base import Filter as Filter
from filters.base import PictureFilter as PictureFilter
from filters.base import TextFilter as TextFilter
from filters.c4 import C4
from filters.canvas import PictureCanvas
from filters.char_run import CharRuns
from filters.characters import Characters
from filters.choices import Choices
from filters.data_juicer import DataJuicer
from filters.duplicates import DuplicateShares
from filters.echo import Echo
from filters.fineweb import FineWeb
from filters.gopher import Gopher
from filters.grain import PictureGrain
from filters.holdings import Holdings
from filters.judge_domain import JudgeDomain
from filters.judges.injection import InjectionSpans
from filters.language import Language
from filters.lengths import Lengths
from filters.loops import Loops
from filters.native import Native
from filters.phash import PerceptualHash
from filters.phrases import Phrases
from filters.pictures import PictureBasics
from filters.placeholders import Placeholders
from filters.sizes import Sizes
from filters.text_hash import TextHash
from filters.tokens import TokenEstimate
from filters.turns import Turns

FILTERS: Final[dict[str, type]] = {
    "holdings": Holdings,
    "text_hash": TextHash,
    "native": Native,
}
"""Filters of samples by the name a recipe gives them; `native` needs parameters, the others have defaults."""

TEXT_FILTERS: Final[dict[str, type[TextFilter]]] = {
    "lengths": Lengths,
    "tokens": TokenEstimate,
    "turns": Turns,
    "judge_domain": JudgeDomain,
    "injection_spans": InjectionSpans,
    "char_runs": CharRuns,
    "loops": Loops,
    "duplicate_shares": DuplicateShares,
    "sizes": Sizes,
    "characters": Characters,
    "language": Language,
    "phrases": Phrases,
    "placeholders": Placeholders,
    "echo": Echo,
    "choices": Choices,
    "gopher": Gopher,
    "c4": C4,
    "fineweb": FineWeb,
    "data_juicer": DataJuicer,
}
"""Filters of the messages of samples by the name a recipe gives them; they share one reading of the text."""

ON_DEMAND: Final = frozenset({"gopher", "c4", "fineweb", "data_juicer"})
"""Of these, the ones that run only where a recipe names one of their scores: they take as long as all the others."""

PICTURE_FILTERS: Final[dict[str, type[PictureFilter]]] = {
    "picture_basics": PictureBasics,
    "picture_canvas": PictureCanvas,
    "picture_grain": PictureGrain,
    "phash": PerceptualHash,
}
"""Filters of pictures by the name a recipe gives them."""
