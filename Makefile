# make demo       set up, then run the demonstration (results in demo-output/)
# make test       set up, then lint, tests and every example in the docs
# make lint       lint and types
# make test-slow  the long tests
# make mutants    small faults in the code, which the tests must notice (an hour)
# make bench      the benchmarks, in an environment of their own
# make statsforecast  a peer of the panel benchmark, in an environment of its own
# make clean      remove environments, caches and outputs
#
# PYTHON=...       the interpreter to build the environment with (3.11 or newer)
# TORCH_INDEX=...  the package index to take torch from, e.g. PyTorch's own index of CPU builds
# WORKERS=2        test processes
# MUTANTS=...      flags of `make mutants`, as `--seed 1 --count 50 --only arproc/sampling`

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.14; do \
  $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
TORCH_INDEX ?=
WORKERS ?= 2
MUTANTS ?=

VENV := .venv
BENCH_VENV := .venv-bench
STATSFORECAST_VENV := .venv-statsforecast
INPUTS := pyproject.toml constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK = 1
# The tests start dozens of interpreters: without bytecode each compiles the package anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test style lint test-slow mutants bench statsforecast clean
.DELETE_ON_ERROR:

demo: $(VENV)/.ready-demo
	$(VENV)/bin/arproc demo --out demo-output

test: style
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -q -n $(WORKERS) --dist worksteal

lint: style
	$(VENV)/bin/mypy

style: $(VENV)/.ready-dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

test-slow: $(VENV)/.ready-dev
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -q -n $(WORKERS) --dist worksteal -m slow

mutants: $(VENV)/.ready-dev
	$(VENV)/bin/python -m tests.mutants --workers $(WORKERS) $(MUTANTS)

bench: $(BENCH_VENV)/.ready-bench
	$(BENCH_VENV)/bin/python -m benchmarks

statsforecast: $(STATSFORECAST_VENV)/.ready
	@echo "export ARPROC_STATSFORECAST_PYTHON=$(abspath $(STATSFORECAST_VENV))/bin/python"

clean:
	rm -rf $(VENV) $(BENCH_VENV) $(STATSFORECAST_VENV) .mutants demo-output build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp marks a finished environment; it is made again when what it was made from changes.
$(VENV)/.ready-demo: $(INPUTS) | $(VENV)/bin/python
	$(call install,$(VENV),constraints.txt,demo)

$(VENV)/.ready-dev: $(INPUTS) | $(VENV)/bin/python
	$(call install,$(VENV),constraints.txt,dev)

$(BENCH_VENV)/.ready-bench: $(INPUTS) constraints-bench.txt | $(BENCH_VENV)/bin/python
	$(call install,$(BENCH_VENV),constraints-bench.txt,bench)

$(STATSFORECAST_VENV)/.ready: constraints-statsforecast.txt | $(STATSFORECAST_VENV)/bin/python
	$(STATSFORECAST_VENV)/bin/python -m pip install -qq -c constraints-statsforecast.txt statsforecast
	@touch $@

%/bin/python:
	@test -n "$(PYTHON)" || { echo "make: no Python 3.11 or newer found; say which one: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "make: $(PYTHON) does not run or is older than 3.11; say which one to use: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "make: $(PYTHON) cannot make virtual environments (on Debian and Ubuntu: apt-get install python3-venv)"; exit 1; }
	@echo "Setting up $* (the first time takes a few minutes)"
	$(PYTHON) -m venv $*

# torch goes first and alone: TORCH_INDEX need not carry anything else.
# $(1) environment, $(2) constraints, $(3) extra
define install
	@echo "Installing arproc[$(3)] into $(1)"
	@test -n "$(TORCH_INDEX)" || $(1)/bin/python -c 'import torch' 2>/dev/null || \
	  echo "  torch comes from your default package index: on Linux that can be a CUDA build of several GB; TORCH_INDEX=... takes a CPU build"
	$(1)/bin/python -m pip install -qq --no-deps $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) -c constraints.txt torch
	$(1)/bin/python -m pip install -qq -c $(2) -e '.[$(3)]'
	@touch $@
endef
