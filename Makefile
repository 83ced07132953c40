# make run      installs what is missing, builds the demo store if there is none, opens the dashboard on localhost:8501
# make test     the quick tests      make test-all every test
# make check    lint, format, types
# make demo     the demo store only  make clean    removes the environment, caches and stamps; never a store

STORE := $(or $(HEATPROOF_STORE),data/heatproof.duckdb)
PORT ?= 8501
PYTEST_ARGS ?= -n 2
HEADLESS := $(if $(DISPLAY)$(WAYLAND_DISPLAY)$(filter Darwin,$(shell uname)),false,true)
VENV := .venv
BIN := $(VENV)/bin
export HEATPROOF_STORE = $(STORE)

.PHONY: run test test-all check demo clean

run: $(STORE)
	$(BIN)/python -m streamlit run app.py --server.port $(PORT) --server.headless $(HEADLESS) --server.showEmailPrompt false

demo: $(STORE)

# The store depends on the environment by order only: newer requirements never rebuild a store.
$(STORE): | $(VENV)/run.stamp
	$(BIN)/python -m core demo

# One thread a process: there are as many processes as cores, and more threads would wait for each other.
test: $(VENV)/dev.stamp
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(PYTEST_ARGS) -m "not slow"

test-all: $(VENV)/dev.stamp
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(PYTEST_ARGS)

check: $(VENV)/dev.stamp
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy core app.py pages benchmarks

$(VENV)/run.stamp: requirements.txt | $(VENV)/bin/pip
	$(BIN)/python -m pip install --quiet -r requirements.txt
	@touch $@

$(VENV)/dev.stamp: requirements-dev.txt requirements-fast.txt requirements-lake.txt requirements-ray.txt $(VENV)/run.stamp
	$(BIN)/python -m pip install --quiet -r requirements-dev.txt
	@touch $@

# The first of these that is Python 3.11 or newer. `pip` is made last, so an interrupted environment is made again.
$(VENV)/bin/pip:
	@for python in $(PYTHON) python3 python3.11 python3.12 python3.13 python3.14 python; do \
	  command -v $$python >/dev/null 2>&1 || continue; \
	  $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
	  if ! $$python -c 'import venv, ensurepip' 2>/dev/null; then missing=$$python; continue; fi; \
	  echo "Making $(VENV) with $$($$python --version). The first install downloads about 1 GB and takes some minutes."; \
	  $$python -m venv --clear $(VENV) && exit 0; \
	  exit 1; \
	done; \
	if [ -n "$$missing" ]; then \
	  echo "The environment needs Python's venv module: $$missing comes without it. On Debian: apt install python3-venv." >&2; \
	else \
	  echo "Heatproof needs Python 3.11 or newer: none was found (looked for python3, python3.11 to python3.14)." >&2; \
	  echo "Install one, or name it: make run PYTHON=/path/to/python3.12" >&2; \
	fi; exit 1

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -not -path './data/*' -prune -exec rm -rf {} +
