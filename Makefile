# Every target sets itself up on a machine that has only Python ≥ 3.11 with pip, and make.
#
#   make sandbox          a whole CBSSInscription on this machine; ONCE=1 proves it and stops
#                         PORT=, PLAIN_PORT=, OPERATIONS_PORT=, BATCH_PORT=, WORKERS=, PERSONS=, INSCRIPTIONS=, SEED=,
#                         DIRECTORY=; NATIONAL_REGISTER=1 and REPERTORY=1 have these as services of their own; FAULTS=1
#                         lets requests go wrong on order; ANEW=1 lets go what was written before
#   make test             the tests; make test-long the long campaigns; make test-peers WSS4J, Node, PHP, gSOAP, .NET, nginx
#   make test-chaos       every service killed, paused and cut under load; SEED=, SECONDS=
#   make vectors          messages with their verdicts, for whoever builds another implementation; DIRECTORY=
#   make traceability     docs/security-traceability.md: which tests show which requirement
#   make coverage-security  fails when a branch of the message security is taken by no test
#   make test-mutation    changes in the message security that no test notices; MINUTES=, MODULES="gate trust", AGAIN=1
#   make fuzz             a campaign against everything that reads foreign bytes; SECONDS=, SEED=, TARGETS="xml door"
#   make check            the linters: format, style, types, layers
#   make audit            known vulnerabilities of what is locked; SERVICE=osv asks OSV instead of PyPI
#   make sbom             what the program is made of and its licences, below dist; make wheel, make requirements

PYTHON ?= python3
DIRECTORY ?= .cbss-sandbox
UV_VERSION := $(shell sed -n 's/^uv==\([0-9.]*\).*/\1/p' supply_chain/uv.txt)
UV := .tools/uv-$(UV_VERSION)/bin/uv
# Everything lands below the checkout; UTF-8, so that a path with accents is found in any locale.
export UV_CACHE_DIR ?= $(CURDIR)/.tools/cache
export PYTHONUTF8 := 1
SYNC := UV_PYTHON_DOWNLOADS=never $(UV) sync --quiet --frozen --python $(PYTHON)

# Environments beside .venv: what judges and builds the delivery, and what the program alone needs.
SUPPLY_CHAIN := .tools/supply-chain
RUNTIME := .tools/runtime
DIST ?= dist

.PHONY: sandbox test test-chaos test-long coverage-security test-mutation fuzz test-peers test-postgresql bench-population bench-security bench-governance bench-volumes bench-facade bench-batch bench-batch-files bench-batch-broken check format audit sbom requirements wheel clean
.DELETE_ON_ERROR:

sandbox: .venv/.runtime
	@exec .venv/bin/cbss-inscription sandbox --directory $(DIRECTORY) \
	  $(if $(PORT),--port $(PORT)) $(if $(PLAIN_PORT),--plain-port $(PLAIN_PORT)) $(if $(WORKERS),--workers $(WORKERS)) \
	  $(if $(OPERATIONS_PORT),--operations-port $(OPERATIONS_PORT)) $(if $(BATCH_PORT),--batch-port $(BATCH_PORT)) \
	  $(if $(PERSONS),--persons $(PERSONS)) $(if $(SEED),--seed $(SEED)) $(if $(ONCE),--once) \
	  $(if $(INSCRIPTIONS),--inscriptions $(INSCRIPTIONS)) $(if $(NATIONAL_REGISTER),--national-register) \
	  $(if $(REPERTORY),--repertory) $(if $(FAULTS),--faults) $(if $(ANEW),--anew)

# Two processes, one for each core of the machine we measure by; a file's tests stay together, and share its fixtures.
# The longest files come first (tests/conftest.py), not those with the most tests.
test: .venv/.development $(SUPPLY_CHAIN)/.installed $(RUNTIME)/.installed
	@tests/install-programs
	.venv/bin/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder $(ARGS)

# Campaigns that take longer: what `make test` leaves out, and every property with many more examples.
test-long: .venv/.development $(SUPPLY_CHAIN)/.installed $(RUNTIME)/.installed
	@tests/install-programs
	.venv/bin/pytest --numprocesses 2 -m "long or hypothesis" --hypothesis-profile long $(ARGS)

# Every branch of what verifies, taken by the tests of that room alone.
coverage-security: .venv/.development
	@rm -f .coverage
	.venv/bin/coverage run -m pytest -q -n 0 tests/security $(ARGS)
	.venv/bin/coverage report

# What was tried stays in mutants/, and a run that was stopped goes on from there.
test-mutation: .venv/.development
	@nice .venv/bin/python -m tests.mutation --minutes $(or $(MINUTES),240) $(if $(AGAIN),--again) $(MODULES)

# What it finds goes to tests/fuzz/corpus, and is tried again by `make test`.
fuzz: .venv/.development
	@.venv/bin/python -m tests.fuzz --seconds $(or $(SECONDS),60) $(if $(SEED),--seed $(SEED)) $(TARGETS)

# Everything killed, paused, cut and made wrong under load: make test-chaos SEED=7 SECONDS=300
test-chaos: .venv/.development
	CBSS_CHAOS_SEED=$(or $(SEED),1) CBSS_CHAOS_SECONDS=$(or $(SECONDS),60) \
	  .venv/bin/pytest -n 0 -m "long or not long" -s -rA tests/chaos $(ARGS)

