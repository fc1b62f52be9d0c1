"""Prompts with pictures: these come first, then the sample, whose markers refer to them in their order.

The model's own template says how a picture is marked; its processor, in the engine or the server, makes many tokens of
each mark. The text of a sample can make no mark: it is tokenised without control tokens, and a space breaks their
spellings, for some processors write the prompt out and tokenise it again.
"""

import base64
import io
import math
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

from filters.judges.base import Request
from filters.judges.layout import Frame, Layout, Prompt, frame_text, is_blank
from filters.judges.prompt import load_prompt
from filters.judges.template import PICTURE, Part, words
from shards.errors import PictureError, UsageError
from shards.files import fingerprint
from shards.picture import decode
from shards.schema import IMAGE_MARKER

if TYPE_CHECKING:
    from PIL import Image

SIGHT: Final = "sight-1"
"""Part of the name of an answer about pictures; raised whenever the same request may make another prompt or picture."""
_LEAST_ROOM: Final = 128
"""Tokens that a sample must be able to have beside the most pictures."""
_LONGEST: Final = 100
"""Sides of pictures differ by this factor at most: processors refuse more (Qwen-VL: 200). Ours."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What a model is shown of a sample's pictures.

    Attributes:
        max_images: pictures of a sample; the first ones, and `cut` where it has more. 0: a judge of text.
        max_side_px: pixels of the longer side; larger pictures are shrunk.
        image_tokens: tokens kept free for each picture.
        image_placeholder: the mark of a picture, for a template that writes none itself; "" for others.
    """

    max_images: int
    max_side_px: int
    image_tokens: int
    image_placeholder: str

    @property
    def name(self) -> str:
        """Part of the name of every answer about pictures; "" for a judge of text."""
        if not self.max_images:
            return ""
        made_of = (SIGHT, self.max_images, self.max_side_px, self.image_tokens, self.image_placeholder)
        return f"sight-{self.max_images}x{self.max_side_px}px-{fingerprint('sight', *made_of)[:8]}"

    def marks(self, number: int) -> tuple[str, list[Part]]:
        """What stands for so many pictures: text before a question, or parts of a turn for the template to write."""
        if self.image_placeholder:
            return self.image_placeholder * number + "\n", []
        return "", [PICTURE] * number

    def defused(self, layout: Layout, text: str) -> str:
        """A text in which nothing is a mark of a picture or a control token, for any tokenizer."""
        for mark in filter(None, (self.image_placeholder, IMAGE_MARKER)):
            text = text.replace(mark, f"{mark[0]} {mark[1:]}")
        return layout.defused(text)

    def chosen(self, images: tuple[bytes, ...]) -> tuple[tuple[bytes, ...], bool]:
        """The pictures that are shown, and whether some are not."""
        return images[: self.max_images], len(images) > self.max_images


def picture_prompt(layout: Layout, sight: Sight, request: Request) -> Prompt | None:
    """The prompt for a request with pictures; None where there is nothing to judge.

    Raises:
        UsageError: no such rubric, no room for a sample beside the most pictures, or the template marks no picture.
    """
    if is_blank(request.sample_text):
        return None
    images, fewer = sight.chosen(request.images)
    least = _room(layout, sight, request.prompt_id, sight.max_images)
    if least < _LEAST_ROOM:
        raise UsageError(
            f"prompt `{request.prompt_id}` with {sight.max_images} pictures leaves {least} of {layout.max_len} tokens "
            f"for a sample, expected {_LEAST_ROOM} or more; raise `max_model_len`, or lower `max_images` or "
            "`image_tokens`"
        )
    frame = _frame(layout, sight, request.prompt_id, len(images))
    text = sight.defused(layout, request.sample_text)
    ids, cut = layout.fit(text, _room(layout, sight, request.prompt_id, len(images)))
    whole = frame.before + ids + frame.after
    return Prompt(whole, len(frame.before), len(frame.after), cut or fewer, images)


def picture_messages(layout: Layout, sight: Sight, prompt_id: str, prompt: Prompt, shown: list[str]) -> list[Part]:
    """A prompt as a chat, for servers that take no ids; `shown` are its pictures as `data_url` writes them."""
    ids = prompt.ids[prompt.before : len(prompt.ids) - prompt.after]
    text = sight.defused(layout, layout.plain.decode(ids, skip_special_tokens=False))
    rubric = sight.defused(layout, load_prompt(prompt_id).text)
    pictures: list[Part] = [{"type": "image_url", "image_url": {"url": url}} for url in shown]
    return [
        {"role": "system", "content": rubric},
        {"role": "user", "content": [*pictures, words(layout.question(text))]},
    ]


def _room(layout: Layout, sight: Sight, prompt_id: str, number: int) -> int:
    frame = _frame(layout, sight, prompt_id, number)
    return layout.max_len - 1 - len(frame.before) - len(frame.after) - number * sight.image_tokens


@cache
def _frame(layout: Layout, sight: Sight, prompt_id: str, number: int) -> Frame:
    """Token ids around a sample with so many pictures."""
    rubric = sight.defused(layout, load_prompt(prompt_id).text)
    prefix, pictures = sight.marks(number)
    before, after = frame_text(layout.files, rubric, prefix=prefix, pictures=pictures)
    if number:
        check_marks(before, frame_text(layout.files, rubric)[0])
    return Frame(layout.control_ids(before), layout.control_ids(after))


def check_marks(text: str, without: str) -> None:
    """Stop where a template wrote no mark for pictures, or wrote the part that stands for one as it is in Python.

    Raises:
        UsageError: it did.
    """
    if text == without or "'type': 'image'" in text:
        raise UsageError("the chat template marks no pictures; say in `image_placeholder` what stands for one")


def shown(images: tuple[bytes, ...], sight: Sight) -> "list[Image.Image] | None":
    """Pictures as a model gets them: RGB, shrunk to `max_side_px`; None where one cannot be decoded.

    Very long ones get a black margin, so that sides differ by a factor of at most 100.
    """
    try:
        return [_fitted(decode(data).rgb(), sight.max_side_px) for data in images]
    except PictureError:
        return None


def _fitted(image: "Image.Image", most: int) -> "Image.Image":
    from PIL import Image

    longer = max(image.size)
    if longer > most:
        width, height = (max(1, round(side * most / longer)) for side in image.size)
        image = image.resize((width, height), Image.Resampling.LANCZOS)
        longer = most
    least = math.ceil(longer / _LONGEST)
    if min(image.size) >= least:
        return image
    padded = Image.new("RGB", (max(image.width, least), max(image.height, least)))
    padded.paste(image)
    return padded


def blank_picture(side_px: int) -> bytes:
    """An encoded picture, black and square."""
    from PIL import Image

    target = io.BytesIO()
    Image.new("RGB", (side_px, side_px)).save(target, "PNG")
    return target.getvalue()


def data_url(image: "Image.Image") -> str:
    """A picture as an address that holds it: PNG, for a server must see the very pixels that an engine here sees."""
    target = io.BytesIO()
    image.save(target, "PNG", compress_level=1)
    return "data:image/png;base64," + base64.b64encode(target.getvalue()).decode("ascii")
