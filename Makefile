# make demo | make test | make docs | make lint; another Python: make test PYTHON=python3.13
PYTHON ?= python3
VENV ?= .venv/$(notdir $(PYTHON))
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest
PARALLEL := --numprocesses 2 --dist loadscope
# PyTorch: results are compared with it, and LPIPS and DISTS need it (piq). PIP_EXTRA_INDEX_URL chooses its index of CPU builds.
TORCH ?= torch==2.13.0

.PHONY: demo test slow-test ci coverage slow-ci docs android web-demo web-demo-check web-demo-test lint format clean

demo: .venv/run/installed
	.venv/run/bin/c2m-tf demo --output demo_output

# The package and what it needs, without what tests and lint need.
.venv/run/installed: requirements.txt pyproject.toml
	$(PYTHON) -m venv .venv/run
	.venv/run/bin/python -m pip install --quiet --constraint requirements.txt --editable .
	touch $@

test: lint android
	$(PYTEST) -m "not slow" $(PARALLEL)

slow-test: $(VENV)/installed
	$(PYTEST) -m slow

# The same with all optional packages, and with unexpected skips as failures (tests/conftest.py).
ci: lint android $(VENV)/torch
	$(PYTEST) -m "not slow" $(PARALLEL) --no-unexpected-skips --durations 20

# Tracing makes the tests half as long again, so that it is a run of its own.
coverage: $(VENV)/torch
	$(PYTEST) -m "not slow" $(PARALLEL) --cov --cov-report term

slow-ci: $(VENV)/torch
	$(PYTEST) -m slow --no-unexpected-skips --durations 20

# Compiles and tests the app's sources with the tools that are installed, and reports what is left out.
android: $(VENV)/installed
	PYTHON=$(BIN)/python android_demo/ci/check.sh

# The page that upscales in the browser, in web_demo/dist: make web-demo MODEL=FILE.tflite for another model.
MODEL ?= web_demo/model/c2m_mobile_int8.tflite

web-demo: web_demo/node_modules/.package-lock.json $(MODEL)
	cd web_demo && MODEL=$(abspath $(MODEL)) npm run --silent build

# What takes seconds and no browser: types, and the pipeline on golden vectors.
web-demo-check: web_demo/node_modules/.package-lock.json
	cd web_demo && npm run --silent check && npm run --silent test

# The page in Chromium (CHROMIUM=...), beside c2m-tf with the same model.
web-demo-test: web-demo-check web-demo $(VENV)/installed
	$(BIN)/python web_demo/ci/photos.py expected $(MODEL)
	cd web_demo && npm run --silent test:browser

web_demo/node_modules/.package-lock.json: web_demo/package-lock.json
	npm ci --prefix web_demo --silent --no-audit --no-fund
	touch $@

web_demo/model/c2m_mobile_int8.tflite: export/weights/mobile-int8.npz | .venv/run/installed
	mkdir -p $(@D)
	.venv/run/bin/c2m-tf export tflite --model mobile --precision int8 -o $@

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

$(VENV)/installed: requirements.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --requirement requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

# The site of documentation, in site/. An environment of its own, without TensorFlow; packages lie as the wheel installs them.
docs: .venv/docs/installed
	rm -rf build/api site
	mkdir -p build/api
	cp -r c2m_tf build/api/
	cp -r training export build/api/c2m_tf/
	.venv/docs/bin/sphinx-build -q -W --keep-going docs site

.venv/docs/installed: docs/requirements.txt
	$(PYTHON) -m venv .venv/docs
	.venv/docs/bin/python -m pip install --quiet --requirement docs/requirements.txt
	touch $@

$(VENV)/torch: $(VENV)/installed
	$(BIN)/python -m pip install --quiet "$(TORCH)" piq
	touch $@

clean:
	rm -rf .venv build site demo_output android_demo/ci/.tools android_demo/ci/.build web_demo/node_modules web_demo/model web_demo/.build web_demo/dist