# Foreign stacks with the recipes of examples/, at a running sandbox; those that cannot be installed are skipped, and why.
test-peers: .venv/.development
	@tests/install-programs
	@tests/install-peers
	.venv/bin/pytest -m peers tests/interop $(ARGS)

# The tests of the database on another PostgreSQL ≥ 15: make test-postgresql PG_BIN=/usr/lib/postgresql/15/bin
test-postgresql: .venv/.development
	CBSS_TEST_PG_BIN=$(or $(PG_BIN),$(error name its programs: PG_BIN=/usr/lib/postgresql/15/bin)) \
	  .venv/bin/pytest --numprocesses 2 --dist loadfile tests/storage tests/repertory $(ARGS)

.PHONY: vectors traceability
vectors: DIRECTORY = .vectors
vectors: .venv/.development
	@.venv/bin/python -m tests.vectors $(DIRECTORY) $(ARGS)

traceability: .venv/.development
	@.venv/bin/python -m tests.security.traceability

# How long a million persons and five million inscriptions take to load: ARGS="--persons 100000" for fewer.
bench-population: .venv/.runtime
	.venv/bin/python bench/population_load.py $(ARGS)

# What the message security costs, hostile messages too; fails when a target is missed. ARGS="--large" for 16 MiB.
bench-security: .venv/.development
	.venv/bin/python bench/security.py $(ARGS)

# What agreed volumes cost: the decision, and the count beside each record. ARGS="--rounds 5" for less patience.
bench-volumes: .venv/.development
	.venv/bin/python bench/volumes.py $(ARGS)

# What reading and writing files of batches costs, without a database: ARGS="--lines 1000000" for memory at length.
bench-batch-files: .venv/.development
	.venv/bin/python bench/batch_files.py $(ARGS)

# What files cost that break behind a million lines, up to their refusal: ARGS="--lines 7000000" for later ones.
bench-batch-broken: .venv/.development
	.venv/bin/python bench/batch_broken.py $(ARGS)

# What audit journal and volumes add to a consultation, at most a quarter of its CPU time: ARGS="--rounds 15" for more.
bench-governance: .venv/.development
	.venv/bin/python bench/governance.py $(ARGS)

# What a façade in front of a repertory costs, at most 1.6 times one that keeps the lines: ARGS="--rounds 9" for more.
bench-facade: .venv/.development
	.venv/bin/python bench/facade.py $(ARGS)

# From a file of declarations to the file of answers, with one, two and four workers: ARGS="--lines 10000000" for a night's.
bench-batch: .venv/.development
	.venv/bin/python bench/batch.py $(ARGS)

check: .venv/.development
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports --no-logo

format: .venv/.development
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

# Fails when no service answers: no result is not a good result.
audit: $(SUPPLY_CHAIN)/.installed
	@$(UV) export --quiet --frozen --all-groups --no-emit-project --output-file .tools/locked.txt
	$(SUPPLY_CHAIN)/bin/python supply_chain/audit.py --requirements .tools/locked.txt --service $(or $(SERVICE),pypi)

# What the program is made of, machine code in wheels included, and under which licences.
sbom: $(SUPPLY_CHAIN)/.installed $(RUNTIME)/.installed
	$(SUPPLY_CHAIN)/bin/python supply_chain/bill_of_materials.py --environment $(RUNTIME) \
	  --output $(DIST)/cbss-inscription.cdx.json
	$(SUPPLY_CHAIN)/bin/python supply_chain/licences.py $(DIST)/cbss-inscription.cdx.json \
	  --output $(DIST)/cbss-inscription-licences.md

# Of what is committed, twice, and the same bytes both times.
wheel: $(SUPPLY_CHAIN)/.installed
	$(SUPPLY_CHAIN)/bin/python supply_chain/wheel.py --output $(DIST)

# What pip installs with --require-hashes: uv.lock in pip's words.
requirements: $(UV)
	@mkdir -p $(DIST)
	$(UV) export --quiet --frozen --no-dev --no-emit-project --no-header --output-file $(DIST)/requirements.txt

clean:
	rm -rf .venv .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage mutants

# `--target` needs no virtual environment, which Debian's Python cannot make without another package.
$(UV):
	@echo "Installing uv $(UV_VERSION) below .tools"
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --root-user-action=ignore \
	  --target .tools/uv-$(UV_VERSION) --require-hashes --requirement supply_chain/uv.txt

.venv/.runtime: pyproject.toml uv.lock $(UV)
	@echo "Installing what the program needs below .venv"
	@$(SYNC) --no-dev --inexact
	@touch $@

.venv/.development: pyproject.toml uv.lock $(UV)
	@echo "Installing what the program and its tests need below .venv"
	@$(SYNC)
	@touch $@ .venv/.runtime

$(SUPPLY_CHAIN)/.installed: pyproject.toml uv.lock $(UV)
	@echo "Installing what judges and builds the delivery below $(SUPPLY_CHAIN)"
	@UV_PROJECT_ENVIRONMENT=$(SUPPLY_CHAIN) $(SYNC) --only-group supply-chain
	@touch $@

# Without the program itself, and exactly: what is here is what the bill of materials lists.
$(RUNTIME)/.installed: pyproject.toml uv.lock $(UV)
	@echo "Installing what the program alone needs below $(RUNTIME)"
	@UV_PROJECT_ENVIRONMENT=$(RUNTIME) $(SYNC) --no-dev --no-install-project
	@touch $@
