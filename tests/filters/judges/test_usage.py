import json

import pytest

from filters.judges.layout import load_layout
from filters.judges.usage import Usage, note, usage
from filters.judges.wire import read_ids


@pytest.mark.parametrize(
    ("told", "counted"),
    [
        ({"prompt_tokens": 700, "prompt_tokens_details": {"cached_tokens": 640}}, Usage(1, 700, 1, 60, 640, 1)),
        ({"prompt_tokens": 700, "prompt_tokens_details": {"cached_tokens": 0}}, Usage(1, 700, 1, 700, 0, 1)),
        ({"prompt_tokens": 700, "prompt_tokens_details": {"cached_tokens": None}}, Usage(1, 700, 0, 0, 0, 1)),
        ({"prompt_tokens": 700, "prompt_tokens_details": None}, Usage(1, 700, 0, 0, 0, 1)),
        ({"prompt_tokens": 700}, Usage(1, 700, 0, 0, 0, 1)),
        (None, Usage(0, 0, 0, 0)),
    ],
)
def test_what_a_server_says_of_its_cache_is_counted(wording, told, counted):
    before = usage()
    document = {"choices": [{"logprobs": None}], **({} if told is None else {"usage": told})}
    read_ids(load_layout(str(wording), 4096))(json.dumps(document).encode())
    assert usage().since(before) == counted


def test_prompts_add_up():
    before = usage()
    note(10, 4)
    note(20, None)
    assert usage().since(before) == Usage(prompts=2, tokens=30, told=1, computed=6, cached=4, written=2)
