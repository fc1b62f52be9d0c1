import importlib.util
import pickle
import shutil
from dataclasses import replace

import pytest

from filters.judges.base import Request
from filters.judges.vllm import VllmJudge, close_engine
from shards.errors import UsageError


@pytest.fixture
def judge(wording, tmp_path):
    folder = tmp_path / "tiny"
    shutil.copytree(wording, folder)
    (folder / "model.safetensors").write_bytes(b"weights")
    return VllmJudge(str(folder), max_model_len=4096)


def test_a_judge_is_described_without_an_engine(judge):
    assert pickle.loads(pickle.dumps(judge)) == judge and hash(judge) == hash(replace(judge))
    assert judge.judge_id.startswith("vllm-tiny-")
    assert [reply.state for reply in judge([Request("repetition", "")])] == ["empty"]
    close_engine()


def test_judge_id_follows_what_changes_a_reply(judge, tmp_path):
    elsewhere = tmp_path / "elsewhere" / "tiny"
    shutil.copytree(judge.model, elsewhere)
    same = [replace(judge, model=str(elsewhere)), replace(judge, chunk=7, gpu_memory_utilization=0.5, block_size=32)]
    assert {each.judge_id for each in same} == {judge.judge_id}
    others = [replace(judge, dtype="float32"), replace(judge, max_model_len=2048), replace(judge, quantization="fp8")]
    assert len({judge.judge_id, *(each.judge_id for each in others)}) == 4


def test_eyes_change_nothing_about_text(judge):
    sees = replace(judge, max_images=2)
    assert judge.sees == "" != sees.sees and not judge.foretells and sees.foretells
    assert sees.judge_id == judge.judge_id and "limit_mm_per_prompt" not in judge.settings()
    assert replace(sees, max_side_px=512).sees != sees.sees


@pytest.mark.skipif(
    (found := importlib.util.find_spec("vllm")) is not None and found.origin is not None, reason="vLLM is installed"
)
def test_without_vllm_the_package_is_named(judge):
    with pytest.raises(UsageError, match="needs the package `vllm`"):
        judge([Request("repetition", "=== user ===\na")])
