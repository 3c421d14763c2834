# Both targets make .venv and install by themselves.
PYTHON ?= python3
VENV ?= .venv
DEMO ?= demo-output
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed

.PHONY: demo test wheels lint site clean

demo: $(INSTALLED)
	rm -rf $(DEMO)
	$(BIN)/minifold train v13 --size nano --run-dir $(DEMO)/run
	$(BIN)/minifold sample $(DEMO)/run --data demo --out $(DEMO)/samples
	$(BIN)/minifold evaluate $(DEMO)/run --out $(DEMO)/evaluation
	@echo
	@echo "made: $(DEMO)/run (weights, metrics.csv), $(DEMO)/samples (PDB files), $(DEMO)/evaluation"
	@echo "type: $(BIN)/minifold list-models"
	@echo "      $(BIN)/minifold sample $(DEMO)/run --sequence MQIFVKTLTGKTITLEVEPSDTIENVK --out my-samples"
	@echo "      $(BIN)/minifold data pack YOUR_STRUCTURES --out mine.safetensors"
	@echo "      $(BIN)/minifold train v13 --size nano --data mine.safetensors"

test: $(INSTALLED)
	$(BIN)/python -m pytest -n auto --dist load -m "not wheels" $(PYTEST)

wheels: $(INSTALLED)
	scripts/check_wheels.sh $(BIN)/python

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	cd plugins/sidechain && $(abspath $(BIN))/mypy

site: $(INSTALLED)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) $(DEMO) site

$(INSTALLED): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[dev]"
	touch $@
