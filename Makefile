# make run and make test need Python 3.11+ with venv, and a package index. Nothing else; `make help` lists the rest.

PORT ?= 8000
STATE ?=
PYTHON ?=
PYTEST ?=
OLD_BINDIR ?=
WORKERS ?= 3
# Slow tests start processes of their own.
SLOW_WORKERS ?= 2

VENV := .venv
PY := $(VENV)/bin/python
EMBEDDED := $(PY) -m config.embedded --state "$(STATE)"
BOOT := $(shell command -v $(if $(PYTHON),$(PYTHON),python3) 2>/dev/null || command -v python3 2>/dev/null)
INSTALL = $(if $(BOOT),PYTHON="$(PYTHON)" "$(BOOT)" scripts/venv.py,@echo "viable: no python3 found. Remedy: install Python 3.11 or newer, or make PYTHON=/path/to/python3" >&2; exit 1;)

.DEFAULT_GOAL := help
.PHONY: help venv venv-dev run stop test test-slow test-faults check bench bench-million bench-clocks format format-check lint types imports migrations schema \
        upgrade-db shell manage lock screenshots check-compose clean distclean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  Variables: PORT=8000  STATE=folder  PYTHON=interpreter  PYTEST='extra options'  WORKERS=3  SLOW_WORKERS=2"

venv:
	@$(INSTALL) run

venv-dev:
	@$(INSTALL) dev

run: venv ## Start Viable with its own PostgreSQL and Valkey, until Ctrl-C (PORT=, STATE=)
	@exec $(EMBEDDED) run --port "$(PORT)"

stop: venv ## Stop a running Viable (STATE=)
	@$(EMBEDDED) stop

test: venv-dev ## Run the test suite on a throw-away database (PYTEST='-k word')
	@exec $(EMBEDDED) test -- $(PY) -m pytest -n $(WORKERS) -m "not slow" --every-route $(PYTEST)

test-slow: venv-dev ## Run the tests that are left out of `make test`: crashes, kills, cold starts
	@exec $(EMBEDDED) test -- $(PY) -m pytest -n $(SLOW_WORKERS) -m slow $(PYTEST)

test-faults: venv-dev ## Kill, freeze and crash what clocks depend on (part of test-slow)
	@exec $(EMBEDDED) test -- $(PY) -m pytest -n $(SLOW_WORKERS) -m slow tests/faults $(PYTEST)

check: format-check lint types imports migrations schema test test-slow ## Everything that must be green before a merge

bench: venv-dev ## Measure Viable beside a raw endpoint and bare SQL; writes docs/operations/benchmarks.md (SIZE=tickets)
	@exec $(PY) -m scripts.bench --size "$(or $(SIZE),100000)" $(BENCH)

bench-million: venv-dev ## The same for reading, with a million tickets
	@exec $(PY) -m scripts.bench --size 1000000 --only get,list,search,page $(BENCH)

bench-clocks: venv-dev ## Measure the sweep: many clocks due at once, many pending, and how late they fire (SIZE=clocks)
	@exec $(PY) -m scripts.bench.clocks --size "$(or $(SIZE),100000)" $(BENCH)

format: venv-dev ## Format the code
	@$(PY) -m ruff format . && $(PY) -m ruff check --fix --exit-zero -q .

format-check: venv-dev
	@$(PY) -m ruff format --check .

lint: venv-dev ## Lint
	@$(PY) -m ruff check .

types: venv-dev ## Check the types
	@$(PY) -m mypy

imports: venv-dev ## Check that the rooms only import what they may
	@$(VENV)/bin/lint-imports

migrations: venv-dev ## Check that no migration is missing
	@$(EMBEDDED) test -- $(PY) manage.py makemigrations --check --dry-run

schema: venv-dev ## Check that the committed OpenAPI document is what the code says
	@$(EMBEDDED) test -- $(PY) manage.py spectacular --validate --fail-on-warn --file .openapi.tmp.yaml \
	  && diff -u docs/reference/openapi.yaml .openapi.tmp.yaml; code=$$?; rm -f .openapi.tmp.yaml; exit $$code

upgrade-db: venv ## Take the database to the installed PostgreSQL's major version (OLD_BINDIR=programs of the old one)
	@exec env OLD_BINDIR="$(OLD_BINDIR)" $(EMBEDDED) upgrade-db

shell: venv ## Open a Django shell on the running services, or on services of its own
	@exec $(EMBEDDED) services --drop -- $(PY) manage.py shell

manage: venv ## Run a management command with the services: make manage DO='create_tenant acme'
	@exec $(EMBEDDED) services --drop -- $(PY) manage.py $(DO)

screenshots: venv-dev ## Take the pictures of docs/images anew (needs a Chromium)
	@exec $(EMBEDDED) test -- $(PY) scripts/screenshots.py

check-compose: venv-dev ## Prove docker-compose.yml in a real engine (DOCKER_HOST=, or COMPOSE_ENGINE_CMD=; BOX=folder of the latter)
	@exec $(PY) scripts/compose/check.py

lock: venv-dev ## Write the lock files anew from pyproject.toml
	@sh scripts/lock.sh $(PY)

clean: ## Delete the state folder (all data!) and what tools left
	@if [ -x $(PY) ]; then $(EMBEDDED) clean; fi
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache staticfiles
	@find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +

distclean: clean ## The same, and the virtual environment
	@rm -rf .venv .venv.lock
