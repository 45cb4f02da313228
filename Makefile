# Every target with a line: `make help`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.DEFAULT_GOAL := help

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; set PYTHON=python3.x"; exit 1; }
	@test -x $(BIN)/python || { echo "Making the virtual environment in $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@echo "Installing the pinned dependencies (a few minutes the first time)"
	@# torch alone and first, named exactly: an open range would fetch gigabytes of CUDA.
	@$(PIP) install torch==2.13.0
	@$(PIP) install --constraint constraints.txt --editable '.[local,dev]'
	@touch $(STAMP)

.PHONY: install
install: $(STAMP) ## Make the virtual environment with pinned dependencies

.PHONY: run
run: $(STAMP) ## Run everything: Postgres, the server and Envoy; Ctrl-C stops it
	@exec $(BIN)/memory-grpc up

# What looks at times, and wants the processors to itself.
ALONE := tests/abuse tests/chaos

.PHONY: test
test: lint check-gen node ## Run every check: lint, generated files, all tests
	@$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile $(ALONE:%=--ignore=%)
	@$(BIN)/python -m pytest $(ALONE)

# Without npm, or where it reaches nothing, the pages for Node and browsers are skipped by name.
.PHONY: node
node:
	@! command -v npm >/dev/null || test -d tests/clients/node/node_modules/@connectrpc \
	    || npm install --prefix tests/clients/node --no-package-lock --no-audit --no-fund --loglevel error || true

.PHONY: lint
lint: $(STAMP) ## Check style, types and the contract (ruff, mypy --strict, buf lint)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m tools.codegen --lint

.PHONY: format
format: $(STAMP) ## Format the code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

.PHONY: gen
gen: $(STAMP) ## Write gen/ from proto/
	@$(BIN)/python -m tools.codegen

.PHONY: check-gen
check-gen: $(STAMP) ## Check that gen/ is what `make gen` writes
	@$(BIN)/python -m tools.codegen --check

.PHONY: coverage
coverage: $(STAMP) ## Run the tests and write htmlcov/
	@$(BIN)/python -m pytest --cov=memory_grpc --cov=tools --cov-report=term-missing --cov-report=html

.PHONY: eval
eval: $(STAMP) ## Measure the rankings: make eval FILE="locomo10.json questions.jsonl" ARGS="--messages messages.jsonl" (a server of its own)
	@test -n "$(FILE)" || { echo "Name the data: make eval FILE=locomo10.json"; exit 2; }
	@$(BIN)/python bench/evaluate.py $(FILE) $(ARGS)

.PHONY: ranking-study
ranking-study: $(STAMP) ## Learn the hybrid ranking's weights: make ranking-study FILE="locomo10.json questions.jsonl" ARGS="--messages messages.jsonl"
	@test -n "$(FILE)" || { echo "Name the data: make ranking-study FILE=locomo10.json"; exit 2; }
	@$(BIN)/python bench/ranking/train.py $(FILE) $(ARGS)

.PHONY: bench-reading
bench-reading: $(STAMP) ## Measure what reading a question's dates and names takes (FILE=locomo10.json for its questions, too)
	@$(BIN)/python bench/reading.py $(FILE) $(ARGS)

.PHONY: bench-search
bench-search: $(STAMP) ## Measure the ranking statements against a bare scan
	@$(BIN)/python bench/search.py $(ARGS)

.PHONY: bench-calls
bench-calls: $(STAMP) ## Measure whole searches against what they are made of: make bench-calls FILE=locomo10.json
	@test -n "$(FILE)" || { echo "Name the data: make bench-calls FILE=locomo10.json"; exit 2; }
	@$(BIN)/python bench/calls.py "$(FILE)" $(ARGS)

.PHONY: bench-scale
bench-scale: $(STAMP) ## Measure what calls cost and simulate larger machines: make bench-scale FILE=locomo10.json
	@test -n "$(FILE)" || { echo "Name the data: make bench-scale FILE=locomo10.json"; exit 2; }
	@$(BIN)/python bench/scale.py "$(FILE)" $(ARGS)

.PHONY: bench-replicas
bench-replicas: $(STAMP) ## Search and ingest on three replicas with a lag, a kill and a promotion; ten minutes (ARGS="--seconds 120")
	@$(BIN)/python bench/replicas.py $(ARGS)

.PHONY: bench-citus
bench-citus: $(STAMP) ## Measure a Citus cluster beside one Postgres; MEMORY_TEST_CITUS is the coordinator's DSN (ARGS="--messages 50000")
	@$(BIN)/python bench/citus.py $(ARGS)

.PHONY: bench-plan
bench-plan: $(STAMP) ## Plan up to a billion messages, with your prices: make bench-plan ARGS="--core-hour-price 0.05"
	@$(BIN)/python bench/scaling/plan.py $(ARGS)

.PHONY: bench-large
bench-large: $(STAMP) ## Measure tenants of up to a million messages (most of an hour; ARGS="--dir D" keeps the database)
	@$(BIN)/python bench/large.py $(ARGS)

.PHONY: bench-filters
bench-filters: $(STAMP) ## Measure searches with every kind of filter against the same without one
	@$(BIN)/python bench/filters.py $(ARGS)

.PHONY: bench-life
bench-life: $(STAMP) ## Measure pages, updates, deletes and contexts in a small and a large tenant
	@$(BIN)/python bench/life.py $(ARGS)

.PHONY: bench-rls
bench-rls: $(STAMP) ## Measure what row-level security costs a search
	@$(BIN)/python bench/row_security.py $(ARGS)

.PHONY: bench-ingest
bench-ingest: $(STAMP) ## Measure ingest against the bare model: make bench-ingest FILE=locomo10.json (half an hour)
	@test -n "$(FILE)" || { echo "Name the data: make bench-ingest FILE=locomo10.json"; exit 2; }
	@$(BIN)/python bench/ingest.py "$(FILE)" $(ARGS)

.PHONY: bench-memory
bench-memory: $(STAMP) ## Measure what a server holds while a tenant is searched that grows
	@$(BIN)/python bench/memory.py $(ARGS)

.PHONY: bench-tracing
bench-tracing: $(STAMP) ## Measure what traces cost a call, on and off
	@$(BIN)/python bench/tracing.py $(ARGS)

.PHONY: chaos
chaos: $(STAMP) ## Break things for real and print a table; about an hour (ARGS=--short: minutes)
	@$(BIN)/python bench/chaos.py $(ARGS)

.PHONY: abuse
abuse: $(STAMP) ## Let one caller attack all others and print a table; some minutes (ARGS="--only watches")
	@$(BIN)/python bench/abuse.py $(ARGS)

.PHONY: migrate
migrate: $(STAMP) ## Migrate the database of MEMORY_DATABASE_URL
	@$(BIN)/memory-grpc migrate

.PHONY: sbom
sbom: $(STAMP) ## Write sbom.json: what is installed, with versions and licences (CycloneDX)
	@$(BIN)/cyclonedx-py environment --pyproject pyproject.toml --mc-type application --output-reproducible --outfile sbom.json $(VENV)

.PHONY: clean
clean: ## Remove the virtual environment and caches; .data, the embedded database, stays
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache htmlcov .coverage build dist
