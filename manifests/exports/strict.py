"""A sample as the strict conversation that every trainer accepts, or the reason why it cannot be one."""

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from manifests.exports.base import ExportRow, Kind
from shards.markers import pieces, unescape
from shards.schema import IMAGE_MARKER, VIDEO_MARKER, Role

Speaker = Literal["human", "gpt"]

Turn = tuple[Speaker, str]

RESERVED: Final = (
    "<image>",
    "<video>",
    "<vila/video>",
    "<vila/sentinel>",
    "<img>",
    "</img>",
    "<IMG_CONTEXT>",
    "<|im_start|>",
    "<|im_end|>",
    "<|assistant|>",
    "|||IP_ADDRESS|||",
)
"""Control strings of the trainers that read conversations; text that holds one would change what is trained. A space is
put behind the first character: `< image>`. Sources: LLaVA-NeXT and InstellaVL llava/constants.py and conversation.py,
InternVL internvl/train/constants.py, VILA llava/constants.py."""

MOVED: Final = "marker_moved"
NEUTRALISED: Final = "literal_neutralised"
FOLDED: Final = "system_folded"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a row cannot be represented, in one snake_case word."""

    reason: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """Turns that begin with `human`, alternate and end with `gpt`; each picture is an `<image>` in a human turn.

    `system` is None when there is none. `adapted` names the changes that were made: MOVED, NEUTRALISED.
    """

    turns: tuple[Turn, ...]
    system: str | None
    kind: Kind
    adapted: tuple[str, ...]


def kind_of(row: ExportRow) -> Kind:
    """What a row is to a trainer."""
    if any(role == "document" for role, _ in row.messages):
        return "document"
    if row.videos:
        return "video"
    if not row.images:
        return "text"
    first = next((text for role, text in row.messages if role == "user"), "")
    if first.count(IMAGE_MARKER) != len(row.images) or not _together(first):
        return "interleaved"
    return "single" if len(row.images) == 1 else "several"


def _together(text: str) -> bool:
    """Whether nothing but white space stands between the markers of a text."""
    return not any(part.strip() for part in text.split(IMAGE_MARKER)[1:-1])


def converse(row: ExportRow, reserved: tuple[str, ...] = RESERVED) -> Conversation | Refusal:
    """The strict conversation of a row.

    Media of kind `single`, `several` and `video` are moved to the front of the first human turn, each marker with a
    line break behind it, as all loaders have it. Pictures of kind `interleaved` stay where they are.

    Args:
        row: a sample.
        reserved: control strings of the trainer, neutralised in all text.

    Returns:
        The conversation, or the reason why it is none: `document`, `images_and_videos`, `turn_order`,
        `media_in_answer` (or in a system turn), `marker_mismatch` or `empty_turn`.
    """
    kind = kind_of(row)
    messages = list(row.messages)
    system = messages.pop(0)[1] if messages and messages[0][0] == "system" else None
    reason = _refusal(row, kind, messages, system)
    if reason:
        return Refusal(reason)
    spoken = _neutral([unescape(system or "")], [], reserved)
    adapted = {NEUTRALISED} if spoken.broken else set()
    turns: list[Turn] = []
    for number, (role, text) in enumerate(messages):
        written = _written(text, reserved, front=number == 0 and kind != "interleaved")
        if not written.text.strip():
            return Refusal("empty_turn")
        adapted |= ({MOVED} if written.moved else set()) | ({NEUTRALISED} if written.broken else set())
        turns.append(("human" if role == "user" else "gpt", written.text))
    return Conversation(tuple(turns), spoken.text if spoken.text.strip() else None, kind, tuple(sorted(adapted)))


def _refusal(row: ExportRow, kind: Kind, messages: list[tuple[Role, str]], system: str | None) -> str | None:
    if kind == "document":
        return "document"
    if row.images and row.videos:
        return "images_and_videos"
    if not messages or [role for role, _ in messages] != ["user", "assistant"] * (len(messages) // 2):
        return "turn_order"
    silent = [text for role, text in messages if role == "assistant"] + [system or ""]
    if any(len(pieces(text)) > 1 for text in silent):
        return "media_in_answer"
    media = [marker for _, text in messages for marker in pieces(text)[1::2]]
    if media != [IMAGE_MARKER] * len(row.images) + [VIDEO_MARKER] * len(row.videos):
        return "marker_mismatch"
    return None


class _Written(NamedTuple):
    """A turn as it is exported; whether markers were moved, and reserved strings broken."""

    text: str
    moved: bool = False
    broken: bool = False


def _written(stored: str, reserved: tuple[str, ...], *, front: bool) -> _Written:
    parts = pieces(stored)
    texts, media = [unescape(text) for text in parts[::2]], parts[1::2]
    if not media or not front:
        return _neutral(texts, media, reserved)
    # joined first: what stood on both sides of a marker may read as a reserved string together
    rest = "".join(texts).strip("\n")
    clean = _neutral([rest if rest.strip() else ""], [], reserved)
    text = "".join(f"{marker}\n" for marker in media) + clean.text
    return _Written(text, any(before.strip() for before in texts[:-1]), clean.broken)


def _neutral(texts: list[str], media: list[str], reserved: tuple[str, ...]) -> _Written:
    """Texts with the media between them, and every reserved string broken by a space."""
    clean = [_broken(text, reserved) for text in texts]
    joined = "".join(text + marker for text, marker in zip(clean, [*media, ""], strict=True))
    return _Written(joined, broken=clean != texts)


def _broken(text: str, reserved: tuple[str, ...]) -> str:
    for word in reserved:
        if word in text:
            text = text.replace(word, f"{word[0]} {word[1:]}")
    return text


def neutralise(stored: str, reserved: tuple[str, ...]) -> str:
    """Stored text with its markers in place, literal ones unescaped, and every reserved string broken by a space."""
    parts = pieces(stored)
    return _neutral([unescape(text) for text in parts[::2]], parts[1::2], reserved).text


def fold_system(conversation: Conversation) -> tuple[Turn, ...]:
    """Turns for trainers without a system turn: its text stands in the first question, behind the pictures."""
    if conversation.system is None:
        return conversation.turns
    (speaker, question), *others = conversation.turns
    at = 0
    while any(question.startswith(f"{marker}\n", at) for marker in (IMAGE_MARKER, VIDEO_MARKER)):
        at = question.index("\n", at) + 1
    rest = f"\n\n{question[at:]}" if question[at:].strip() else ""
    return ((speaker, question[:at] + conversation.system + rest), *others)


def leading(turns: tuple[Turn, ...]) -> tuple[Turn, ...]:
    """Turns with a lone `<image>` of a turn at its front, a line break behind it, where the LLaVA loaders put it.

    Source: LLaVA-NeXT and InstellaVL, llava/train/train.py, `preprocess_multimodal`.
    """
    return tuple((speaker, _led(text)) for speaker, text in turns)


def _led(text: str) -> str:
    if text.count(IMAGE_MARKER) != 1 or text.startswith(f"{IMAGE_MARKER}\n"):
        return text
    # a space keeps the two sides from reading as a reserved string together
    return f"{IMAGE_MARKER}\n" + " ".join(part.strip() for part in text.split(IMAGE_MARKER) if part.strip())


def changes(conversation: Conversation, folded: tuple[Turn, ...], placed: tuple[Turn, ...] | None = None) -> list[str]:
    """Names of what was changed in a conversation: on the way to it, by `fold_system`, and by placing markers."""
    pairs = zip(folded, placed or (), strict=placed is not None)
    moved = any(old != new and not old[1].startswith(IMAGE_MARKER) for old, new in pairs)
    return [*conversation.adapted, *[FOLDED] * (folded != conversation.turns), *[MOVED] * moved]
