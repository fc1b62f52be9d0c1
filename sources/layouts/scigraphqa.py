"""SciGraphQA: dialogues about figures of papers, packed into one text."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from shards.markers import escape_literals
from shards.schema import IMAGE_MARKER
from sources.layouts.dialog import unpack
from sources.layouts.media import relative
from sources.layouts.rows import Raw, convert
from sources.layouts.turns import alternating, mended, read_turns, renamed
from sources.layouts.value import Fields, RowError, as_text, chosen, extras, need, text_of
from sources.record import Defect, Member, Message, Record
from sources.spec import Source

_USED: Final = ("image_file", "caption", "conversations", "response", "q_a_pairs", "first_mention", "abstract")


@dataclass(frozen=True, slots=True)
class SciGraphQa:
    """Rows of {image_file, id, caption, conversations, response, q_a_pairs, ...}: one sample, the whole dialogue.

    It is read from `q_a_pairs` (later uploads), else from `response` (`Question: ... Answer: ...`), else from
    `conversations`, which holds its first pair: repair `first_pair_only`. Markers in pairs are
    misplaced: they go, and one comes first; `conversations` keeps its marker wherever it stands.
    """

    version: ClassVar[int] = 1
    evidence: ClassVar[str] = "card"

    def __call__(self, path: Path, source: Source) -> Iterator[Record | Defect]:
        """One record or defect per row."""
        return convert(path, source, _record)


def _record(raw: Raw, source: Source) -> Record:
    fields = raw.fields()
    messages, repairs = _messages(fields)
    return Record(
        row=raw.row,
        messages=messages,
        pictures=(Member(relative(text_of(fields, "image_file"))),),
        meta=extras(fields, (*_USED, *source.native)),
        native=chosen(fields, source.native),
        repairs=repairs,
    )


def _messages(fields: Fields) -> tuple[tuple[Message, ...], tuple[str, ...]]:
    texts, repairs = _texts(fields)
    if texts:
        return alternating(texts), repairs
    turns = read_turns(need(fields, "conversations"), "conversations", escape_literals)
    messages, more = mended(turns, marker=IMAGE_MARKER, media=1, prompt=None)
    return messages, ("first_pair_only", *renamed(fields["conversations"]), *more)


def _texts(fields: Fields) -> tuple[list[str], tuple[str, ...]]:
    """Questions and answers in turn, none where the row does not say them."""
    pairs = fields.get("q_a_pairs")
    if isinstance(pairs, list) and pairs:
        if not all(isinstance(pair, list) and len(pair) == len(("q", "a")) for pair in pairs):
            raise RowError("wrong_type", "expected lists of two texts in `q_a_pairs`, found another item")
        return [_plain(text, "q_a_pairs") for pair in pairs for text in pair], ()
    response = fields.get("response")
    heading, texts = unpack(response if isinstance(response, str) else "", "Question:", "Answer:")
    if heading or len(texts) % 2 or not all(texts):
        return [], ()
    return [_plain(text, "response") for text in texts], ("turns_split",) if texts else ()


def _plain(text: object, name: str) -> str:
    # markers are misplaced here: the one picture stands before the first question
    return as_text(text, name).replace(IMAGE_MARKER, "").strip()
