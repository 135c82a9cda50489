# Everything runs in .venv, which the first command makes. PYTHON chooses the interpreter it is made with.
PYTHON ?= python3
# Threads that spin while they wait make a busy machine ten times slower.
export OMP_WAIT_POLICY ?= PASSIVE
MODEL ?= smol
BIN := .venv/bin
INSTALLED := .venv/installed
DASK := .venv/installed-cluster
# Who measures: CLUSTER=4 workers on this machine, or those of SCHEDULER=tcp://… What runs notebooks
# needs $(READY) and is given $(WORKERS).
READY = $(INSTALLED) $(if $(CLUSTER)$(SCHEDULER),$(DASK))
WORKERS = $(if $(CLUSTER),--cluster '$(CLUSTER)') $(if $(SCHEDULER),--scheduler '$(SCHEDULER)')
# NEWEST=1 installs the newest versions that pyproject.toml allows, instead of those of constraints.txt.
PINS = $(if $(filter 1,$(NEWEST)),,-c constraints.txt)
HTML := _build/html/index.html
BUILT := _build/built
# What the pages are made from; `make book` writes them again when one of these has changed.
PAGES = constraints.txt _config.yml _toc.yml CITATION.cff LICENSES.md $(wildcard data/*.json data/*.csv data/benchmarks/* data/results/*/*.json) $(shell find lib -name '*.py')
# The folder with the texts and the runs. Its files are listed by find, because names may have spaces.
TEXTS := book

EXAMPLES := lib/arbitration/dataset lib/arbitration/equations lib/arbitration/uncertainty.py lib/press/changelog.py lib/press/markdown.py lib/press/repository.py lib/reproduction

.PHONY: help book pages html record attest check test exact-test fault-test slow-test browser-test wheel-test mutation-test soak audit wheel pdf tables notes release-check conformance notebook dictionary pair checksums lab clean

help:
	@echo 'make book                                    build the book at full n from records, a part of each measured again here'
	@echo 'make book MEASURE=1                          measure everything here, on the embedded models, at small n'
	@echo 'make book FULL=1                             the same at full n, for hours'
	@echo 'make record                                  measure at full n and keep the rows in data/results, for hours (MODEL=, SECTION=)'
	@echo 'make record CLUSTER=4                        with four workers, one a GPU; SCHEDULER=tcp://… with those of a cluster; book, attest, notebook, too'
	@echo 'make attest N=20                             measure 20 prompts of each recorded table again (ALL=1: every one; MODEL=, SECTION=)'
	@echo 'make pdf                                     the whole book as one PDF, in _build (needs Chromium)'
	@echo 'make tables                                  all published tables as one zip with their dictionary, in _build'
	@echo 'make check                                   the habits that a machine checks, in seconds'
	@echo 'make test                                    run the tests'
	@echo 'make notebook SECTION=sec4_heads MODEL=smol  run one notebook on one model'
	@echo 'make conformance MODEL=org/name              whether the measures can work on a model of the hub, or of a folder'
	@echo 'make dictionary DATA=folder                  make the entity dictionary of your own samples (ASK=1: with a language model)'
	@echo 'make lab                                     open the notebooks in Jupyter'
	@echo 'make exact-test                              the engine against full passes on the embedded models'
	@echo 'make fault-test                              kills, full disks, damage and silent servers, each injected by a test'
	@echo 'make browser-test, make slow-test            the tests that need Chromium, and those that take hours'
	@echo 'make wheel-test                              build the wheel, and work with it where nothing else of this folder is'
	@echo 'make soak MINUTES=120                        build the small run under kills, deletions and wrong bits, and compare its tables'
	@echo 'make audit                                   whether a known vulnerability touches the pinned packages (needs a network)'
	@echo 'make release-check                           what must hold before a release; says what it could not check without a network'
	@echo 'make mutation-test                           whether the tests notice deliberate errors, one at a time'
	@echo 'make wheel                                   the package as a wheel, in _build'
	@echo 'make notes TAG=v0.2.0                        the CHANGELOG entry of a version, in _build/notes.md'
	@echo 'make pair                                    write notebooks/*.ipynb from the .py beside them'
	@echo 'make checksums                               write data/SHA256SUMS anew, after a deliberate change of what ships'
	@echo 'make clean                                   remove the book and every executed notebook'

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("%s is Python %s; 3.11 or later is needed. Give another one: make PYTHON=python3.12 …" % (sys.executable, sys.version.split()[0]) if sys.version_info < (3, 11) else 0)'
	@echo 'Installing into .venv (torch with its libraries is several GB; this happens once)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --no-input $(PINS) -e '.[book,dev]'
	@touch $@

$(DASK): $(INSTALLED)
	$(BIN)/python -m pip install --no-input $(PINS) -e '.[cluster]'
	@touch $@

# Rows come from records, and what these lack is measured; MEASURE=1 and FULL=1 measure everything.
BOOK = $(if $(filter 1,$(FULL)),--full -p measure true,$(if $(filter 1,$(MEASURE)),-p measure true,--recorded))

