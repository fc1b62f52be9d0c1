"""Reads an export of `--to llamafactory` with LLaMA-Factory's own parser, loader and converter."""

import sys
from collections.abc import Iterator
from pathlib import Path

from interop.reading import Row, row, tell
from llamafactory.data.loader import _load_single_dataset
from llamafactory.data.mm_plugin import get_mm_plugin
from llamafactory.data.parser import get_dataset_list
from llamafactory.hparams import DataArguments, ModelArguments
from transformers import Seq2SeqTrainingArguments


def read(folder: Path, cache: str) -> Iterator[Row]:
    names = (folder / "mixture.txt").read_text().strip()
    data = DataArguments(dataset=names, dataset_dir=str(folder), media_dir=str(folder))
    model = ModelArguments(model_name_or_path="none", cache_dir=cache)
    training = Seq2SeqTrainingArguments(output_dir=cache, use_cpu=True)
    plugin = get_mm_plugin("llava", image_token="<image>")
    for attributes in get_dataset_list(data.dataset, data.dataset_dir):
        for found in _load_single_dataset(attributes, model, data, training):
            said = found["_prompt"] + found["_response"]
            images = found["_images"] or []
            # LLaMA-Factory's own check before training: markers against media of each kind; it raises
            plugin._validate_messages(said, images, found["_videos"] or [], found["_audios"] or [])
            texts = [found["_system"], *(turn["content"] for turn in said)]
            yield row(Path(attributes.dataset_name).stem, None, texts, [Path(image).read_bytes() for image in images])


tell(read(Path(sys.argv[1]), sys.argv[2]))
