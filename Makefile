# SPDX-License-Identifier: GPL-3.0-or-later
# Everything a person runs. Each target installs what it lacks and is quick where nothing is missing.

DISTRO ?= trixie
PROFILE ?=
INVENTORY ?=
SCENARIO ?= --all

CACHE := .cache
VENV := .venv
COLLECTION := $(CACHE)/collections/ansible_collections/mailfleet/smtp_hardening
LAB_INVENTORY := molecule/inventory/hosts.yml
BIN := $(CURDIR)/$(VENV)/bin

export DISTRO
export PATH := $(BIN):$(PATH)
export ANSIBLE_COLLECTIONS_PATH := $(CURDIR)/$(CACHE)/collections
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
export MOLECULE_EPHEMERAL_DIRECTORY := $(CURDIR)/$(CACHE)/molecule
export MOLECULE_GLOB := molecule/*/molecule.yml
export PYTHONDONTWRITEBYTECODE := 1

.DEFAULT_GOAL := help
.PHONY: help harden test lab lab-destroy lint unit mutants sanity molecule faults bench bench-relay clean setup lab-packages

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

harden: setup ## harden the embedded fleet (lenient, then strict), or INVENTORY=... with PROFILE=...
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

test: ## run every test: lint, sanity, unit, molecule
	@tools/run-tests

lab: setup lab-packages ## bring up three Postfix nodes (DISTRO=bullseye|bookworm|trixie|forky)
	@echo "==> bringing up the lab ($(DISTRO))"
	@ansible-playbook -i $(LAB_INVENTORY) molecule/default/create.yml molecule/default/prepare.yml

lab-destroy: setup ## remove the lab's nodes and network; the images stay
	@ansible-playbook -i $(LAB_INVENTORY) molecule/default/destroy.yml

lint: setup ## ansible-lint, yamllint, ruff, changelog fragments
	ruff check .
	ruff format --check .
	yamllint --strict .
	ansible-lint --offline
	antsibull-changelog lint

unit: setup ## unit tests
	PYTHONPATH=$(CACHE)/collections python -m pytest tests/unit

mutants: setup ## change the code in small ways: do the unit tests notice? (MUTANTS_SECONDS=600, SEED=)
	@tools/install-packages bubblewrap
	@pip install --quiet --disable-pip-version-check -r requirements-mutants.txt
	@python tools/mutants

sanity: setup ## ansible-test sanity
	@tools/sanity

molecule: setup lab-packages ## Molecule on real nodes (SCENARIO="-s relay" for one)
	@rm -rf $(MOLECULE_EPHEMERAL_DIRECTORY) # what Molecule remembers of a lab that is gone
	molecule --base-config molecule/config.yml test --no-command-borders $(SCENARIO)

faults: ## kill and disturb changes at every file-changing system call (hours; make molecule tries a sample)
	@FAULT_STRIDE=1 EXAMPLES=500 $(MAKE) --no-print-directory molecule SCENARIO="-s faults"

bench: setup lab-packages ## what every variant costs per message, in every size (20 minutes); bench/results/
	@$(call on_bench_nodes,all)

bench-relay: setup lab-packages ## what strict costs per message beside plaintext (10 minutes); bench/results/relay.json
	@$(call on_bench_nodes,relay)

# With nodes of its own, which go again whatever happens. Their preparation speaks when it fails.
define on_bench_nodes
trap 'exit 1' INT TERM; \
trap 'ansible-playbook -i bench/inventory/hosts.yml molecule/default/destroy.yml >/dev/null' EXIT; \
echo "==> preparing the nodes of the benchmark ($(DISTRO)), about two minutes"; \
ansible-playbook -i bench/inventory/hosts.yml molecule/default/create.yml bench/prepare.yml >$(CACHE)/bench.log 2>&1 \
    || { tail -n 40 $(CACHE)/bench.log; exit 1; }; \
python bench/bench.py $(1)
endef

clean: ## remove the lab, the environment and all caches
	@[ ! -e $(VENV)/.complete ] || ! command -v podman >/dev/null || $(MAKE) --no-print-directory lab-destroy
	rm -rf $(VENV) $(CACHE) tests/output

setup: $(VENV)/.complete $(COLLECTION)

lab-packages:
	@tools/install-packages aardvark-dns crun iptables libnet-ssleay-perl mmdebstrap netavark openssh-client openssl podman swaks

$(VENV)/.complete: requirements-dev.txt
	@tools/find-python >/dev/null 2>&1 || tools/install-packages python3 python3-venv
	@echo "==> installing the tools into $(VENV), about a minute"
	@"$$(tools/find-python)" -m venv --clear $(VENV)
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

# Ansible finds a collection by its folder's name; the checkout may be called anything.
$(COLLECTION):
	@mkdir -p $(dir $@)
	@ln -sfn ../../../.. $@
