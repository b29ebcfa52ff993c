# `make demo` and `make test` need git, make and Python 3.11 or newer; they make the environment themselves.
PYTHON ?= python3
WORKERS ?= 2
BIN := .venv/bin
INSTALLED := .venv/.installed
CONTAINERS := .venv/.containers

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow lint types containers image-check serve clean

help:  ## what can be made
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 20

demo: $(INSTALLED)  ## train on phantoms, serve, segment one over HTTP, write demo/ (no network, no data of yours)
	$(BIN)/skipseg demo --minutes 2 --no-serve

test: $(INSTALLED)  ## the fast tests; WORKERS=0 runs them one after the other
	$(BIN)/pytest -m "not slow" --timeout 600 --numprocesses $(WORKERS) --dist loadfile --junitxml=build/tests.xml -o junit_family=xunit1

test-slow: $(INSTALLED)  ## the tests that take minutes
	$(BIN)/pytest -m slow

lint: $(INSTALLED)  ## ruff: style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# The rooms are installed under other names than their folders; mypy sees them through links.
types: $(INSTALLED)  ## mypy --strict
	@mkdir -p .types/skipseg
	@for room in models service training; do ln -sfn ../../$$room .types/skipseg/$$room; done
	@ln -sfn ../../service/client .types/skipseg/client
	@for module in __init__ __main__; do ln -sf ../../service/entry/$$module.py .types/skipseg/$$module.py; done
	$(BIN)/mypy --strict -p skipseg

containers: $(CONTAINERS)  ## check the Dockerfile and the compose files
	$(BIN)/hadolint docker/Dockerfile
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker/compose*.yaml

image-check: $(INSTALLED)  ## build the image without a Docker engine, run it, segment with it (root, buildah, debootstrap)
	$(BIN)/python docker/check_image.py

serve: $(INSTALLED)  ## the server, on http://127.0.0.1:8000
	$(BIN)/skipseg serve

clean:  ## remove the environment and everything made
	rm -rf .venv .types build demo .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("skipseg needs Python 3.11 or newer: make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

$(CONTAINERS): $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[containers]'
	@touch $@
