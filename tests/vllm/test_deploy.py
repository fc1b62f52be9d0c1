"""The files in deploy/: their command lines are read by vLLM's own parser, what they name exists in its settings."""

import re
from argparse import Namespace
from typing import Any

import pytest
import yaml
from commands import ROOT

pytestmark = [pytest.mark.vllm, pytest.mark.filterwarnings("ignore")]

GIVEN = {"JUDGE_NAME": "judge", "JUDGE_MODEL": "/models/judge"}
FILES = ("compose.rocm.yaml", "compose.cuda.yaml")


def service(file: str) -> dict[str, Any]:
    """The one service of a file, with variables replaced as Compose does."""
    text = (ROOT / "deploy" / file).read_text()
    found = set(re.findall(r"\$\{(\w+):\?", text))
    assert found == set(GIVEN), "variables that must be given"
    for name, value in GIVEN.items():
        text = re.sub(rf"\$\{{{name}:\?[^}}]*\}}", value, text)
    (judge,) = yaml.safe_load(re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text))["services"].values()
    return judge


def parsed(command: list[str]) -> Namespace:
    from vllm.entrypoints.launchers.cli_args import make_arg_parser
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    return make_arg_parser(FlexibleArgumentParser()).parse_args(command)


@pytest.mark.parametrize("file", FILES)
def test_vllm_understands_the_command(file) -> None:
    read = parsed(service(file)["command"])
    assert (read.model, read.served_model_name, read.max_model_len) == ("/model", ["judge"], 8192)
    assert read.enable_prefix_caching and read.tensor_parallel_size == 1 and read.port == 8000


@pytest.mark.parametrize("wrong", ["--max-model-length=8192", "--enable-prefix-cache", "--max-num-batched-tokens=many"])
def test_the_parser_refuses_what_it_does_not_know(wrong, capsys) -> None:
    with pytest.raises(SystemExit):
        parsed([*service(FILES[0])["command"], wrong])
    assert wrong.partition("=")[0] in capsys.readouterr().err


@pytest.mark.parametrize("file", FILES)
def test_vllm_knows_the_variables(file) -> None:
    from vllm import envs

    ours = {name for name in service(file)["environment"] if name.startswith("VLLM_")}
    assert ours and ours <= set(envs.environment_variables)
    assert len({"HIP_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES"} & set(service(file)["environment"])) <= 1
