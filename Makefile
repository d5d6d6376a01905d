# What a contributor does, one target each; `make` alone lists them.
# It needs python3 (3.10 to 3.12) and a way to PyPI and Maven Central; `make setup` brings the rest.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
ENGINE ?= spark
PYTEST_ARGS ?=
WORKERS ?= 2
PARTS ?=
JOB ?= sessions
SEEDS ?= 2
SEED ?=
RECOVERY ?=
IMAGES ?= spark

UV_VERSION := 0.13.9
export PATH := $(CURDIR)/.tools/bin:$(PATH)
export UV_PYTHON := $(CURDIR)/.tools/bin/python
export UV_PYTHON_DOWNLOADS := never

SAMPLE := build/open-bandit
SHOP := build/open-bandit-database
LANDED := ad-views,ad-clicks,advertisements,ad-sessions,ad-engagements
FAST := not slow and not recovery and not integration and not k8s and not notebooks
SOURCES := pyproject.toml uv.lock
# What changed contracts are compared with: where this branch left main; on main itself, the commit before.
BASE ?= $(shell base=$$(git merge-base HEAD origin/main 2>/dev/null); \
	[ "$$base" != "$$(git rev-parse HEAD 2>/dev/null)" ] || base=; \
	git rev-parse --quiet --verify "$${base:-HEAD^}^{commit}" 2>/dev/null)

.PHONY: help
help: ## Lists the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: .venv/.synced .venv-flink/.synced build/.java build/.jars ## Makes both Python environments, brings the jars, and Java where there is none

.tools/.uv-$(UV_VERSION):
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' \
		|| { echo "make: $(PYTHON) is not Python 3.10, 3.11 or 3.12: name one, as in make setup PYTHON=python3.12" >&2; exit 2; }
	$(PYTHON) -m venv --clear .tools
	.tools/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@

.venv/.synced: $(SOURCES) .tools/.uv-$(UV_VERSION)
	uv sync --quiet --locked --extra spark --extra beam --extra delta --extra s3 --extra kafka --extra postgres --extra k8s --extra report \
		--extra lineage --group bench --group services --group notebooks --group manifests
	@touch $@

.venv-flink/.synced: $(SOURCES) .tools/.uv-$(UV_VERSION)
	UV_PROJECT_ENVIRONMENT=.venv-flink uv sync --quiet --locked --extra flink --extra delta --extra s3 --extra kafka --extra postgres --extra report
	@touch $@

# Brought again where what it names is gone, as with a cache that was emptied.
build/.java: uv.lock common/setup/java.py $(if $(wildcard $(shell cat build/.java 2>/dev/null)),,gone) | .venv/.synced
	@mkdir -p build
	.venv/bin/python -m common.setup.java >$@

.PHONY: gone
gone:

build/.jars: common/setup/jars.yaml common/setup/jars.py | .venv/.synced
	@mkdir -p build
	.venv/bin/python -m common.setup.jars flink-sql-parquet >$@

.PHONY: run
run: setup $(SAMPLE)/streams ## Sessions and bills of the bundled sample of real views and clicks (ENGINE=spark)
	.venv/bin/adstream run billing --engine $(ENGINE) --input $(SAMPLE)/streams --output $(SAMPLE)/$(ENGINE) --overwrite
	.venv/bin/adstream report --output-dir $(SAMPLE)/$(ENGINE) -o $(SAMPLE)/$(ENGINE).html

