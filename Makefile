# make run, make test: see README. Every target sets up .venv first; that is quick when nothing changed.
PYTHON ?= python3
export PYTHON
BIN := .venv/bin
# Tests run on this many processes; `make test JOBS=1` runs them in one.
JOBS ?= auto
# A test that fails is run once more; what passes only then is named RERUN, with its traceback, and is a defect to mend.
# make test RERUNS=0 takes no second look.
RERUNS ?= 1
# Narrow a run or pass options on: make test ARGS="tests/hub -k token"
ARGS ?=

.PHONY: run test lint check pytest soak faults bench screenshots engine openclaw clean setup-run setup-test setup-bench setup-screens

run: setup-run
	$(BIN)/clawtui

test: setup-test check pytest

# Lint, types and import directions, without tests.
lint: setup-test check

check: setup-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

pytest: check
	$(BIN)/python -m pytest -m "not soak" -n $(JOBS) --reruns $(RERUNS) $(ARGS)

# The long versions of the fault and load tests: about an hour and a half; CLAWTUI_SOAK_SECONDS=600 shortens the longest.
soak: setup-test
	CLAWTUI_SOAK=1 $(BIN)/python -m pytest -m soak $(ARGS)

# Breaks the hub's core in a hundred ways, one at a time: the tests must notice each.
faults: setup-test
	$(BIN)/python tests/core/seed_faults.py $(ARGS)

# A table and JSON, beside `docker exec` and Celery with Redis where they are present.
bench: setup-bench
	@.ci/peers
	$(BIN)/python -m tests.bench $(ARGS)

# Every screen as SVG and PNG in screenshots/; wants the font DejaVu Sans Mono (Debian: fonts-dejavu-core).
screenshots: setup-screens
	$(BIN)/python -m tests.tui.screenshots $(ARGS)

# A Docker engine and the system packages that the full tests want; on Debian, as root.
engine:
	.ci/engine

# Real OpenClaw gateways from npm for the tests, in a cache folder outside the checkout.
openclaw: setup-test
	.ci/openclaw

setup-run:
	@.ci/setup

setup-test:
	@.ci/setup test

setup-bench:
	@.ci/setup test bench

setup-screens:
	@.ci/setup test screens

clean:
	rm -rf .venv .pytest_cache .ruff_cache .import_linter_cache .hypothesis build dist
	find clawtui hub runtime profiles tests -name __pycache__ -type d -prune -exec rm -rf {} +
