# make demo: compare pooling, federating and training alone on real text, with a report
# make test: the fast tests, offline       make test-slow: with Ray, MLflow, W&B, the embedded model
# make check: format, lint, types, layers  make simulate: the studies under simulations/ (hours)
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
export FLWR_TELEMETRY_ENABLED := 0

.PHONY: demo test test-slow check simulate wheel clean

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --use-pep517 --constraint constraints.txt --editable '.[dev,ray]'
	touch $@

demo: $(VENV)/installed
	$(BIN)/fedner compare experiment=demo

# Side by side, each file in one process, so that its tests share what they have trained.
test: $(VENV)/installed
	$(BIN)/python -m pytest --numprocesses logical --maxprocesses 4 --dist loadfile

$(VENV)/trackers: $(VENV)/installed
	$(BIN)/pip install --quiet --use-pep517 --constraint constraints.txt --editable '.[mlflow,wandb,spacy]' bioc
	touch $@

test-slow: $(VENV)/trackers
	$(BIN)/python -m pytest -m '(slow or assets) and not fuzz'

check: $(VENV)/installed
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

simulate: $(VENV)/installed
	for study in simulations/*/run.sh; do PATH="$(abspath $(BIN)):$$PATH" bash $$study || exit 1; done

wheel:
	$(PYTHON) -m pip wheel --quiet --no-deps --wheel-dir dist .

clean:
	rm -rf $(VENV) build dist
