# Two commands: `make demo` and `make test`. Both do all the set-up they need; a second run starts at once.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help demo test check format soak fuzz audit stack clean
.DEFAULT_GOAL := help

help:  ## Show the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: .venv/.runs  ## Run the demo: three ways to call an LLM, one quota
	@$(BIN)/penstock demo --out penstock-demo

test: .venv/.installed .venv-openai2/.installed  ## Install what the tests need, then check and test everything
	@bash tests/setup/servers.sh
	@$(MAKE) --no-print-directory check
	@$(BIN)/python -m pytest -n 2 --dist loadfile

check: .venv/.installed  ## Format, lint, types, import contracts
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

format: .venv/.installed  ## Format and fix what can be fixed
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

.venv/.runs: pyproject.toml
	@echo "setting up .venv (about half a minute)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e . openai anthropic
	@touch $@

.venv/.installed: .venv/.runs
	@echo "setting up what the tests drive: every SDK and framework (about a minute)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

# openai 2.x (httpx) and openai 3.x (httpx2) cannot share an environment.
.venv-openai2/.installed: pyproject.toml
	@echo "setting up .venv-openai2"
	@$(PYTHON) -m venv .venv-openai2
	@.venv-openai2/bin/python -m pip install --quiet --disable-pip-version-check -e . 'openai>=2.20,<3' litellm tenacity \
		'opentelemetry-instrumentation-openai>=0.62,<0.63' \
		'llama-index-core>=0.14,<0.15' 'llama-index-llms-openai>=0.8,<0.9'
	@touch $@

soak: .venv/.installed  ## An hour of the whole loop while its parts break in turn
	@bash tests/setup/servers.sh
	@$(BIN)/python -m benchmarks.soak

fuzz: .venv/.installed  ## Ten minutes of fuzzing, guided by coverage, for every parser
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check atheris
	@$(BIN)/python -m benchmarks.fuzz

audit: .venv/.installed  ## Known weaknesses of what we depend on (needs the network)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check pip-audit
	@$(BIN)/python -m pip freeze --exclude-editable >.venv/audited
	@$(BIN)/python -m pip_audit --strict --no-deps --disable-pip -r .venv/audited

stack: .venv/.runs  ## Apps, Prometheus and Alertmanager to look around in
	@bash tests/setup/servers.sh
	@$(BIN)/penstock stack

clean:  ## Remove the environments and what the demo wrote
	rm -rf .venv .venv-openai2 penstock-demo
