"""A small model of text and pictures with random weights: Idefics3, the wording of tests/tiny_model.py.

One layer of vision and two of text, 64 wide, 0.4 million weights, the same for the same seed. It grades at random, but
every part of prompt and picture moves its answer. It is among the few architectures that need no torchvision.
"""

import json
from pathlib import Path
from typing import Final

from tiny_model import LETTERS, make_wording
from tokenizers import AddedToken, Tokenizer

PICTURE: Final = "<image>"
PICTURE_TOKENS: Final = 16
"""Tokens of one tile: 64 px, patches of 8, four of which are joined."""
TEMPLATE: Final = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' }}{% if m.content is string %}{{ m.content }}{% else %}"
    "{% for part in m.content %}{% if part.type == 'image' %}<image>{% else %}{{ part.text }}{% endif %}{% endfor %}"
    "{% endif %}{{ '<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}"
    "{% endif %}"
)
_TILE: Final = 64
_LENGTH: Final = 4096


def make_vision_model(folder: Path, corpus: str) -> Path:
    """Write config, weights, tokenizer, template and picture processor; the same bytes each time."""
    import torch
    from transformers import Idefics3Config, Idefics3ForConditionalGeneration

    tokenizer = make_vision_wording(folder, corpus)
    ids = {"bos_token_id": None, "eos_token_id": tokenizer.token_to_id("<|im_end|>")}
    text = {
        "model_type": "llama",
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 32,
        "vocab_size": tokenizer.get_vocab_size(),
        "max_position_embeddings": _LENGTH,
        "tie_word_embeddings": False,
        "pad_token_id": tokenizer.token_to_id("<|endoftext|>"),
        **ids,
    }
    vision = {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": _TILE,
        "patch_size": 8,
    }
    config = Idefics3Config(
        text_config=text,
        vision_config=vision,
        scale_factor=2,
        image_token_id=tokenizer.token_to_id(PICTURE),
        pad_token_id=tokenizer.token_to_id("<|endoftext|>"),
        tie_word_embeddings=False,
    )
    torch.manual_seed(0)
    model = Idefics3ForConditionalGeneration(config)
    # as it is made, all answers are alike; louder weights make every word and patch count
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if weights.dim() > 1:
                weights.normal_(0.0, 1.0 if "embed" in name else weights.shape[-1] ** -0.5)
        # a place that every word fills and only the letters read: the model answers with one of them
        letters = [tokenizer.token_to_id(letter) for letter in LETTERS]
        model.model.text_model.embed_tokens.weight[:, 0] = 6
        model.lm_head.weight[:, 0] = 0
        model.lm_head.weight[letters, 0] = 3
        model.lm_head.weight[letters, 1:] *= 2
    model.save_pretrained(folder)
    (folder / "generation_config.json").write_text(json.dumps(ids))
    return folder


def make_vision_wording(folder: Path, corpus: str) -> Tokenizer:
    """The same without weights; returns the tokenizer."""
    make_wording(folder, corpus)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    grid = [f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)]
    names = [PICTURE, "<fake_token_around_image>", "<global-img>", "<end_of_utterance>", *grid]
    tokenizer.add_special_tokens([AddedToken(name, normalized=False, special=True) for name in names])
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**settings, "chat_template": TEMPLATE}))
    shape = {
        "image_processor_type": "Idefics3ImageProcessor",
        "do_image_splitting": True,
        "max_image_size": {"longest_edge": _TILE},
        "size": {"longest_edge": 2 * _TILE},
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(shape))
    parts = {"processor_class": "Idefics3Processor", "image_seq_len": PICTURE_TOKENS}
    (folder / "processor_config.json").write_text(json.dumps(parts))
    return tokenizer
