# sigma-bench: `make demo` and `make test` do all the set-up they need.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
RUN    := $(BIN)/sigma-bench

MODEL ?= sigma_mlp
DATA  ?= miniature
SIZE  ?= nano
PROFILE ?=
SUITE ?= quick
CKPT  ?= $(lastword $(sort $(wildcard runs/$(MODEL)$(addprefix .,$(filter-out released,$(PROFILE))).$(DATA).$(SIZE).seed*)))
EVAL_DATA ?= $(if $(filter miniature,$(DATA)),miniature,official)
CKPTS ?= $(CKPT)
RESULTS ?= results
EVAL_ARGS ?=
ARGS  ?=
TESTERS ?= $(shell echo $$(( ( $$(getconf _NPROCESSORS_ONLN) * 3 + 1 ) / 2 )))

.DEFAULT_GOAL := help
.PHONY: help install demo test test-all check pretrain eval tables report compare docs clean

help: ## show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  variables: MODEL=$(MODEL) DATA=$(DATA) SIZE=$(SIZE) SUITE=$(SUITE) CKPT=... ARGS='--set train.epochs=1'"
	@echo "  of compare: CKPTS='a.pth b.pth' EVAL_ARGS='--limit 40' RESULTS=$(RESULTS)"

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else "sigma-bench needs Python 3.11 to 3.13, found " + sys.version.split()[0] + "; name another: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

install: $(VENV)/.installed ## create .venv and install

demo: install ## pretrain, probe and draw a table on the miniature, 3 seeds (some minutes)
	$(RUN) demo $(ARGS)

test: install ## the tests that take seconds, on every core and half as many again: some only wait
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(TESTERS) -m "not slow and not gpu" $(ARGS)

test-all: install ## every test this machine can run
	$(BIN)/python -m pytest $(ARGS)

check: install ## format, lint, types, floors, specs, golden vectors
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(RUN) validate
	$(RUN) verify
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

pretrain: install ## pretrain MODEL on DATA at SIZE, PROFILE of the recipe (DATA=k400 SIZE=base is the paper's run)
	$(RUN) pretrain $(MODEL) --data $(DATA) --size $(SIZE) $(addprefix --profile ,$(PROFILE)) $(ARGS)

eval: install ## evaluate CKPT on SUITE
	@test -n "$(CKPT)" || { echo "make eval: no checkpoint; name one: make eval CKPT=x.pth" >&2; exit 2; }
	$(RUN) eval --suite $(SUITE) --data $(EVAL_DATA) --ckpt $(CKPT) $(ARGS)

tables: install ## draw the tables from results/rows
	$(RUN) tables $(ARGS)

report: install ## one page of everything measured: results/report.html
	$(RUN) report --results $(RESULTS)/rows --out $(RESULTS)/report.html $(ARGS)

compare: install ## evaluate CKPTS on SUITE, then draw the tables: make compare CKPTS="a.pth b.pth" DATA=official
	@test -n "$(CKPTS)" || { echo 'make compare: no checkpoints; name some: make compare CKPTS="a.pth b.pth"' >&2; exit 2; }
	@code=0; \
	$(RUN) eval --suite $(SUITE) --data $(EVAL_DATA) --results $(RESULTS)/rows --ckpt $(CKPTS) $(EVAL_ARGS) || code=$$?; \
	test $$code -le 1 || exit $$code; \
	$(RUN) tables --results $(RESULTS)/rows --out $(RESULTS)/tables $(if $(filter miniature,$(EVAL_DATA)),--table miniature) $(ARGS) || exit $$?; \
	echo "rows: $(RESULTS)/rows/$(basename $(notdir $(SUITE))).csv"; \
	test $$code -eq 0 || echo "make compare: not everything was measured; what is missing is said above" >&2; \
	exit $$code

docs: install ## build the documentation site in build/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean: ## delete caches and what the demonstration wrote (not your runs and rows)
	rm -rf runs/demo .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
