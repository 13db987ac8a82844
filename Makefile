PYTHON = .venv/bin/python

.PHONY: help setup demo test lint docs bench storm lab lock

help:
	@echo "make demo   move a running server into an image that boots, and show that it worked"
	@echo "make test   set up what the tests need and run them"
	@echo "make lint   formatting, style, types and layers"
	@echo "make docs   write docs/api/ anew, from the table of actions"
	@echo "make bench  compare rehost with others, and load it; as root, some three quarters of an hour"
	@echo "make storm  kill hosts, agents and the database for 20 minutes, and prove every image; as root"
	@echo "make lab    the long repetitions that make test leaves out"
	@echo "make lock   choose the newest versions of all packages and write them down with their hashes"

setup:
	@scripts/setup

demo: setup
	@$(PYTHON) -m demo

test: setup
	$(PYTHON) -m pytest -m "not lab" -n 3 --dist loadfile --no-loadscope-reorder

lint: setup
	.venv/bin/ruff check .
	.venv/bin/ruff format --check src tests demo bench
	.venv/bin/mypy src demo bench
	.venv/bin/lint-imports

docs: setup
	$(PYTHON) -m tests.api.story

bench: setup
	@scripts/setup-bench
	$(PYTHON) -m bench

storm: setup
	@scripts/setup-bench
	$(PYTHON) -m bench.storm

lab: setup
	$(PYTHON) -m pytest -m lab --timeout 3600

COMPILE = .venv/bin/pip-compile --quiet --upgrade --generate-hashes --allow-unsafe --strip-extras \
	--no-header --no-emit-index-url --no-emit-find-links --extra server

lock: setup
	$(PYTHON) -m pip install --quiet pip-tools
	$(COMPILE) --extra dev --output-file requirements-dev.txt pyproject.toml
	$(COMPILE) --constraint requirements-dev.txt --output-file requirements.txt pyproject.toml