.PHONY: run-database
run-database: setup $(SAMPLE)/streams ## The same from a database: free its advertisements, bill, land all in tables, query them
	rm -rf $(SHOP) && mkdir -p $(SHOP)/streams && cp -R $(SAMPLE)/streams/ad-* $(SHOP)/streams
	.venv/bin/adstream services up postgres
	.venv/bin/adstream services seed --input $(SAMPLE)/streams
	.venv/bin/adstream liberate advertisements --output $(SHOP)/streams
	.venv/bin/adstream services down postgres
	.venv/bin/adstream run billing --engine $(ENGINE) --input $(SHOP)/streams --output $(SHOP)/streams
	.venv/bin/adstream run land --engine $(ENGINE) --input $(SHOP)/streams --output $(SHOP)/tables \
		--mode stream --until-caught-up --set streams=$(LANDED) --set partitions=ad-views=createdEventTime
	.venv/bin/adstream tables history ad-views --output $(SHOP)/tables
	.venv/bin/adstream tables query --output $(SHOP)/tables "$$MOST_SOLD"

define MOST_SOLD
SELECT a.name, a.type, e.sum AS conversions, v.views, s.users FROM ad_engagements AS e
JOIN advertisements AS a ON a.key = e.key
JOIN (SELECT "advertisementId" AS key, count(*) AS views FROM ad_views GROUP BY 1) AS v ON v.key = e.key
JOIN (SELECT action."advertisementId" AS key, count(DISTINCT "userId") AS users
      FROM (SELECT "userId", unnest(actions) AS action FROM ad_sessions) GROUP BY 1) AS s ON s.key = e.key
WHERE e.sum IS NOT NULL ORDER BY conversions DESC, views LIMIT 5
endef
export MOST_SOLD

$(SAMPLE)/streams: $(wildcard tests/data/open-bandit/*.csv) | .venv/.synced
	rm -rf $@
	.venv/bin/adstream import open-bandit $^ --output $@

.PHONY: test
test: setup ## The tests that guard each change, on every engine
	.venv-flink/bin/pytest tests/unit -n $(WORKERS) -m "$(FAST) and not spark and not beam" $(PYTEST_ARGS)
	.venv/bin/pytest -n $(WORKERS) --dist loadgroup -m "$(FAST)" $(PYTEST_ARGS)

.PHONY: test-all
test-all: setup ## All tests: also slow ones, recovery, integration, notebooks, and those on Kubernetes
	.venv/bin/pytest $(PYTEST_ARGS)

.PHONY: conformance
conformance: setup ## Every case of the conformance kit on every engine, as a table
	.venv/bin/pytest tests/conformance $(PYTEST_ARGS)

.PHONY: recovery
recovery: setup ## Jobs that are killed, starved and rescaled on every engine: what they lost, as a table (SEEDS=2 JOB=sessions)
	.venv/bin/python -m tests.recovery --job $(JOB) $(if $(SEED),--seed $(SEED),--seeds $(SEEDS)) $(RECOVERY)

.PHONY: integration
integration: setup ## Streams on real services: Kafka, a schema registry, PostgreSQL, Connect, S3
	.venv/bin/pytest tests/integration -m integration $(PYTEST_ARGS)

.PHONY: notebooks
notebooks: setup ## The notebooks, run from their first cell to their last
	.venv/bin/pytest tests/notebooks $(PYTEST_ARGS)

.PHONY: k8s
k8s: setup ## Jobs on a real Kubernetes, the one that KUBECONFIG names
	.venv/bin/pytest tests/k8s -m k8s $(PYTEST_ARGS)

.PHONY: images
images: ## The images for Kubernetes, by Docker or buildah (IMAGES="spark flink beam")
	k8s/images/build.sh $(IMAGES)

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

.PHONY: contracts
contracts: setup ## Checks every contract, and what changed of them since BASE, with who must be told
	.venv/bin/adstream contracts check
	$(if $(BASE),.venv/bin/adstream contracts diff $(BASE),@echo "make: no earlier revision is known in this clone, so no change is looked at: make contracts BASE=…")

.PHONY: format
format: setup ## Formats the code and mends what the linter can
	.venv/bin/ruff check --fix
	.venv/bin/ruff format

.PHONY: clean
clean: ## Removes what was built here; the environments and the download cache stay
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis spark-warehouse metastore_db derby.log
