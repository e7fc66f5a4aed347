# make demo | make test | make lint; another Python: make test PYTHON=python3.13
PYTHON ?= python3
VENV ?= .venv/$(notdir $(PYTHON))
BIN := $(VENV)/bin

.PHONY: demo test slow-test lint format clean

demo: $(VENV)/installed
	$(BIN)/c2m-tf demo --output demo_output

test: lint
	$(BIN)/python -m pytest -m "not slow"

slow-test: $(VENV)/installed
	$(BIN)/python -m pytest

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

$(VENV)/installed: requirements.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --requirement requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

clean:
	rm -rf .venv demo_output
