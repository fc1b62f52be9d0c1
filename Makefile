# Two commands set everything up on a fresh machine: `make mix` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
STORE ?= .vlmix
BY_FILE := --dist loadfile --no-loadscope-reorder

.PHONY: mix test test-ours test-fast test-integration test-vllm check mini-hub interop bench clean

mix: $(INSTALLED)  ## the main job: build the demo mixture and its report
	$(BIN)/vlmix run build-sft-mix --recipe demo --store $(STORE)

test:  ## what CI runs; the engines start while servers are waited for
	$(MAKE) --jobs 2 test-ours test-vllm

test-ours:
	$(MAKE) check
	$(MAKE) test-fast
	$(MAKE) test-integration

# a file stays with one worker: what its first test makes or compiles serves the others
test-fast: $(INSTALLED)
	$(BIN)/pytest -m "not integration" -n 2 $(BY_FILE)

# one worker more than processors: many tests wait for servers and disks
test-integration: $(INSTALLED)
	$(BIN)/pytest -m integration -n 3 $(BY_FILE) --durations 25

test-vllm:  ## the judges on a real engine, in an environment of their own
	$(PYTHON) tests/vllm/environment.py $(VENV)-judge

check: $(INSTALLED)  ## format, lint, types, build
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m build --no-isolation --wheel --outdir $(VENV)/dist .

mini-hub: $(INSTALLED)  ## fetch and convert a miniature of every readable catalogue source through a local hub
	$(BIN)/pytest -m integration tests/sources/test_mini_hub.py

interop: $(INSTALLED)  ## make the environments of the outside readers and read every export back with them
	$(BIN)/python tests/interop/environments.py
	$(BIN)/pytest -m integration tests/interop

bench: $(INSTALLED)
	$(BIN)/python -m benchmarks.hamming
	$(BIN)/python -m benchmarks.fetch
	$(BIN)/python -m benchmarks.shards --megabytes 500 --folder $(VENV)/bench
	$(BIN)/python -m benchmarks.mixing --rows 10000000
	$(BIN)/python -m benchmarks.scale
	$(BIN)/python -m benchmarks.prefect_overhead
	$(BIN)/python -m benchmarks.exports --rows 200000 --folder $(VENV)/bench

clean:
	rm -rf $(VENV) $(VENV)-judge $(STORE) dist .mypy_cache .ruff_cache .pytest_cache

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@
