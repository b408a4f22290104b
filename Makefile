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

# Percent of lines and branches that the default suite runs at least.
FLOOR := 96
COVER := --cov --cov-report=markdown:build/coverage/table.md --cov-fail-under=$(FLOOR)
# Where benchmarks write what they measured, with the revision, the hardware and the date.
RECORD := FIGURES=tests/benchmarks/FIGURES.md

.PHONY: help setup demo test coverage test-slow test-cluster lint bench bench-throughput bench-region bench-bounds bench-certain \
	bench-recorded bench-commands bench-reading bench-verify-cost reproduce clean

help:
	@echo "make demo    sweep real digits on Ray Tune and say where the safe region is"
	@echo "make test    the test suite, offline, less than 6 minutes"
	@echo "make coverage   the same with coverage of lines and branches, by file in build/coverage/table.md"
	@echo "make test-slow   the tests that take long and rarely fail"
	@echo "make test-cluster   a Ray cluster of hosts in namespaces with bad, lost and new nodes; needs root"
	@echo "make lint    ruff, mypy and the import contracts"
	@echo "Benchmarks write their figures into tests/benchmarks/FIGURES.md, on an idle machine:"
	@echo "make bench   what tracking costs, and with CIFAR10=DIR a slope on CIFAR-10"
	@echo "make bench-throughput   trials an hour against what people do today: one table"
	@echo "make bench-region   how many trainings a region takes, against grids and samplers"
	@echo "make bench-bounds   how often bounds over seeds hold and what they prove, simulated"
	@echo "make bench-certain  how often real sweeps with few seeds are certain, and how often wrong"
	@echo "make bench-recorded RECORDED=DIR   safe cells of recorded grids found from 60 of 250 rows"
	@echo "make bench-verify-cost   what sweeps verify announces that it takes, against what it takes"
	@echo "make bench-reading   how long 100,000 image files take, beside torchvision"
	@echo "make bench-commands RESULTS=DIR   how long each command takes (AGAINST=DIR: and in that checkout)"
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

# With COVERAGE=1, as `.ci/run` calls it, it measures lines and branches too, in child processes as
# well, which takes a third longer. It prints the total, and fails below $(FLOOR) %.
test: $(READY)
	$(ONE) $(BIN)/python -m pytest $(TWO) $(if $(COVERAGE),$(COVER))

coverage:
	@$(MAKE) --no-print-directory test COVERAGE=1

test-slow: $(READY)
	$(ONE) $(BIN)/python -m pytest $(TWO) -m slow
	$(ONE) $(BIN)/python tests/lowest_versions.py

# Makes hosts, a switch, Ray clusters and MLflow on PostgreSQL in Linux namespaces, and leaves nothing.
# Without root, `ip` and `unshare` its tests are skipped, which says why; without PostgreSQL, SQLite.
test-cluster: $(READY)
	$(BIN)/python -m pip install --quiet --constraint .ci/constraints.txt --editable '.[dev,server]'
	$(ONE) $(BIN)/python -m pytest -m cluster

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# CIFAR10: a folder with CIFAR-10 in the hubs' image layout; without it that part is left out.
bench: $(READY)
	$(RECORD) $(BIN)/python -m pytest tests/benchmarks -s

# Prints one table and writes it to build/throughput.json; fails if a row misses its goal.
# One part of it, which is not written down: make bench-throughput ONLY=ridge
bench-throughput: $(READY)
	$(RECORD) $(BIN)/python tests/benchmarks/throughput.py $(if $(ONLY),--only $(ONLY))

# DIGITS_MAP: the results folder of its dense map, which is computed where it is not there yet.
# One part of it: make bench-region ONLY=speed
bench-region: $(READY)
	$(RECORD) OPENBLAS_NUM_THREADS=1 $(BIN)/python tests/benchmarks/bench_region.py $(if $(ONLY),--only $(ONLY))

# One part of it: make bench-bounds ONLY=modes
bench-bounds: $(READY)
	$(RECORD) OPENBLAS_NUM_THREADS=1 $(BIN)/python tests/benchmarks/bounds.py $(if $(ONLY),--only $(ONLY))

# One truth of it: make bench-certain ONLY=digits
bench-certain: $(READY)
	$(RECORD) OPENBLAS_NUM_THREADS=1 $(BIN)/python tests/benchmarks/certain.py $(if $(ONLY),--only $(ONLY))

# RECORDED: a folder of CSV files, one recorded training a row.
bench-recorded: $(READY)
	$(RECORD) OPENBLAS_NUM_THREADS=1 $(BIN)/python tests/benchmarks/bench_recorded.py $(RECORDED)

# Needs 7 GB of disk for a while.
bench-reading: $(READY)
	$(RECORD) OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/reading.py

# One case of it: make bench-verify-cost ONLY=ridge
bench-verify-cost: $(READY)
	$(RECORD) $(BIN)/python tests/benchmarks/verify_cost.py $(if $(ONLY),--only "$(ONLY)")

# RESULTS: a results folder, as `make demo` leaves one.
bench-commands: $(READY)
	$(RECORD) $(BIN)/python tests/benchmarks/command_times.py "$(RESULTS)" $(if $(AGAINST),--against "$(AGAINST)")

# RECORDED: the authors' result files. DATA: the folder that holds MNIST/raw. DRAWS=own: images and
# noise by our own streams instead of the authors'. SLOPES=1: theta as well. TABLE=FILE.md: the tables.
reproduce: $(READY)
	$(RECORD) OPENBLAS_NUM_THREADS=1 $(BIN)/python tests/benchmarks/reproduce.py "$(RECORDED)" "$(DATA)" $(if $(DRAWS),--draws $(DRAWS)) \
		$(if $(SLOPES),--slopes) $(if $(TABLE),--table "$(TABLE)")

clean:
	rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
