# Each target makes .venv by itself when it is missing or older than what it is built from.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CLIENT := build/client/check
TRAINING := build/training
CHECKOV := build/checkov
BUILT_FROM := pyproject.toml setup.py client/pyproject.toml $(wildcard core/kernels/*.pyx core/kernels/*.pxd core/kernels/*.h)

.PHONY: serve test test-client test-faults test-benchmarks test-reference test-airflow test-integrations check format demo demo-training demo-training-chances bench bench-regret bench-reference soak fuzz docs test-docs test-browser screenshots test-deploy clean

$(VENV)/.installed: $(BUILT_FROM)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "batchbandit needs Python 3.11 or newer: install it, or name one with make PYTHON=python3.x"; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV) || \
		{ rm -rf $(VENV); echo "python3 cannot make virtual environments: install its venv module (Debian: apt install python3-venv)"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]' --editable ./client
	@touch $@

serve: $(VENV)/.installed
	@exec $(BIN)/batchbandit serve

test: $(VENV)/.installed
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

# The client's, on every Python from 3.9 that is here; make test-client PYTHONS='python3.9 python3.13' names them.
test-client: $(VENV)/.installed
	@$(BIN)/python tests/client/run.py $(PYTHONS)

# make test-faults LONG=1 lets every fault last, and a day of 10,000 jobs pass: about an hour.
test-faults: $(VENV)/.installed
	$(if $(LONG),BATCHBANDIT_LONG_FAULTS=1) $(BIN)/python -m pytest tests/faults

# The benchmarks' own tests: that they run, and write what they say; and that the policies lose no more than they may.
test-benchmarks: $(VENV)/.installed $(TRAINING)/.installed
	$(BIN)/python -m pytest tests/benchmarks

# That every block of the documentation runs and prints what is shown, and that the site is built.
test-docs: $(VENV)/.docs
	$(BIN)/python -m pytest tests/docs

# As root: what is in deploy/, rehearsed with a Docker engine, a systemd and an nginx of its own, and read by Checkov.
test-deploy: $(VENV)/.installed $(CHECKOV)/.installed
	$(BIN)/python -m pytest tests/deploy/rehearsal

# With the reference's own client, which is installed from the registry into build/reference.
test-reference: $(VENV)/.installed
	BATCHBANDIT_REFERENCE=1 $(BIN)/python -m pytest tests/service/access/test_reference_client.py

# With PyTorch, Lightning, Transformers and Keras, which are installed from the registry into build/training.
test-integrations: $(VENV)/.installed $(TRAINING)/.installed
	$(BIN)/python -m pytest tests/integrations

# With Airflow, which is installed from the registry into build/airflow, and imports the client's example.
test-airflow: $(VENV)/.installed
	BATCHBANDIT_AIRFLOW=1 $(BIN)/python -m pytest tests/test_examples.py

# Every page in the system's Chromium, with axe-core from the npm registry in build/browser.
test-browser: $(VENV)/.browser build/browser/axe-core.tgz
	$(BIN)/python -m pytest tests/browser

# Each page in light, in dark and as on a phone, into docs/screenshots.
screenshots: $(VENV)/.browser
	@$(BIN)/python -m tests.browser.screenshots

# The client has a type checker of its own, which still knows Python 3.9.
check: $(VENV)/.installed $(CLIENT)/.installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(CLIENT)/bin/mypy --config-file client/pyproject.toml
	$(CLIENT)/bin/vermin --target=3.9- --no-tips --violations client tests/client

format: $(VENV)/.installed
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# make demo TRACES=DIR trains from recorded runs instead of synthetic ones; make demo URL=http://127.0.0.1:8000 against
# a service that runs, whose dashboard shows it.
demo: $(VENV)/.installed
	@$(BIN)/python -m benchmarks.demo $(if $(TRACES),--traces '$(TRACES)') $(if $(URL),--url '$(URL)')

# A real training recurs 40 times: does it end on the cheapest batch size? make demo-training SHORT=1 does less.
demo-training: $(VENV)/.installed $(TRAINING)/.installed
	@$(TRAINING)/bin/python -m benchmarks.training.demo $(if $(SHORT),--short)

# How often that holds, over 200 random streams; on what the search of demo-training has kept.
demo-training-chances: $(VENV)/.installed
	@$(BIN)/python -m benchmarks.training.chances $(if $(SHORT),--short)

# make bench BENCH='--quick --only http' measures less; the report is in build/bench.
bench: $(VENV)/.bench
	$(BIN)/python -m benchmarks.report $(BENCH)

# What each policy loses, on made-up workloads and with TRACES=DIR on recorded ones; make bench-regret REGRET='--seeds 1000'.
bench-regret: $(VENV)/.installed
	@$(BIN)/python -m benchmarks.regret $(if $(TRACES),--traces '$(TRACES)') $(REGRET)

# Beside the reference, which is installed from the registry into build/reference.
bench-reference: $(VENV)/.installed
	$(BIN)/python -m benchmarks.reference $(BENCH)

# Three replicas, two hot jobs, five minutes: what is acknowledged and not in the tables, or there twice?
soak: $(VENV)/.installed
	$(BIN)/python -m benchmarks.soak $(SOAK)

# Inputs made by machine: the decoding path, the OpenAPI document, the protocol; make fuzz INPUTS=100000 tries more.
fuzz: $(VENV)/.fuzz
	$(BIN)/python -m tests.fuzz $(if $(INPUTS),--inputs $(INPUTS))

# The site, in build/docs; a warning is an error, and so is a link that leads nowhere.
docs: $(VENV)/.docs
	rm -rf build/docs
	$(BIN)/python -m sphinx --fresh-env --fail-on-warning --keep-going --quiet --doctree-dir build/docs-read \
		--conf-dir docs/site docs build/docs
	@echo 'Open build/docs/index.html.'

$(CLIENT)/.installed: client/pyproject.toml
	$(PYTHON) -m venv --clear $(CLIENT)
	$(CLIENT)/bin/python -m pip install --quiet --disable-pip-version-check --editable './client[check]'
	@touch $@

$(CHECKOV)/.installed:
	$(PYTHON) -m venv --clear $(CHECKOV)
	$(CHECKOV)/bin/python -m pip install --quiet --disable-pip-version-check checkov==3.3.30
	@touch $@

# PyTorch and the frameworks on it, in an environment of their own with the client.
$(TRAINING)/.installed: client/pyproject.toml
	$(PYTHON) -m venv --clear $(TRAINING)
	$(TRAINING)/bin/python -m pip install --quiet --disable-pip-version-check torch==2.13.0 lightning transformers \
		accelerate keras scikit-learn msgspec pytest --editable ./client
	@touch $@

$(VENV)/.bench: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@touch $@

$(VENV)/.browser: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[browser]'
	@touch $@

build/browser/axe-core.tgz:
	@mkdir -p $(@D)
	cd $(@D) && npm pack --silent axe-core@4.11 && mv axe-core-*.tgz $(@F)

$(VENV)/.fuzz: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[fuzz]'
	@touch $@

$(VENV)/.docs: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	@touch $@

clean:
	rm -rf $(VENV) build dist client/build *.egg-info client/src/*.egg-info core/kernels/*.c core/kernels/*.so
