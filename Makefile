# Every target does its own set-up. `make help` lists them.

# The first of these that runs and is new enough; `make PYTHON=/path/to/python3` overrides.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; \
	done)
found_python = test -n "$(PYTHON)" || { echo "gslb needs Python 3.11 or newer; none was found" >&2; exit 1; }
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install --use-pep517
# Arguments for the program behind a target: make bench ARGS="--quick", make test ARGS="-k zone".
ARGS ?=

# Tests start hundreds of servers; each would compile all of gslb anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help lab compose-lab compose-drill compose-down compose-build test check static fmt bench bench-probe fuzz clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1 \2/p' $(MAKEFILE_LIST) | \
		while read -r target text; do printf '  make %-13s %s\n' "$$target" "$$text"; done

lab: $(VENV)/.runtime ## three regions, clients and the server on this machine; Ctrl-C ends it
	@$(BIN)/python -m gslb lab $(ARGS)

# The container lab needs Docker, and no environment: the standard library of any Python 3.11.
compose-lab: ## the same world in containers; ARGS="--observe" has Prometheus and Grafana too
	@$(found_python); $(PYTHON) -m deploy.compose up $(ARGS)

compose-drill: ## break the container lab in every way, see what its clients see, remove it
	@$(found_python); $(PYTHON) -m deploy.compose drill $(ARGS)

compose-down: ## remove the container lab
	@$(found_python); $(PYTHON) -m deploy.compose down $(ARGS)

compose-build: ## only the images of the container lab, so that it starts at once when it is wanted
	@$(found_python); $(PYTHON) -m deploy.compose build $(ARGS)

test: $(VENV)/.dev ## every test, by two workers; ARGS="-n 0 -k zone" has a few of them by one
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

check: static ## the static checks and the quick tests: what to run before every commit
	@$(BIN)/python -m pytest -q -m 'not slow' $(ARGS)

static: $(VENV)/.dev ## ruff, mypy and import-linter
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/python -m mypy
	@$(BIN)/lint-imports --no-logo

fmt: $(VENV)/.dev ## put the code into its standard form
	@$(BIN)/ruff check --fix --quiet .
	@$(BIN)/ruff format --quiet .

bench: $(VENV)/.dev ## side by side with the peers installed here; ARGS="--quick" for a first look
	@$(BIN)/python -m bench $(ARGS)

bench-probe: $(VENV)/.dev ## 10 000 targets, one core, and what answering feels of it; ARGS="--quick"
	@$(BIN)/python -m bench.probe $(ARGS)

fuzz: $(VENV)/.dev ## a million packets, thousands of zones, guided fuzzing; ARGS="--seconds 600"
	@PYTHONPATH=tests $(BIN)/python -m fuzz $(ARGS)

clean: ## remove the virtual environment and every cache
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .fuzz
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps say what the environment holds; they are older than a changed pyproject.toml.
$(VENV)/.runtime: pyproject.toml $(BIN)/python
	@echo "installing gslb into $(VENV)"
	@$(PIP) --editable .
	@touch $@

$(VENV)/.dev: pyproject.toml $(BIN)/python
	@echo "installing gslb and its development tools into $(VENV)"
	@$(PIP) --editable '.[dev]'
	@touch $@ $(VENV)/.runtime

# Debian and Ubuntu keep ensurepip, which venv needs, in a package of its own.
$(BIN)/python:
	@$(found_python)
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { \
		package=python$$($(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv; \
		apt="$$([ "$$(id -u)" = 0 ] || echo sudo) env DEBIAN_FRONTEND=noninteractive apt-get"; \
		echo "installing $$package"; \
		$$apt update -qq && $$apt install -qq --yes $$package >/dev/null || { \
			echo "please install $$package and try again" >&2; exit 1; }; }
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV)
