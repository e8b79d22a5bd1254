# SPDX-License-Identifier: GPL-3.0-or-later
# Everything a person runs. Each target installs what it lacks and is quick where nothing is missing.

DISTRO ?= trixie
PROFILE ?=
INVENTORY ?=
SCENARIO ?= --all
LAB ?= lab
WORKERS ?= 2

CACHE := .cache
VENV := .venv
COLLECTION := $(CACHE)/collections/ansible_collections/mailfleet/smtp_hardening
LAB_INVENTORY := molecule/inventory/hosts.yml
BIN := $(CURDIR)/$(VENV)/bin

export DISTRO LAB
# With the folders of what root runs, which su leaves out, and a locale that every machine has: Ansible wants one that is there.
export PATH := $(BIN):$(PATH):/usr/sbin:/sbin
export LC_ALL := C.UTF-8
export ANSIBLE_COLLECTIONS_PATH := $(CURDIR)/$(CACHE)/collections
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
export PYTHONDONTWRITEBYTECODE := 1

.DEFAULT_GOAL := help
.PHONY: help harden check test test-again test-all lab lab-destroy lint types unit sanity importer molecule mutants nodes bench bench-relay \
    clean setup root root-unasked lab-packages

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

harden: $(if $(INVENTORY),,root) setup ## harden the embedded fleet (lenient, then strict), or INVENTORY=... with PROFILE=...
ifeq ($(INVENTORY),)
	@$(MAKE) --no-print-directory lab
	@# The lab may be strict from an earlier run.
	@for profile in $(or $(PROFILE),lenient_default trusted_agents_strict); do \
	    echo "==> hardening the lab: $$profile" && \
	    ansible-playbook -i $(LAB_INVENTORY) playbooks/harden.yml -e smtp_profile=$$profile -e smtp_allow_weaker=true || exit 1; \
	done
else
	ansible-playbook -i $(INVENTORY) playbooks/harden.yml $(if $(PROFILE),-e smtp_profile=$(PROFILE))
endif

check: lint types unit ## lint, types and unit tests: after each edit

test: root-unasked setup lab-packages ## every kind of test, with each Molecule scenario in a lab of its own (JOBS=4 at once)
	@python tools/run_tests.py all

test-again: root-unasked setup lab-packages ## what failed in the last make test, and nothing else
	@python tools/run_tests.py again

test-all: root-unasked setup lab-packages ## as make test, with every fault and example, then on the other distributions (hours; CONTRIBUTING.md)
	@PYTHONS=all ANSIBLE_CORES=all FAULT_STRIDE=1 ROWS=1000 EXAMPLES=500 TRIES=1000 MESSAGES=10000 DEADLINE=86400 python tools/run_tests.py all
	@for distro in bullseye bookworm forky; do \
	    DISTRO=$$distro DEADLINE=86400 python tools/run_tests.py scenarios --all || exit 1; \
	done

lab: root setup lab-packages ## bring up three Postfix nodes (DISTRO=bullseye|bookworm|trixie|forky; LAB=name for one more)
	@echo "==> bringing up the lab $(LAB) ($(DISTRO))"
	@tools/as-root $(BIN)/ansible-playbook -i $(LAB_INVENTORY) molecule/default/create.yml
	@ansible-playbook -i $(LAB_INVENTORY) molecule/default/prepare.yml

nodes: root-unasked setup lab-packages # the nodes that the labs of make test begin with
	@ansible-playbook -i $(LAB_INVENTORY) $(patsubst %,molecule/default/%.yml,create prepare keep destroy)

lab-destroy: root setup ## remove the lab's nodes and network; the images stay
	@tools/as-root $(BIN)/ansible-playbook -i $(LAB_INVENTORY) molecule/default/destroy.yml

lint: setup ## ansible-lint, yamllint, ruff, bandit, changelog fragments, documentation
	ruff check .
	ruff format --check .
	bandit --quiet --configfile pyproject.toml --recursive plugins tools bench roles/*/files
	yamllint --strict .
	ansible-lint --offline
	antsibull-changelog lint
	antsibull-docs lint-collection-docs --plugin-docs --validate-collection-refs=dependent --skip-rstcheck .

types: setup ## mypy: what one room hands to another is what that expects
	mypy

unit: setup ## unit tests
	PYTHONPATH=$(CACHE)/collections python -m pytest -n $(WORKERS) tests/unit

mutants: setup ## change the code in small ways: do the unit tests notice? (MUTANTS_SECONDS=600, SEED=)
	@tools/install-packages bubblewrap
	@pip install --quiet --disable-pip-version-check -r requirements-mutants.txt
	@python tools/mutants.py

sanity: setup ## ansible-test sanity
	@tools/sanity

importer: setup ## what Galaxy checks when the tarball is uploaded (galaxy-importer), and how the documentation is rendered
	@tools/importer
	@antsibull-docs lint-collection-docs --plugin-docs --validate-collection-refs=all .

molecule: root-unasked setup lab-packages ## Molecule in one lab (SCENARIO=relay for one, REPEAT=20 as often, KEEP=1 leaves the lab)
	@python tools/run_tests.py scenarios $(SCENARIO)

bench: root-unasked setup lab-packages ## what every variant costs per message, in every size (20 minutes); bench/results/
	@$(call on_bench_nodes,all)

bench-relay: root-unasked setup lab-packages ## what strict costs per message beside plaintext (10 minutes); bench/results/relay.json
	@$(call on_bench_nodes,relay)

# With nodes of its own, which go again whatever happens. Their preparation speaks when it fails.
define on_bench_nodes
trap 'exit 1' INT TERM; \
trap 'ansible-playbook -i bench/inventory/hosts.yml molecule/default/destroy.yml >/dev/null' EXIT; \
echo "==> preparing the nodes of the benchmark ($(DISTRO)), about two minutes"; \
ansible-playbook -i bench/inventory/hosts.yml molecule/default/create.yml bench/prepare.yml >$(CACHE)/bench.log 2>&1 \
    || { tail -n 40 $(CACHE)/bench.log; exit 1; }; \
PYTHONPATH=molecule/shared python bench/bench.py $(1)
endef

clean: ## remove this checkout's labs, its environment and all caches
	@[ ! -e $(VENV)/.complete ] || ! command -v podman >/dev/null || for lab in $(notdir $(wildcard $(CACHE)/labs/*)); do \
	    $(MAKE) --no-print-directory lab-destroy LAB=$$lab || exit 1; \
	done
	rm -rf $(VENV) $(CACHE) tests/output

setup: $(VENV)/.complete $(COLLECTION)

# First of all, so that nobody is asked for a password in the middle.
root:
	@tools/as-root

root-unasked:
	@[ "$$(id -u)" = 0 ] || sudo -kn true 2>/dev/null || \
	    { echo "This makes labs while nobody looks: run it as root, or as a user whose sudo asks for no password." >&2; exit 1; }

lab-packages:
	@tools/install-packages aardvark-dns crun iptables libnet-ssleay-perl mmdebstrap netavark nftables openssh-client openssl podman swaks

$(VENV)/.complete: requirements-dev.txt
	@[ ! -L $(VENV) ] || { echo "$(VENV) is a link to another environment, which would be emptied; remove it first." >&2; exit 1; }
	@tools/find-python >/dev/null 2>&1 || tools/install-packages python3 python3-venv
	@echo "==> installing the tools into $(VENV), about a minute"
	@"$$(tools/find-python)" -m venv --clear $(VENV)
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

# Ansible finds a collection by its folder's name; the checkout may be called anything.
$(COLLECTION):
	@mkdir -p $(dir $@)
	@ln -sfn ../../../.. $@
