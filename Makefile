# `make demo` shows the library at work, `make test` checks all of it. Both start from nothing:
# they make .venv and install what pyproject.toml declares, in the versions of constraints.txt.

PYTHON ?= python3
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

.PHONY: demo test docs format audit clean

demo: $(INSTALLED)
	$(RUN) -m experiments demo

# One thread for each worker: the workers share the cores, and results depend on the thread count.
test: $(INSTALLED)
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(TYPES)
	OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 $(RUN) -m pytest -n $(WORKERS) --dist loadscope --durations 10

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
	rm -rf $(VENV) build dist site *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(VENV)/pyvenv.cfg:
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo \
	    'identiflow needs Python 3.10 or newer; name one: make PYTHON=/path/to/python3 ...' >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' || { echo \
	    'This Python has no venv module; install it (Debian, Ubuntu: python3-venv)' \
	    'or name another Python: make PYTHON=/path/to/python3 ...' >&2; exit 1; }
	"$(PYTHON)" -m venv --clear $(VENV) || { rm -rf $(VENV); exit 1; }

$(INSTALLED): $(VENV)/pyvenv.cfg pyproject.toml constraints.txt
	$(RUN) -m pip install --disable-pip-version-check -c constraints.txt -e '.[dev]' || { echo \
	    'The install failed; it needs a network, or a package folder named by PIP_FIND_LINKS.' >&2; exit 1; }
	@touch $@
