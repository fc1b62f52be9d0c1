"""Language of answers and of questions: by script where a script has one language, else by n-grams of letters."""

from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from filters.base import Columns
from filters.texts import USER, Texts

ALONE: Final = {
    "greek": "el",
    "armenian": "hy",
    "hebrew": "he",
    "bengali": "bn",
    "gurmukhi": "pa",
    "gujarati": "gu",
    "oriya": "or",
    "tamil": "ta",
    "telugu": "te",
    "kannada": "kn",
    "malayalam": "ml",
    "sinhala": "si",
    "thai": "th",
    "lao": "lo",
    "tibetan": "bo",
    "burmese": "my",
    "georgian": "ka",
    "ethiopic": "am",
    "khmer": "km",
    "mongolian": "mn",
    "hangul": "ko",
    "kana": "ja",
    "han": "zh",
}
"""Script to the one language that is taken for granted, ISO 639-1."""
UNDETERMINED: Final = "und"
NOTHING: Final = "zxx"

_WIDE: Final = ("han", "kana", "hangul")
_WORTH: Final = 3  # letters of an alphabet that say as much as one of these
_KANA: Final = 0.05  # share of kana among Han and kana from which a text is Japanese
_FEWEST: Final = 20  # letters, by that worth, below which no alphabet tells its language
_FEWEST_ALONE: Final = 3


@dataclass(frozen=True, slots=True)
class Language:
    """Scores `language` of the answers, `question_language` of the user turns, and `language_lead`.

    Codes of ISO 639: `en`, `zh` and so on, 70 languages; `und` where fewer than 20 letters are no basis (3 where the
    script decides); `zxx` without letters: numbers, boxes, code alone. `question_language` is null where there is no
    user turn. Only the first `letters` letters and spaces are read, without code fences. The script with most letters
    counts, a Han, kana or Hangul character as three. Greek, Thai, Hangul and 20 other scripts have one language here.
    Latin (37 languages), Cyrillic (8), Arabic (3) and Devanagari (2) are told apart by n-grams of two to five letters.

    `language_lead`: how far the language of the answers leads before the second of its script, in nats a letter, at
    most 1, which stands where the script decides; 0 for `und` and `zxx`. Most prose has 0.1 to 0.9.

    Close languages (Danish and Norwegian, Galician and Portuguese) are mistaken for one another, and so are lists of
    names; Marathi is called Hindi; a language that is not among them gets a near one's code. docs/filters.md has
    measured shares.

    Source: weights of py3langid 0.4.0 (Lui and Baldwin 2012, Barbaresi), the 7,475 n-grams that tell most, in 8 bits.
    """

    writes: ClassVar[Columns] = {"language": pl.String, "question_language": pl.String, "language_lead": pl.Float64}
    version: ClassVar[int] = 1

    letters: int = 120

    def __call__(self, texts: Texts) -> pl.DataFrame:
        """Scores of each sample; null where no text filter applies."""
        users = np.flatnonzero(texts.role == USER)
        asked = np.zeros(texts.num_samples, dtype=np.bool_)
        asked[texts.sample[users]] = True
        language, lead = _detect(texts, texts.answers, self.letters)
        question, _ = _detect(texts, users, self.letters)
        question = question.zip_with(pl.Series(asked), pl.Series([None], dtype=pl.String))
        found = (language, question, pl.Series(lead))
        columns = zip(self.writes.items(), found, strict=True)
        return pl.DataFrame([texts.masked(column, of).alias(name) for (name, of), column in columns])


def _detect(texts: Texts, messages: npt.NDArray[np.int64], most: int) -> tuple[pl.Series, npt.NDArray[np.float64]]:
    """(n,) codes and (n,) leads of the samples, from these messages of theirs."""
    from filters.kinds import SCRIPTS
    from filters.tongue import SCALE, model, weigh

    made = model()
    letters, best, lead, second = weigh(
        texts.codes, texts.starts, texts.sample[messages], messages, texts.num_samples, most, *made[1:]
    )
    names = ["", *(name for name, _ in SCRIPTS)]
    worth = letters * np.array([_WORTH if name in _WIDE else 1 for name in names])
    han, kana = worth[:, names.index("han")].copy(), worth[:, names.index("kana")]
    japanese = kana > _KANA * (han + kana)
    worth[:, names.index("han")] = np.where(japanese, 0, han + kana)
    worth[:, names.index("kana")] = np.where(japanese, han + kana, 0)
    main = worth.argmax(axis=1)
    counted = worth[np.arange(len(worth)), main]
    codes = [UNDETERMINED, NOTHING, *made.languages, *(ALONE.get(name, UNDETERMINED) for name in names)]
    modelled = np.array([name not in ALONE for name in names])[main]
    # of a text whose main script by number of letters is another one, nothing was weighed
    weighed = modelled & (letters.argmax(axis=1) == main) & (best >= 0)
    code = np.where(weighed, 2 + best, np.where(modelled, 0, 2 + len(made.languages) + main))
    code[counted < np.where(modelled, _FEWEST, _FEWEST_ALONE)] = 0
    code[letters.sum(axis=1) == 0] = 1
    ahead = np.where(weighed, np.minimum((lead - second) / (SCALE * np.maximum(counted, 1)), 1.0), 1.0)
    return pl.Series(codes, dtype=pl.String).gather(code), np.where(code > 1, ahead, 0.0)
