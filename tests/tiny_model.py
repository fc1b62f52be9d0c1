"""A language model that is wired by hand, not trained: it answers the grade that a mark in its prompt names.

One Llama layer, 64 wide, 0.2 million weights. Each of the words in `MARKS` has a key that the first attention head
looks for, and a value that raises one letter, so "zurimo" anywhere in the prompt makes the answer B (grade 1).
`REFUSAL` raises a word that is no grade. `CONTROL` is a special token of the tokenizer that beats every mark and says
grade 10: a sample that smuggles it in shows at once. The second head averages noise over the prompt, so that texts
without a mark get different answers. The template knows a system turn and `enable_thinking`.
"""

import json
from pathlib import Path
from typing import Final

import numpy as np
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

MARKS: Final = tuple(f"zurim{vowels}" for vowels in ("a", "o", "e", "i", "u", "aa", "oo", "ee", "ii", "uu", "au"))
"""The word for each grade 0..10."""
REFUSAL: Final = "qoxunay"
CONTROL: Final = "<|override|>"
SPECIALS: Final = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", CONTROL)
TEMPLATE: Final = (
    "{%- for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}"
    "{%- if enable_thinking is defined and enable_thinking is false %}{{ '<think>\\n\\n</think>\\n\\n' }}{%- endif %}"
    "{%- endif %}"
)
LETTERS: Final = "ABCDEFGHIJK"

_WIDTH: Final = 64
_HEAD: Final = 32
_KEY: Final = 15
"""Place in a head whose rotary frequency is so low that positions up to 8,192 do not matter."""
_CONSTANT: Final = 0
_FLAG: Final = 1
_GRADE: Final = 2
"""First of twelve places of the residual stream: eleven grades and the refusal."""
_NOISE: Final = 32
_LENGTH: Final = 8192


def make_model(folder: Path, corpus: str) -> Path:
    """Write config, weights, tokenizer and template; the same bytes each time. `corpus` shapes the tokenizer."""
    from safetensors.numpy import save_file

    make_wording(folder, corpus)
    save_file(
        _weights(Tokenizer.from_file(str(folder / "tokenizer.json"))),
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )
    return folder


def make_wording(folder: Path, corpus: str) -> Path:
    """The same without weights: all that prompts are made with."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = _tokenizer(corpus)
    tokenizer.save(str(folder / "tokenizer.json"))
    for name, document in _documents(tokenizer).items():
        (folder / name).write_text(json.dumps(document, indent=1, sort_keys=True))
    return folder


def _tokenizer(corpus: str) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    words = Regex(r"\p{N}| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(words, behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    marked = " ".join(f"{word}\n{word}" for word in (*MARKS, REFUSAL) for _ in range(200))
    trainer = trainers.BpeTrainer(
        vocab_size=1500,
        special_tokens=list(SPECIALS),
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator([corpus, marked], trainer)
    tokenizer.add_tokens([AddedToken(word, normalized=False) for word in ("<think>", "</think>")])
    return tokenizer


def _weights(tokenizer: Tokenizer) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    words = tokenizer.get_vocab_size()

    def zeros(*shape: int) -> np.ndarray:
        return np.zeros(shape, dtype=np.float32)

    embed, head = zeros(words, _WIDTH), zeros(words, _WIDTH)
    embed[:, _CONSTANT] = 4
    embed[:, _NOISE:] = rng.normal(0, 0.5, (words, _WIDTH - _NOISE))
    # a prompt ends in line ends: what they are made of would drown the average of everything before them
    embed[[row for word, row in tokenizer.get_vocab().items() if not word.strip("\u010a")], _NOISE:] = 0
    for place, word in enumerate((*MARKS, REFUSAL)):
        for spelled in (word, "\u0120" + word):
            row = tokenizer.token_to_id(spelled)
            assert row is not None, f"`{spelled}` is not one token"
            embed[row, [_FLAG, _GRADE + place]] = 1
            embed[row, _NOISE:] = 0  # all marks are of one length, so two of them weigh the same
    embed[tokenizer.token_to_id(CONTROL), [_FLAG, _GRADE + 10]] = 3, 1
    answers = [*LETTERS, "\u0120the"]
    for place, word in enumerate(answers):
        row = tokenizer.token_to_id(word)
        head[row, _GRADE + place] = 6
        head[row, _CONSTANT] = 5 if word in LETTERS else 0
        head[row, _NOISE:] = rng.normal(0, 0.4, _WIDTH - _NOISE) if word in LETTERS else 0

    query, key, value, out = (zeros(_WIDTH, _WIDTH) for _ in range(4))
    query[_KEY, _CONSTANT] = 12
    key[_KEY, _FLAG] = 12
    value[np.arange(12), _GRADE + np.arange(12)] = 1
    value[_HEAD + np.arange(_WIDTH - _NOISE), np.arange(_NOISE, _WIDTH)] = 1
    out[_GRADE + np.arange(12), np.arange(12)] = 8
    out[np.arange(_NOISE, _WIDTH), _HEAD + np.arange(_WIDTH - _NOISE)] = 8
    layer = "model.layers.0."
    return {
        "model.embed_tokens.weight": embed,
        "lm_head.weight": head,
        "model.norm.weight": np.ones(_WIDTH, dtype=np.float32),
        layer + "input_layernorm.weight": np.ones(_WIDTH, dtype=np.float32),
        layer + "post_attention_layernorm.weight": np.ones(_WIDTH, dtype=np.float32),
        layer + "self_attn.q_proj.weight": query,
        layer + "self_attn.k_proj.weight": key,
        layer + "self_attn.v_proj.weight": value,
        layer + "self_attn.o_proj.weight": out,
        layer + "mlp.gate_proj.weight": zeros(_WIDTH, _WIDTH),
        layer + "mlp.up_proj.weight": zeros(_WIDTH, _WIDTH),
        layer + "mlp.down_proj.weight": zeros(_WIDTH, _WIDTH),
    }


def _documents(tokenizer: Tokenizer) -> dict[str, dict[str, object]]:
    end = tokenizer.token_to_id("<|im_end|>")
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": _WIDTH,
        "intermediate_size": _WIDTH,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": _HEAD,
        "hidden_act": "silu",
        "vocab_size": tokenizer.get_vocab_size(),
        "max_position_embeddings": _LENGTH,
        "rms_norm_eps": 1e-6,
        "rope_theta": 1e8,
        "tie_word_embeddings": False,
        "bos_token_id": None,
        "eos_token_id": end,
        "torch_dtype": "float32",
    }
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "clean_up_tokenization_spaces": False,
        "model_max_length": _LENGTH,
        "chat_template": TEMPLATE,
    }
    return {
        "config.json": config,
        "tokenizer_config.json": settings,
        "generation_config.json": {"eos_token_id": end},
    }
