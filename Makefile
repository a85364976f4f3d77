# make demo: set up, compile four sample films, show what came out.  make test: run all tests.
# make docs: build the documentation site in docs/_build/html.
# make test-torchvision: tests of models that need torchvision.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
VISION := $(VENV)/vision
JOBS   ?= 2

.PHONY: demo test test-torchvision test-kill docs lint setup clean

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch -e '.[dev]'
	touch $(READY)

demo: $(READY)
	$(BIN)/python -m stepc world render -o demo/films -n 4 --seed 1
	$(BIN)/python -m stepc compile demo/films -o demo/out --seed 1
	$(BIN)/python tests/show.py demo/out

test: $(READY)
	$(BIN)/python -m pytest -n $(JOBS)

# What only some models need lies apart: everything else is tested without it.
$(VISION)/.ready: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt \
	  --no-deps --upgrade --target $(VISION) torchvision num2words docopt bitsandbytes
	touch $(VISION)/.ready

test-torchvision: $(VISION)/.ready
	PYTHONPATH=$(VISION) $(BIN)/python -m pytest -n $(JOBS) tests/vision

# Runs killed at random points, 200 of them, and clusters that lose workers and machines five times
# a run; a few of each are among the other tests.
test-kill: $(READY)
	STEPC_KILLS=200 $(BIN)/python -m pytest tests/test_store.py -k killed
	STEPC_KILLS=200 $(BIN)/python -m pytest tests/test_cluster.py -k loses

# Warnings are errors; nothing is fetched from the network.
docs: $(READY)
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy stepc

clean:
	rm -rf $(VENV) demo docs/_build
