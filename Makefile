# One virtual environment serves everything. Needs Python 3.11 or newer with pip and venv, and make.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
OUT    ?= results/digits

# Two processes, each file in one of them, in the order of tests/conftest.py: slow files start early.
TWO := -n 2 --dist loadfile --no-loadscope-reorder
# One thread each, so that none waits for another: the suite takes a third less time.
ONE := OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1

.PHONY: help setup demo test test-slow lint bench bench-throughput bench-region bench-recorded reproduce clean

help:
	@echo "make demo    sweep real digits on Ray Tune and say where the safe region is"
	@echo "make test    the test suite, offline, less than 6 minutes"
	@echo "make test-slow   the tests that take long and rarely fail"
	@echo "make lint    ruff, mypy and the import contracts"
	@echo "make bench   the benchmarks of tests/benchmarks, on an idle machine"
	@echo "make bench-throughput   trials an hour against what people do today: one table, on an idle machine"
	@echo "make bench-region   how many trainings a region takes, against grids and samplers"
	@echo "make bench-recorded RECORDED=DIR   safe cells of recorded grids found from 60 of 250 rows"
	@echo "make reproduce RECORDED=DIR DATA=DIR   Backdoor Learning Curves against its authors' result files"
	@echo "make setup   only the virtual environment in $(VENV)"

# A target of its own, so that packages can be installed into it before the rest.
$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(READY): pyproject.toml .ci/constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "needs Python 3.11 or newer: make PYTHON=python3.12 ...")'
	$(MAKE) --no-print-directory $(BIN)/python
	$(BIN)/python -m pip install --quiet --constraint .ci/constraints.txt --editable '.[dev]'
	touch $(READY)

setup: $(READY)

# Each demo gets a folder of its own, so that nothing already computed is ever overwritten.
demo: $(READY)
	@out=$(OUT); n=2; while [ -e "$$out" ]; do out=$(OUT)-$$n; n=$$((n + 1)); done; \
	$(BIN)/sweeps run digits --out "$$out"

test: $(READY)
	$(ONE) $(BIN)/python -m pytest $(TWO)

test-slow: $(READY)
	$(ONE) $(BIN)/python -m pytest $(TWO) -m slow
	$(ONE) $(BIN)/python tests/lowest_versions.py

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)
	$(BIN)/python -m pytest tests/benchmarks -s

# Prints one table and writes it to build/throughput.json; fails if a row misses its goal.
# One part of it: make bench-throughput ONLY=ridge
bench-throughput: $(READY)
	$(BIN)/python tests/benchmarks/throughput.py $(if $(ONLY),--only $(ONLY))

# DIGITS_MAP: the results folder of its dense map, which is computed where it is not there yet.
bench-region: $(READY)
	OPENBLAS_NUM_THREADS=1 $(BIN)/python tests/benchmarks/bench_region.py

# RECORDED: a folder of CSV files, one recorded training a row.
bench-recorded: $(READY)
	OPENBLAS_NUM_THREADS=1 $(BIN)/python tests/benchmarks/bench_recorded.py $(RECORDED)

# RECORDED: the authors' result files. DATA: the folder that holds MNIST/raw. DRAWS=own: images and
# noise by our own streams instead of the authors'. SLOPES=1: theta as well. TABLE=FILE.md: the tables.
reproduce: $(READY)
	OPENBLAS_NUM_THREADS=1 $(BIN)/python tests/benchmarks/reproduce.py "$(RECORDED)" "$(DATA)" $(if $(DRAWS),--draws $(DRAWS)) \
		$(if $(SLOPES),--slopes) $(if $(TABLE),--table "$(TABLE)")

clean:
	rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
