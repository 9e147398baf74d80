# Works with GNU make 3.81 (macOS). PYTHON, ARGS and JOBS can be given: make test ARGS="-k lease" JOBS=8
PYTHON ?=
ARGS ?=
COMMAND ?= noop
POLL ?=
JOBS ?= 2
BIN := .venv/bin
STAMP := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help demo test check format lock install clean worker test-task benchmarks

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

demo: $(STAMP) ## Install, then run a filings job end to end on embedded servers, offline
	@$(BIN)/millrace demo $(ARGS)

test: $(STAMP) ## Install, then run the tests (ARGS goes to pytest)
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(ARGS)

worker: $(STAMP) ## Run a worker beside `millrace up`, or on your own servers (ARGS="--pools heavy")
	@$(BIN)/millrace worker $(ARGS)

test-task: $(STAMP) ## Submit by an old name: make test-task COMMAND="company-scrape 1" POLL=true
	@$(BIN)/millrace task $(COMMAND) $(if $(filter true 1 yes,$(POLL)),--poll) $(ARGS)

benchmarks: $(STAMP) ## Measure everything and write docs/benchmarks.md (about ten minutes)
	@$(BIN)/millrace bench --all --write docs/benchmarks.md $(ARGS)

check: $(STAMP) ## What review runs: ruff, formatting, mypy --strict, import direction
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy --strict
	$(BIN)/lint-imports

format: $(STAMP) ## Format the code and fix what ruff can fix
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

install: $(STAMP) ## Install into .venv from requirements.lock
	@:

$(STAMP): requirements.lock pyproject.toml
	@set -e; \
	ready='import sys, pip; sys.exit(sys.version_info < (3, 11))'; \
	if ! $(BIN)/python -c "$$ready" >/dev/null 2>&1; then \
		found=; \
		for candidate in $(PYTHON) python3.13 python3.12 python3.11 python3; do \
			if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
				found=$$candidate; break; \
			fi; \
		done; \
		if [ -z "$$found" ]; then \
			echo "Millrace needs Python 3.11 or newer and found none. Install it:"; \
			echo "  Debian, Ubuntu: apt-get install python3 python3-venv    macOS: brew install python@3.13"; \
			echo "or name the one to use: make $(or $(MAKECMDGOALS),install) PYTHON=/path/to/python3.11"; \
			exit 1; \
		fi; \
		if ! "$$found" -c 'import ensurepip, venv' >/dev/null 2>&1; then \
			version=$$("$$found" -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
			echo "$$found (Python $$version) lacks the venv module. Install it:"; \
			echo "  Debian, Ubuntu: apt-get install python$$version-venv"; \
			exit 1; \
		fi; \
		"$$found" -m venv --clear .venv; \
	fi; \
	began=$$(date +%s); \
	echo "Installing $$(grep -c '^[a-zA-Z]' requirements.lock) packages from requirements.lock into .venv (a minute or two) ..."; \
	pip="$(BIN)/python -m pip --disable-pip-version-check install --quiet"; \
	$$pip --require-hashes -r requirements.lock; \
	$$pip --no-deps --no-build-isolation --editable .; \
	touch $(STAMP); \
	echo "Installed in $$(($$(date +%s) - began)) s."

# Local wheel folders and private indexes must not decide what is pinned: their settings are left out. Hashes of
# every file of a version are recorded, so the lock serves Linux and macOS alike. ARGS=--upgrade raises all pins.
lock: $(STAMP) ## Pin again what pyproject.toml asks for (some minutes)
	@$(BIN)/python -m pip --disable-pip-version-check install --quiet 'pip-tools>=7.4'
	env -u PIP_FIND_LINKS -u PIP_EXTRA_INDEX_URL -u PIP_INDEX_URL PIP_CONFIG_FILE=/dev/null \
		CUSTOM_COMPILE_COMMAND='make lock' $(BIN)/python -m piptools compile pyproject.toml --quiet \
		--extra demo --extra test --build-deps-for editable --allow-unsafe --strip-extras --generate-hashes \
		--no-annotate --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options \
		--output-file requirements.lock $(ARGS)
	@# An extra that names another pins the project itself as a local folder, with a warning: not for the lock.
	@sed -e '/^millrace @/d' -e '/^# WARNING: /d' -e '/^# Consider using /d' -e '/^# The following packages/d' \
		requirements.lock > requirements.lock.draft
	@mv requirements.lock.draft requirements.lock

clean: ## Remove caches and build output; .venv and the data in .millrace stay
	rm -rf build dist *.egg-info .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +
