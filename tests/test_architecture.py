"""The sentences of docs/architecture.md about imports, proven on the syntax trees."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.cli import app

ROOT = Path(__file__).parents[1]
PACKAGES = ("shards", "sources", "filters", "manifests", "review", "flows")
MAY_IMPORT = {
    "shards": {"shards"},
    "sources": {"sources", "shards"},
    "filters": {"filters", "shards"},
    "manifests": {"manifests", "shards"},
    "review": {"review", "shards"},
    "flows": set(PACKAGES),
}
NETWORK = {
    *("httpx", "fsspec", "socket", "urllib.request", "http", "requests", "aiohttp", "huggingface_hub"),
    *("fastapi", "starlette", "uvicorn"),
}
NETWORK_MODULES = {
    *("sources/address.py", "sources/body.py", "sources/client.py", "sources/origin.py", "sources/repository.py"),
    *("shards/pack.py", "shards/client.py", "flows/demo/server.py"),
    *("filters/judges/http.py", "review/server.py"),
    *("flows/ray_runner.py", "flows/doctor_recipe.py", "flows/doctor_prefect.py", "flows/prefect_artifacts.py"),
}
HEAVY = {"torch": set(), "vllm": {"filters/judges/vllm.py"}, "ray": {"flows/ray_runner.py", "flows/ray_judges.py"}}
"""Heavy package -> the modules that may import it, inside functions."""
ALONE = {"manifests/torch_dataset.py"}
"""Modules whose class has a base in a heavy package: they import it at the top, and no module of ours imports them."""


def modules() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def imports(path: Path) -> Iterator[tuple[str, ast.stmt]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield str(node.module), node


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", modules(), ids=name)
def test_imports_point_one_way(path: Path) -> None:
    package = name(path).split("/", maxsplit=1)[0]
    found = {module.split(".", maxsplit=1)[0] for module, _ in imports(path)} & set(PACKAGES)
    assert found <= MAY_IMPORT[package]


@pytest.mark.parametrize("path", modules(), ids=name)
def test_only_flows_knows_prefect(path: Path) -> None:
    roots = {module.split(".", maxsplit=1)[0] for module, _ in imports(path)}
    assert "prefect" not in roots or name(path).startswith("flows/")


@pytest.mark.parametrize("path", modules(), ids=name)
def test_the_network_is_used_in_few_modules(path: Path) -> None:
    used = {part for module, _ in imports(path) for part in (module, module.split(".", maxsplit=1)[0])}
    assert not used & NETWORK or name(path) in NETWORK_MODULES


@pytest.mark.parametrize("path", modules(), ids=name)
def test_heavy_packages_are_imported_late(path: Path) -> None:
    tree = ast.parse(path.read_text())
    functions = [part for part in ast.walk(tree) if isinstance(part, ast.FunctionDef)]
    inside = {node.lineno for part in functions for node in ast.walk(part) if isinstance(node, ast.stmt)}
    for module, node in imports(path):
        heavy = module.split(".", maxsplit=1)[0]
        if heavy in HEAVY and name(path) not in ALONE:
            assert name(path) in HEAVY[heavy] and node.lineno in inside


def test_nobody_imports_modules_that_stand_alone() -> None:
    alone = {module.removesuffix(".py").replace("/", ".") for module in ALONE}
    assert not alone & {module for path in modules() for module, _ in imports(path)}


@pytest.mark.parametrize("path", modules(), ids=name)
def test_modules_fit_in_a_head(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400


def test_tables_that_do_not_come_with_their_box_are_read_through_the_store() -> None:
    readers = {"scan_parquet", "read_parquet", "read_parquet_schema", "ParquetFile", "read_table", "read_schema"}
    for path in modules():
        calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        direct = [ast.unparse(call) for call in calls if getattr(call.func, "attr", "") in readers]
        assert not [call for call in direct if "SCORES_FILE" in call or "scores.parquet" in call], name(path)


def test_the_demo_publishers_share_no_code_with_the_readers() -> None:
    for path in (ROOT / "flows" / "demo").glob("*.py"):
        ours = {module for module, _ in imports(path) if module.split(".", maxsplit=1)[0] in PACKAGES}
        assert all(module.startswith("flows.demo") for module in ours), name(path)


def test_the_command_line_starts_quickly() -> None:
    code = "import sys, flows.cli; print(' '.join(sorted({name.split('.')[0] for name in sys.modules})))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert not set(loaded.split()) & {"polars", "pyarrow", "prefect", "numba", "PIL", "pydantic"}


def test_a_process_that_runs_an_engine_loads_no_numba() -> None:
    # vLLM looks at what all modules hold when it starts, and fails at numba's
    code = "import sys, flows.judge_pool, flows.ledger; print('numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == b"False"


def test_direct_dependencies_do_not_grow_by_accident() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert len(project["dependencies"]) <= 18


def test_the_number_of_commands_does_not_grow_by_accident() -> None:
    commands = [name for name in app if not name.startswith("-")]
    assert len(commands) <= 18, commands


def test_no_two_test_modules_have_one_name() -> None:
    # those on the real engine run by themselves, in an environment of their own
    paths = [path for path in (ROOT / "tests").rglob("test_*.py") if "vllm" not in path.parent.parts]
    names = sorted(path.name for path in paths if not (path.parent / "__init__.py").exists())
    assert names == sorted(set(names)), "pytest imports by name, so one of two would not be collected"
