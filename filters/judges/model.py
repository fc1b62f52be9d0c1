"""What is read from a model's folder: its tokenizer, its chat template, and what tells it from other models."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ValidationError

from shards.errors import UsageError

_BLOCKS: Final = 64
_BLOCK: Final = 1 << 16
"""Of each weights file 64 blocks of 64 KiB are hashed, evenly spread; a smaller file is hashed whole. Ours."""
_WEIGHTS: Final = ("*.safetensors", "*.bin", "*.gguf")
_WORDING: Final = ("config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


class _Token(BaseModel):
    content: str


class _Named(BaseModel):
    name: str
    template: str


class _Settings(BaseModel):
    """The part of tokenizer_config.json that a chat template reads."""

    chat_template: str | list[_Named] | None = None
    bos_token: str | _Token | None = None
    eos_token: str | _Token | None = None
    pad_token: str | _Token | None = None
    unk_token: str | _Token | None = None


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """What prompts are made with.

    Attributes:
        tokenizer: the text of tokenizer.json.
        template: the chat template, in Jinja.
        specials: `bos_token` and its like, as the template names them; "" where the model has none.
    """

    tokenizer: str
    template: str
    specials: dict[str, str]


def read_model(folder: str) -> ModelFiles:
    """Tokenizer and template of a model.

    Raises:
        UsageError: the folder has no tokenizer.json or no chat template, or they are not understood.
    """
    place = Path(folder)
    if not (place / "tokenizer.json").is_file():
        raise UsageError(
            f"model `{folder}`: expected a folder with tokenizer.json; download the model, or write that file with "
            "`save_pretrained` of its tokenizer"
        )
    try:
        settings = _Settings.model_validate(json.loads(_text(place / "tokenizer_config.json") or "{}"))
    except (ValidationError, json.JSONDecodeError) as error:
        raise UsageError(f"model `{folder}`: tokenizer_config.json is not understood: {error}") from error
    template = _text(place / "chat_template.jinja") or _template(settings)
    if not template:
        raise UsageError(f"model `{folder}`: has no chat template; a judge must be tuned to follow instructions")
    names = ("bos_token", "eos_token", "pad_token", "unk_token")
    return ModelFiles(_text(place / "tokenizer.json"), template, {name: _content(settings, name) for name in names})


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _template(settings: _Settings) -> str:
    found = settings.chat_template
    if isinstance(found, list):
        return next((each.template for each in found if each.name == "default"), "")
    return found or ""


def _content(settings: _Settings, name: str) -> str:
    token: str | _Token | None = getattr(settings, name)
    return token.content if isinstance(token, _Token) else token or ""


@cache
def wording_sha256(folder: str) -> str:
    """64 hex digits over config, tokenizer and template of a model: what its prompts depend on."""
    digest = hashlib.sha256()
    for name in _WORDING:
        digest.update(f"{name}\0{len(_text(Path(folder) / name))}\0{_text(Path(folder) / name)}".encode())
    return digest.hexdigest()


@cache
def model_sha256(folder: str) -> str:
    """64 hex digits over `wording_sha256` and a spread of blocks of every weights file: another training, another name.

    Raises:
        UsageError: there are no weights in the folder.
    """
    files = sorted({path for pattern in _WEIGHTS for path in Path(folder).glob(pattern)})
    if not files:
        raise UsageError(f"model `{folder}`: expected a folder with weights ({', '.join(_WEIGHTS)})")
    digest = hashlib.sha256(wording_sha256(folder).encode())
    for path in files:
        digest.update(f"{path.name}\0{path.stat().st_size}".encode())
        for block in _spread(path):
            digest.update(block)
    return digest.hexdigest()


def _spread(path: Path) -> Iterator[bytes]:
    size = path.stat().st_size
    step = max(_BLOCK, (size - _BLOCK) // (_BLOCKS - 1))
    with path.open("rb") as file:
        for start in range(0, size, step):
            file.seek(start)
            yield file.read(_BLOCK)
