"""Batches of samples turned into score columns."""

from typing import Final

from filters.base import Filter as Filter
from filters.base import PictureFilter as PictureFilter
from filters.base import TextFilter as TextFilter
from filters.char_run import CharRuns
from filters.dup_ngram import DupNgramShare
from filters.judge_domain import JudgeDomain
from filters.judges.injection import InjectionSpans
from filters.lengths import Lengths
from filters.native import Native
from filters.periodic_share import PeriodicShare
from filters.phash import PerceptualHash
from filters.pictures import PictureBasics
from filters.text_hash import TextHash
from filters.tokens import TokenEstimate
from filters.turns import Turns

FILTERS: Final[dict[str, type]] = {
    "lengths": Lengths,
    "tokens": TokenEstimate,
    "turns": Turns,
    "char_runs": CharRuns,
    "periodic_share": PeriodicShare,
    "dup_ngram_share": DupNgramShare,
    "text_hash": TextHash,
    "judge_domain": JudgeDomain,
    "injection_spans": InjectionSpans,
    "native": Native,
}
"""Filters of samples by the name a recipe gives them; `native` needs parameters, the others have defaults."""

TEXT_FILTERS: Final[dict[str, type[TextFilter]]] = {}
"""Filters of the messages of samples by the name a recipe gives them; they share one reading of the text."""

PICTURE_FILTERS: Final[dict[str, type[PictureFilter]]] = {
    "picture_basics": PictureBasics,
    "phash": PerceptualHash,
}
"""Filters of pictures by the name a recipe gives them."""
