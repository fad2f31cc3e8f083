# `make help` lists the targets. Everything runs in .venv, made from requirements.lock.
SHELL := bash
PYTHON ?= python3
STUDY ?= config/demo.yaml
CORES ?= all
VENV := .venv
READY := $(VENV)/.ready
RESULTS = results/$(shell sed -n 's/^study: *\([a-z0-9-]*\).*/\1/p' $(STUDY))
# One run at a time in this folder; unlike Snakemake's own lock, the system drops it when a run is killed.
ALONE := $(if $(shell command -v flock),flock .snakemake.lock)
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.PHONY: help demo test test-long test-slurm check bench generate figures clean

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Basins needs Python 3.11 or newer, but PYTHON=$(PYTHON) is " + sys.version.split()[0])'
	$(PYTHON) -m venv --clear $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --requirement requirements.lock
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@# Numba's caches of an older version name modules that may be gone.
	find lib \( -name '*.nbi' -o -name '*.nbc' \) -delete
	touch $@

demo: $(READY) ## Run a study (STUDY=config/demo.yaml) and say where its results are
	$(ALONE) snakemake --nolock --cores $(CORES) --configfile $(STUDY)
	$(ALONE) snakemake --nolock --configfile $(STUDY) --report $(RESULTS)/report.html
	@basins show $(RESULTS)/cube.nc
	@printf '\ncube     %s\nfigures  %s\nexplorer %s\nreport   %s\n' $(RESULTS)/cube.nc $(RESULTS)/figures $(RESULTS)/explorer.html $(RESULTS)/report.html

test: $(READY) ## Run the test suite
	python -m pytest --numprocesses 2 --dist loadgroup -m "not long" --doctest-modules lib tests --ignore tests/slurm

test-long: $(READY) ## Run the tests that take minutes each
	python -m pytest -m long tests

test-slurm: $(READY) ## Run the tests that need a SLURM of their own (root and Debian's packages)
	python -m pytest tests/slurm

check: $(READY) ## Lint, format, types, workflow lint
	ruff check .
	ruff format --check .
	mypy
	snakefmt --check Snakefile workflow
	snakemake --lint

bench: $(READY) ## Run every benchmark and print its table
	@for file in benchmarks/[a-z]*.py; do [ "$$file" = benchmarks/table.py ] || python "$$file"; done

generate: $(READY) ## Write the files that are generated from the code
	basins generate
	python benchmarks/table.py
	python tests/contracts/test_invariance.py
	python tests/contracts/test_plan_page.py

HEADLINE := data-perspective size_planes planes \
	demo-calibrated,demo-calibrated-weight,scaling-mnist-laptop,scaling-mnist-calibrated,scaling-cifar10-laptop laws_of_studies laws \
	swiss-roll,modular-addition-laptop largest_in_studies where-it-breaks \
	guess-and-check overall_volume classes \
	guess-and-check-digits overall_volume classes-digits \
	ranking rank_correlations ranking \
	ladders volume_by_ladder ladders

figures: $(READY) ## Draw the headline figures into docs/images, from the cubes of their studies
	@set -- $(HEADLINE); while [ $$# -gt 0 ]; do \
		cubes=$$(printf 'results/%s/cube.nc ' $${1//,/ }); \
		missing=$$(for cube in $$cubes; do [ -f $$cube ] || echo $$cube; done); \
		if [ "$$missing" ]; then \
			echo "headline-$$3.png is left as it is: run the studies of" $$missing; \
		else \
			basins figure --cube $$cubes --name $$2 --png docs/images/headline-$$3.png --pdf results/headline/$$3.pdf || exit; \
		fi; \
		shift 3; \
	done

clean: ## Remove the environment and caches, never results
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
