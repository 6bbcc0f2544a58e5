# Every target does all the set-up it needs on a fresh clone: Python 3.11 or newer is all there must be.
SHELL := /bin/bash
PY := .venv/bin/python
ARGS ?=
# Two workers, because two cores are what the tests are held to; more machines may say more.
TEST_WORKERS ?= 2

.PHONY: venv chromium test lint types contracts check format demo bench faults simulate attack histories audit lock clean

venv:
	@scripts/venv.sh

chromium: venv
	@scripts/chromium.sh

test: chromium
	$(PY) -m pytest -n $(TEST_WORKERS) --dist worksteal $(ARGS)

lint: venv
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

types: venv
	.venv/bin/mypy

contracts: venv
	.venv/bin/lint-imports

check: lint types contracts

format: venv
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

demo: venv
	@.venv/bin/accord demo $(ARGS)

bench: venv
	@$(PY) -m bench $(ARGS)

# Real processes, real sockets, real PostgreSQL; apart from `make test` because it takes minutes.
faults: venv
	$(PY) -m pytest faults -n 0 -s -v $(ARGS)

# A thousand seeds of a small simulated firm, with crashes and faults; `make simulate ARGS="--seeds 50 --deals 20 --days 90"`.
simulate: venv
	@.venv/bin/accord simulate $(or $(ARGS),--seeds 1000 --deals 2 --days 25)

# The attacks with many more examples than every change is tested with; a number of another size by EXAMPLES.
attack: EXAMPLES ?= 2000
attack: venv
	ACCORD_TEST_ATTACK_EXAMPLES=$(EXAMPLES) $(PY) -m pytest tests/attack -n $(TEST_WORKERS) $(ARGS)

# Random histories of work and money, other ones each time; so many by HISTORIES.
histories: HISTORIES ?= 500
histories: venv
	ACCORD_TEST_HISTORIES=$(HISTORIES) $(PY) -m pytest tests/histories -n 0 -o faulthandler_timeout=0 $(ARGS)

# Advisories against the pinned packages; says so plainly when no source of them can be reached.
audit: venv
	@scripts/audit.sh

lock:
	scripts/lock.sh $(ARGS)

clean:
	rm -rf .venv .uv .setup.lock .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
