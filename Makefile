# What a contributor does, one target each; `make` alone lists them.
# It needs python3 (3.10 to 3.12) and a way to PyPI and Maven Central; `make setup` brings the rest.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
ENGINE ?= spark
PYTEST_ARGS ?=
PARTS ?=

UV_VERSION := 0.13.9
export PATH := $(CURDIR)/.tools/bin:$(PATH)
export UV_PYTHON := $(CURDIR)/.tools/bin/python
export UV_PYTHON_DOWNLOADS := never

SAMPLE := build/open-bandit
FAST := not slow and not recovery and not integration and not notebooks
SOURCES := pyproject.toml uv.lock

.PHONY: help
help: ## Lists the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: .venv/.synced .venv-flink/.synced build/.java build/.jars ## Makes both Python environments, brings the jars, and Java where there is none

.tools/.uv-$(UV_VERSION):
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' \
		|| { echo "make: $(PYTHON) is not Python 3.10, 3.11 or 3.12: name one, as in make setup PYTHON=python3.12" >&2; exit 2; }
	$(PYTHON) -m venv --clear .tools
	.tools/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@

.venv/.synced: $(SOURCES) .tools/.uv-$(UV_VERSION)
	uv sync --quiet --locked --extra spark --extra beam --extra delta --extra kafka --extra postgres --extra report \
		--group bench --group services --group notebooks
	@touch $@

.venv-flink/.synced: $(SOURCES) .tools/.uv-$(UV_VERSION)
	UV_PROJECT_ENVIRONMENT=.venv-flink uv sync --quiet --locked --extra flink --extra delta --extra kafka --extra postgres --extra report
	@touch $@

build/.java: uv.lock common/setup/java.py | .venv/.synced
	@mkdir -p build
	.venv/bin/python -m common.setup.java >$@

build/.jars: common/setup/jars.yaml common/setup/jars.py | .venv/.synced
	@mkdir -p build
	.venv/bin/python -m common.setup.jars flink-sql-parquet >$@

.PHONY: run
run: setup $(SAMPLE)/streams ## Sessions and bills of the bundled sample of real views and clicks (ENGINE=spark)
	.venv/bin/adstream run billing --engine $(ENGINE) --input $(SAMPLE)/streams --output $(SAMPLE)/$(ENGINE) --overwrite
	.venv/bin/adstream report --output-dir $(SAMPLE)/$(ENGINE) -o $(SAMPLE)/$(ENGINE).html

$(SAMPLE)/streams: $(wildcard tests/data/open-bandit/*.csv) | .venv/.synced
	rm -rf $@
	.venv/bin/adstream import open-bandit $^ --output $@

.PHONY: test
test: setup ## The tests that guard each change, on every engine
	.venv-flink/bin/pytest tests/unit -m "$(FAST) and not spark and not beam" $(PYTEST_ARGS)
	.venv/bin/pytest -m "$(FAST)" $(PYTEST_ARGS)

.PHONY: test-all
test-all: setup ## All tests: also the slow ones, recovery and integration
	.venv/bin/pytest $(PYTEST_ARGS)

.PHONY: conformance
conformance: setup ## Every case of the conformance kit on every engine, as a table
	.venv/bin/pytest tests/conformance $(PYTEST_ARGS)

.PHONY: recovery
recovery: setup ## Jobs that are killed, restarted and rescaled
	.venv/bin/pytest -m recovery $(PYTEST_ARGS)

.PHONY: integration
integration: setup ## Streams on real services: Kafka, a schema registry, PostgreSQL, Connect, S3
	.venv/bin/pytest tests/integration -m integration $(PYTEST_ARGS)

.PHONY: notebooks
notebooks: setup ## The notebooks, run from their first cell to their last
	.venv/bin/pytest tests/notebooks $(PYTEST_ARGS)

.PHONY: bench
bench: setup ## Speed and memory against what one would write by hand, as ratios (PARTS="local flink")
	.venv/bin/python -m tests.bench $(PARTS)

.PHONY: differences
differences: setup ## What the engines' own session windows answer to the questions of common/SEMANTICS.md
	.venv/bin/python -m tests.differences

.PHONY: lint
lint: setup ## Style, formatting and types
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy

.PHONY: format
format: setup ## Formats the code and mends what the linter can
	.venv/bin/ruff check --fix
	.venv/bin/ruff format

.PHONY: clean
clean: ## Removes what was built here; the environments and the download cache stay
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis spark-warehouse metastore_db derby.log
