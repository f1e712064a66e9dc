# Every target sets up .venv by itself when it is missing. PYTHON chooses the interpreter (3.8 to 3.12).
VENV ?= .venv
PYTHON ?= $(shell for v in 3.11 3.12 3.10 3.9 3.8; do python$$v -c "" 2>/dev/null && command -v python$$v && break; done || command -v python3)
BIN = $(VENV)/bin
READY = $(VENV)/.ready
ALL = '.[test,dev,docs]'

# TensorFlow alone is half a gigabyte. Where its download breaks off, pip asks for the rest; where that keeps failing, only
# a new download helps.
patiently = for pause in 10 60 180 0; do $(BIN)/python -m pip install -q --retries 10 $(1) && exit 0; sleep $$pause; done; exit 1

.PHONY: demo test test-all lint bench docs train clean

$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV), 3 GB: this takes some minutes."
	@$(call patiently,--upgrade pip)
	@$(call patiently,-e $(ALL))
	touch $(READY)

demo: $(READY)
	$(BIN)/cryores demo --out demo-output

test: $(READY)
	$(BIN)/python -m pytest -n logical --dist loadfile

test-all:
	tests/matrix.sh

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(READY)
	$(BIN)/python -m benchmarks

# MODELS is a folder of atomic models; half an hour a network on one core.
train: $(READY)
	$(BIN)/cryores train deepres --models $(MODELS) --out trained

docs: $(READY)
	$(BIN)/python -m pytest tests/architecture/test_docs.py
	$(BIN)/python -m sphinx -q -E -W --keep-going -c docs . build/docs
	@echo build/docs/docs/index.html

clean:
	rm -rf $(VENV) demo-output
