# Everything Baton can be asked to do. `make` alone lists it.

PYTHON ?= python3
# Tests wait for half of their time: so many keep two cores busy.
WORKERS ?= 4
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PROOFS := tests/integration/load tests/integration/points/test_planted_bugs.py
# Where it is set, every process would compile all of Baton anew at its start, and pytest all tests.
unexport PYTHONDONTWRITEBYTECODE
LOCK_FLAGS := --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
  --no-emit-index-url

.DEFAULT_GOAL := help
.PHONY: help setup up demo migrate test proofs games chaos bench-fanout bench-answers bench-decay lint types format lock clean

help: ## List the targets
	@echo "make TARGET, where TARGET is one of:"
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-13s %s\n", $$1, $$2}' Makefile

setup: $(STAMP) ## Make .venv and install the locked dependencies

$(STAMP): requirements/dev.txt
	@command -v $(PYTHON) >/dev/null || { echo "Baton needs Python 3.11 or newer; there is no '$(PYTHON)' here. Give another with PYTHON=…" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; ok = sys.version_info >= (3, 11); ok or print("Baton needs Python 3.11 or newer; $(PYTHON) is", sys.version.split()[0] + ". Give another with PYTHON=...", file=sys.stderr); sys.exit(not ok)'
	@echo "setup: making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)
	@echo "setup: installing $$(grep -c == requirements/dev.txt) locked packages (the first time this takes about a minute)"
	@$(BIN)/python -m pip install --require-hashes --no-deps --progress-bar off \
	  --disable-pip-version-check -r requirements/dev.txt
	@touch $(STAMP)
	@echo "setup: done"

up: $(STAMP) ## Start everything and print the address to open  [FRESH=1] [PORT=8000] [HOST=127.0.0.1]
	@$(BIN)/python -m baton up $(if $(FRESH),--fresh) $(if $(PORT),--port $(PORT)) $(if $(HOST),--host $(HOST))

demo: $(STAMP) ## Let bots play a game  [TEAMS=1] [SKILL=0.9] [SPEED=1] [URL=http://127.0.0.1:8000]
	@$(BIN)/python -m baton demo $(if $(TEAMS),--teams $(TEAMS)) $(if $(SKILL),--skill $(SKILL)) \
	  $(if $(SPEED),--speed $(SPEED)) $(if $(URL),--url $(URL))

migrate: $(STAMP) ## Bring the database at DATABASE_URL up to date
	@$(BIN)/python -m baton migrate

# Files go to the workers in their own order, in which the longest, those of whole systems, are first (tests/scheduling.py).
test: $(STAMP) ## Run all tests of Baton, with branch coverage  [ARGS="-k sentence"] [WORKERS=4]
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -p tests.branch_coverage \
	  $(addprefix --ignore=,$(PROOFS)) $(ARGS)

proofs: $(STAMP) ## Test the tests: that benchmarks notice what is lost, and the state machine each planted bug
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(PROOFS) $(ARGS)

games: $(STAMP) ## Play random games on the real points service beside a plain model  [GAMES=2000] [SEED=7]
	@GAMES=$(or $(GAMES),2000) SEED=$(or $(SEED),$$$$) $(BIN)/python -m pytest -q -s tests/integration/points/test_state_machine.py

chaos: $(STAMP) ## Play many games while everything breaks, and check all of it  [MINUTES=2] [SEED=…] [TEAMS=50] [KEEP=1]
	@$(BIN)/python -m tests.chaos $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED)) \
	  $(if $(TEAMS),--teams $(TEAMS)) $(if $(KEEP),--keep)

bench-fanout: $(STAMP) ## Measure the gateway beside its peers  [SUBJECTS=baton,floor] [WORKLOADS=crowd,teams] [QUICK=1] [APT=1]
	@$(BIN)/python -m tests.load $(if $(SUBJECTS),--subjects $(SUBJECTS)) $(if $(WORKLOADS),--workloads $(WORKLOADS)) \
	  $(if $(SECONDS),--seconds $(SECONDS)) $(if $(REPETITIONS),--repetitions $(REPETITIONS)) $(if $(QUICK),--quick) \
	  $(if $(APT),--apt)

bench-answers: $(STAMP) ## Measure the way from an answer to the last socket, beside pgbench  [CLIENTS=1,64] [SECONDS=6]
	@$(BIN)/python -m tests.load.answers $(if $(CLIENTS),--clients $(CLIENTS)) $(if $(SECONDS),--seconds $(SECONDS))

bench-decay: $(STAMP) ## Measure an interval of decay for 1 000 000 players  [SESSIONS=25000,250000] [SHARE=0.01]
	@$(BIN)/python -m tests.load.decay $(if $(SESSIONS),--sessions $(SESSIONS)) $(if $(SHARE),--share $(SHARE))

lint: $(STAMP) ## Check style, format and the direction of imports
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports

types: $(STAMP) ## Check types
	@$(BIN)/mypy

format: $(STAMP) ## Put the code into the one format and mend what can be mended
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

lock: $(STAMP) ## Lock the dependencies anew from pyproject.toml  [ARGS=--upgrade]
	@$(BIN)/uv pip compile $(LOCK_FLAGS) $(ARGS) pyproject.toml --extra local --extra dev -o requirements/dev.txt
	@$(BIN)/uv pip compile $(LOCK_FLAGS) pyproject.toml --constraint requirements/dev.txt -o requirements/base.txt

clean: ## Remove what was made here, but for the game data in .baton/
	rm -rf $(VENV) build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
