# `make demo` shows the library at work, `make test` checks it. Both start from nothing:
# they make .venv and install what pyproject.toml declares, in the versions of constraints.txt.

PYTHON ?= python3
OLDEST_PYTHON ?= python3.10
NEWEST_PYTHON ?= $(PYTHON)
WORKERS ?= 2

VENV := .venv
RUN := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed

export MPLBACKEND ?= Agg

# Real measurements kept beside the checkout are found there; without them their tests skip.
# (The shell makes the path, because make splits names at spaces.)
BESIDE := $(shell cd ../shared/data 2>/dev/null && pwd)
ifneq ($(BESIDE),)
export IDENTIFLOW_DATA ?= $(BESIDE)
endif

# Tools that read files do not follow the layout of a checkout: they are given what is installed.
LAY_OUT = rm -rf build && $(RUN) -m pip install --quiet --disable-pip-version-check --no-deps \
    --no-build-isolation --upgrade --target build/installed .
TYPES = $(LAY_OUT) && $(RUN) -m mypy

# One thread for each worker: the workers share the cores. OMP_NUM_THREADS=2 is passed on.
# A worker takes a whole file, for what its tests share, unless DIST says otherwise.
DIST := loadscope
PYTEST = OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} \
    $(1) -m pytest -n $(WORKERS) --dist $(DIST) --durations 10

.PHONY: demo test test-rest test-all test-settings test-oldest test-newest \
    docs format audit clean

# One thread for each of the two fits that run at a time.
demo: $(INSTALLED)
	OMP_NUM_THREADS=1 $(RUN) -m experiments demo

# What is marked slow waits for test-rest; test-all is both, and what continuous integration runs where
# there is time.
test: $(INSTALLED)
	@echo 'Style, types, then the tests but the slow ones: some 8 minutes on two slow cores.'
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	@echo 'Types: a wheel is built and checked in silence, for a minute where nothing is cached.'
	$(TYPES)
	@echo 'Tests: a dot for each; it is silent for half a minute while they are collected.'
	$(call PYTEST, $(RUN)) -m 'not slow'

# The longest files are a third of these, and share little.
test-rest: DIST := worksteal
test-rest: $(INSTALLED)
	@echo 'The slow tests: some 8 minutes on two slow cores.'
	$(call PYTEST, $(RUN)) -m slow

test-all:
	$(MAKE) test
	$(MAKE) test-rest

# All tests under each setting that changes how results are rounded, then under all at once.
SETTINGS := OMP_NUM_THREADS=1 OMP_NUM_THREADS=2 ATEN_CPU_CAPABILITY=default \
    ONEDNN_MAX_CPU_ISA=SSE41 MKL_ENABLE_INSTRUCTIONS=SSE4_2

test-settings: $(INSTALLED)
	for setting in $(SETTINGS) '$(SETTINGS)'; do \
	    echo "All tests, with $$setting"; \
	    $(call PYTEST, env $$setting $(RUN)) || exit 1; \
	done

# All tests with the lowest and with the newest versions that pyproject.toml admits, each in an
# environment of its own. A torch from the package index brings gigabytes of GPU libraries with it;
# CONTRIBUTING.md says how to get the CPU build.

test-oldest:
	@echo 'Installing the oldest versions into .venv-oldest, then all tests: half an hour.'
	"$(OLDEST_PYTHON)" -m venv .venv-oldest
	.venv-oldest/bin/python -m pip install --disable-pip-version-check -c constraints-oldest.txt \
	    'setuptools>=77' pytest pytest-xdist hypothesis tomli -e '.[all]'
	$(call PYTEST, .venv-oldest/bin/python) --ignore tests/test_site.py

test-newest:
	@echo 'Installing the newest versions into .venv-newest, then all tests: half an hour.'
	"$(NEWEST_PYTHON)" -m venv .venv-newest
	.venv-newest/bin/python -m pip install --disable-pip-version-check --upgrade \
	    --upgrade-strategy eager -e '.[dev]'
	$(call PYTEST, .venv-newest/bin/python)

docs: $(INSTALLED)
	$(LAY_OUT)
	NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build --strict

format: $(INSTALLED)
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

# In an environment of its own: it asks servers that know of vulnerable versions.
audit: $(VENV)/pyvenv.cfg
	"$(PYTHON)" -m venv --clear build/audit
	build/audit/bin/python -m pip install --disable-pip-version-check pip-audit
	build/audit/bin/pip-audit -r constraints.txt --no-deps --disable-pip

clean:
	rm -rf $(VENV) .venv-oldest .venv-newest build dist site *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(VENV)/pyvenv.cfg:
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo \
	    'identiflow needs Python 3.10 or newer; name one: make PYTHON=/path/to/python3 ...' >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' || { echo \
	    'This Python has no venv module; install it (Debian, Ubuntu: python3-venv)' \
	    'or name another Python: make PYTHON=/path/to/python3 ...' >&2; exit 1; }
	"$(PYTHON)" -m venv --clear $(VENV) || { rm -rf $(VENV); exit 1; }

$(INSTALLED): $(VENV)/pyvenv.cfg pyproject.toml constraints.txt
	@echo 'Installing the versions of constraints.txt into $(VENV): two minutes or more, once.'
	$(RUN) -m pip install --disable-pip-version-check -c constraints.txt -e '.[dev]' || { echo \
	    'The install failed; it needs a network, or a package folder named by PIP_FIND_LINKS.' >&2; exit 1; }
	@touch $@
