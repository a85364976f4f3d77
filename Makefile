# make demo: set up, compile four sample films, show what came out.  make test: run all tests.
# make docs: build the documentation site in docs/_build/html.
# make test-torchvision: tests of models that need torchvision.
# make test-packaging: fresh installs with the newest and the oldest dependencies.
# make test-fuzz: fuzzing campaigns for FUZZ seconds, an hour by default.
# make test-transformers: the oldest and the newest transformers.
# make check-trainers: exports opened by their trainers.  make tables: tables of studies.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
VISION := $(VENV)/vision
UV     := $(BIN)/uv pip install --quiet --python $(BIN)/python
# What each version of transformers is tested with: a model is loaded, asked, and trained.
ASKED  := tests/test_model.py tests/test_train.py
TRIED  := folder_is_asked or depends_on_its_prompt or how_a_model or cannot_be_loaded or knows_nothing or lora
# Many tests wait for other processes: more workers than cores.
JOBS   ?= 3
FUZZ   ?= 3600

.PHONY: demo test test-torchvision test-packaging test-transformers test-kill test-fuzz check-trainers tables docs lint setup clean

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
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal

# What only some models need lies apart: everything else is tested without it.
$(VISION)/.ready: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt \
	  --no-deps --upgrade --target $(VISION) torchvision num2words docopt bitsandbytes
	touch $(VISION)/.ready

test-torchvision: $(VISION)/.ready
	PYTHONPATH=$(VISION) $(BIN)/python -m pytest -n $(JOBS) tests/vision

# As users install stepc: with pip and uv, in fresh environments, for each Python that is here.
test-packaging: $(READY)
	$(BIN)/python -m pytest -m packaging -rs tests/test_packaging.py

# Each version lies in a folder that comes before the environment's own packages.
$(VENV)/transformers-oldest/.ready: $(READY)
	$(UV) --target $(@D) "transformers==5.0.0"
	touch $@

$(VENV)/transformers-newest/.ready: $(READY)
	$(UV) --target $(@D) "transformers<6"
	touch $@

test-transformers: $(VENV)/transformers-oldest/.ready $(VENV)/transformers-newest/.ready
	for version in oldest newest; do \
	  PYTHONPATH=$(CURDIR)/$(VENV)/transformers-$$version $(BIN)/python -m pytest $(ASKED) -k "$(TRIED)" || exit 1; \
	done

# Runs killed at random points, 200 of them, and clusters that lose workers and machines five times
# a run; a few of each are among the other tests.
test-kill: $(READY)
	STEPC_KILLS=200 $(BIN)/python -m pytest tests/test_store.py -k killed
	STEPC_KILLS=200 $(BIN)/python -m pytest tests/test_cluster.py -k loses

# Exports opened by the trainers that they are for, each in an environment of its own: gigabytes.
TRAINERS ?= datasets trl llamafactory ms_swift verl lmms_eval
check-trainers: $(READY)
	for trainer in $(TRAINERS); do sh tests/trainers/check.sh $$trainer || exit 1; done

# The tables of README.md and docs, from the results in benchmarks/studies.
tables: $(READY)
	$(BIN)/python benchmarks/tables.py

# Warnings are errors; nothing is fetched from the network.
docs: $(READY)
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

test-fuzz: $(READY)
	PYTHONPATH=tests $(BIN)/python tests/fuzz.py --seconds $(FUZZ)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy stepc
	$(BIN)/lint-imports
	$(BIN)/python tests/prose.py

clean:
	rm -rf $(VENV) demo docs/_build
