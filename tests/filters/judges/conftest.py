from pathlib import Path

import pytest
from tiny_model import make_wording

from filters.judges.prompt import load_prompt, prompt_ids


@pytest.fixture(scope="session")
def wording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with tokenizer and template of the tiny model, without weights."""
    rubrics = "\n".join(load_prompt(prompt_id).text for prompt_id in prompt_ids())
    return make_wording(tmp_path_factory.mktemp("wording"), rubrics)
