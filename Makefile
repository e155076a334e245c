# Two commands set everything up on a fresh machine with Python, pip and make:
#   make demo   install the light core, segment a made scene, write layers and a report
#   make test   install everything for development, check style and types, run all tests
#   make test-yolo   the tests that want ultralytics, in an environment of its own
PYTHON ?= python3
DEMO_ENV ?= .venv
TEST_ENV ?= .venv-dev
YOLO_ENV ?= .venv-yolo
OUT ?= geoiseg-demo
WORKERS ?= auto
PLUGIN_ZIP ?= dist/geoiseg_qgis.zip
BUNDLE_ZIP ?= dist/geoiseg_qgis_bundle.zip
BUNDLE ?=
DATA ?= $(GEOISEG_TEST_DATA)

.PHONY: demo test test-yolo lint docs pictures bench qgis-plugin qgis-bundle clean

demo: $(DEMO_ENV)/core
	$(DEMO_ENV)/bin/geoiseg demo --out $(OUT)

test: $(TEST_ENV)/dev lint
	$(TEST_ENV)/bin/python -m pytest -n $(WORKERS) --cov --cov-report=term --benchmark-disable

# ultralytics is AGPL-3.0 and so is in no other environment; this one sees the other's packages
test-yolo: $(YOLO_ENV)/yolo
	$(YOLO_ENV)/bin/python -m pytest -n 0 tests/models/test_yolo.py

lint: $(TEST_ENV)/dev
	$(TEST_ENV)/bin/ruff check .
	$(TEST_ENV)/bin/ruff format --check .
	$(TEST_ENV)/bin/mypy

docs: $(TEST_ENV)/dev
	$(TEST_ENV)/bin/zensical build --strict

# all pictures of README and manual but that of the worst answers; needs Chromium, QGIS and Xvfb, and
# DATA, a folder of labelled scenes, for those of words on real scenes
pictures: $(TEST_ENV)/dev
	$(TEST_ENV)/bin/python docs/pictures/make_demo_picture.py
	$(TEST_ENV)/bin/python docs/pictures/jobs.py
	$(TEST_ENV)/bin/python docs/pictures/make_outline_picture.py
	$(TEST_ENV)/bin/python docs/pictures/make_pictures.py
	$(TEST_ENV)/bin/python docs/pictures/make_qgis_picture.py
	$(if $(DATA),$(TEST_ENV)/bin/python benchmarks/words.py $(DATA)/scenes --picture docs/pictures/words.jpg)

bench: $(TEST_ENV)/dev
	$(TEST_ENV)/bin/python -m pytest benchmarks --benchmark-only --benchmark-columns=median,min,rounds

# needs nothing but Python; QGIS installs the zip from Plugins > Install from ZIP
qgis-plugin:
	$(PYTHON) -m geoiseg.companion.plugin_zip $(PLUGIN_ZIP)

# needs pip and a network; BUNDLE='--platform windows --python 3.12' for another machine
qgis-bundle:
	$(PYTHON) -m geoiseg.companion.bundle $(BUNDLE_ZIP) $(BUNDLE)

QUIET = --quiet --disable-pip-version-check --no-compile
# uv does it in a third of the time; pip does where it is too old for --python, or uv can not be had.
# --editable: what is pulled later runs at once, and no wheel has to be packed
$(DEMO_ENV)/core: pyproject.toml
	{ $(PYTHON) -m venv --without-pip $(DEMO_ENV) \
	  && { command -v uv || $(PYTHON) -m pip --python $(DEMO_ENV)/bin/python \
	    install $(QUIET) --only-binary :all: uv ; } \
	  && PATH="$$PATH:$(abspath $(DEMO_ENV))/bin" uv pip install --quiet \
	    $${PIP_INDEX_URL:+--index-url "$$PIP_INDEX_URL"} \
	    --python $(DEMO_ENV)/bin/python pip --editable . ; } >/dev/null 2>&1 \
	|| { $(PYTHON) -m venv $(DEMO_ENV) \
	  && $(DEMO_ENV)/bin/pip install $(QUIET) --editable . ; }
	touch $@

# uv takes torch and torchvision from one place; a pair that does not match breaks both
$(TEST_ENV)/dev: pyproject.toml
	$(PYTHON) -m venv $(TEST_ENV)
	$(TEST_ENV)/bin/pip install --quiet --disable-pip-version-check uv
	$(TEST_ENV)/bin/uv pip install --quiet --python $(TEST_ENV)/bin/python --editable '.[dev]'
	touch $@

SITE = "import sysconfig; print(sysconfig.get_path('purelib'))"
$(YOLO_ENV)/yolo: $(TEST_ENV)/dev
	$(TEST_ENV)/bin/python -m venv --without-pip $(YOLO_ENV)
	echo "import site; site.addsitedir('$$($(TEST_ENV)/bin/python -c $(SITE))')" \
	  > "$$($(YOLO_ENV)/bin/python -c $(SITE))/dev.pth"
	$(TEST_ENV)/bin/uv pip install --quiet --python $(YOLO_ENV)/bin/python --no-deps \
	  ultralytics ultralytics-thop polars polars-runtime-32 \
	  matplotlib contourpy cycler fonttools kiwisolver pyparsing
	touch $@

clean:
	rm -rf $(DEMO_ENV) $(TEST_ENV) $(YOLO_ENV) build dist site .pytest_cache .mypy_cache .ruff_cache .hypothesis