book: $(READY)
	$(BIN)/python -m press.run $(BOOK) $(WORKERS) </dev/null
	@$(MAKE) --no-print-directory pages
	@echo 'The book: $(CURDIR)/$(HTML)'

# The pages are UTF-8, whatever the terminal is.
# --all, because an incremental build keeps old numbers on pages that glue them from a notebook.
# What has changed is told by content: times say nothing after a clock was set back, or in a copy.
pages: $(INSTALLED)
	@mkdir -p $(dir $(BUILT))
	@{ cksum $(PAGES) && find $(TEXTS) -type f -not -path '*/.running*' -not -path 'book/_executed/*/index.md' -not -path '*/__pycache__*' -exec cksum {} + && $(BIN)/python -m press.repository; } >$(BUILT).new
	@cmp -s $(BUILT).new $(BUILT) || $(MAKE) --no-print-directory html
	@mv $(BUILT).new $(BUILT)

html: $(INSTALLED)
	PYTHONUTF8=1 $(BIN)/jupyter-book build . --all -W -n --keep-going </dev/null

wheel: $(INSTALLED)
	$(BIN)/python -m pip wheel --no-input --no-deps --wheel-dir _build .

notes: $(INSTALLED)
	@mkdir -p _build
	$(BIN)/python -m press.changelog '$(TAG)' >_build/notes.md

pdf: book
	$(BIN)/python -m press.pdf _build/instruction-anchors.pdf

tables: book
	$(BIN)/python -m press.bundle _build/instruction-anchors-tables.zip

# The same commands as in .pre-commit-config.yaml. The examples are those of modules that need no model.
check: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports --no-cache --no-logo
	$(BIN)/python -m press.pair --check
	$(BIN)/python -m press.checksums --check
	$(BIN)/python -m pytest -q --doctest-modules $(EXAMPLES)

# Models as small as the tests' gain little from a second thread, and much from a second process.
test: $(INSTALLED) $(DASK)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile </dev/null

exact-test: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m exact -n 2 </dev/null

# Each test injects a fault: kills, full disks, wrong bits, Ctrl-C, silent servers.
fault-test: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m faults -n 2 --dist loadfile </dev/null

slow-test: $(INSTALLED)
	$(BIN)/python -m pytest -m slow </dev/null

# Off CI: hours of kills, deletions and wrong bits.
soak: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python tests/helpers/soak.py --minutes $(or $(MINUTES),120) </dev/null

# Off CI: each error runs tests of its own, so the whole takes half an hour.
mutation-test: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python tests/helpers/mutate.py </dev/null

# In an environment of its own, so that what it needs is not among what it judges.
audit: $(INSTALLED)
	@test -x .venv/audit/bin/pip-audit || { $(PYTHON) -m venv .venv/audit && .venv/audit/bin/python -m pip install --no-input --quiet pip-audit; }
	$(BIN)/python -m press.audit .venv/audit/bin/pip-audit

# cffconvert too: it pins older versions of what the book is built with.
release-check: check
	@test -x .venv/cffconvert/bin/cffconvert || { $(PYTHON) -m venv .venv/cffconvert && .venv/cffconvert/bin/python -m pip install --no-input --quiet cffconvert; } || true
	$(BIN)/python -m press.release .venv/cffconvert/bin/cffconvert

browser-test: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m browser -n 2 --dist loadfile </dev/null

# The wheel, in an environment and a folder of its own.
wheel-test: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m wheel </dev/null

# Without MODEL=, those that the book shows.
CHOSEN = $(if $(SECTION),--notebook '$(SECTION)') $(if $(filter-out file default,$(origin MODEL)),--model '$(MODEL)')

record: $(READY)
	$(BIN)/python -m press.record $(CHOSEN) $(WORKERS) </dev/null

attest: $(READY)
	$(BIN)/python -m press.attest $(CHOSEN) $(WORKERS) --prompts $(if $(filter 1,$(ALL)),all,$(or $(N),2)) </dev/null

notebook: $(READY)
	@test -n '$(SECTION)' || { echo 'Which notebook? make notebook SECTION=sec4_heads MODEL=$(MODEL)'; exit 2; }
	$(BIN)/python -m press.run --notebook '$(SECTION)' --model '$(MODEL)' $(WORKERS) </dev/null

conformance: $(INSTALLED)
	$(BIN)/python -m arbitration.checks.conformance '$(MODEL)' </dev/null

dictionary: $(INSTALLED)
	@test -n '$(DATA)' || { echo 'Of which set? make dictionary DATA=path/to/folder, or DATA=mc2'; exit 2; }
	$(BIN)/python -m arbitration.dictionary '$(DATA)' $(if $(filter 1,$(ASK)),--ask) </dev/null

pair: $(INSTALLED)
	$(BIN)/python -m press.pair

checksums: $(INSTALLED)
	$(BIN)/python -m press.checksums

lab: $(INSTALLED)
	$(BIN)/python -m jupyterlab notebooks

clean:
	rm -rf _build book/_executed results
