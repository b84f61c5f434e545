# What a person types. Everything runs on loopback; nothing needs a container engine.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Every feature, in every command that builds for tests: another set would build everything once more.
CARGO_FEATURES := --all-features

# $(call need,PROGRAM,WHAT TO INSTALL)
need = command -v $(1) >/dev/null || { echo "$(1) is missing: install $(2)" >&2; exit 1; }

.PHONY: help demo test model mutants chaos crash verdicts fleets check gitops bench tools build rust

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: rust tools ## Show the whole life of a tenant on this machine: API server, controller, platform (KEEP=1 leaves it running)
	@KEEP=$(KEEP) hack/demo

# What is missing shows at once this way, not after minutes.
test: rust tools ## Prove everything: checks, unit and documentation tests, integration tests, the demo
	@$(call need,jq,the package jq)
	@CARGO_FEATURES="$(CARGO_FEATURES)" hack/test

crash: rust tools ## Kill the controller at every point of every side effect, and at every two of them
	CRASH="$${CRASH:-all}" cargo test --locked $(CARGO_FEATURES) --test integration crashes:: -- --nocapture

verdicts: rust tools ## Compare the command line's own validation with the API server's (N=20000 objects; ADMISSION_SEED= repeats them)
	PROPTEST_CASES=$(or $(N),20000) ADMISSION_SEED=$${ADMISSION_SEED:-$$RANDOM} cargo test --locked $(CARGO_FEATURES) \
	  --test integration admission::local -- --nocapture

fleets: rust tools ## Plan fleets made at random, and compare with what the controller then does (N=1000 fleets; FLEET_SEED= repeats them)
	FLEETS=$(or $(N),1000) FLEET_SEED=$${FLEET_SEED:-$$RANDOM} cargo test --locked $(CARGO_FEATURES) \
	  --test integration cli::fleets -- --nocapture

check: rust ## Formatting, lints with warnings as errors, generated files up to date, dependencies
	@hack/fmt --check
	cargo clippy --locked --all-targets $(CARGO_FEATURES) -- -D warnings
	cargo clippy --locked --all-targets -- -D warnings
	cargo test --locked $(CARGO_FEATURES) --lib crds
	@hack/chart-docs
	@hack/chart-version
	@hack/yaml
	@hack/workflows
	@cd tests/monitoring && go test -count=1 ./... # files outside the module do not count for its cache
	@hack/deny

gitops: ## Run the code of Flux and Argo CD over the examples, and over objects in every state
	@$(call need,go,Go (https://go.dev/dl/))
	@cd tests/gitops && go test -count=1 ./... # files outside the module do not count for its cache

chaos: rust tools ## Let everything go wrong at once (MINUTES=5, SEED= repeats a plan), and judge what came of it
	@$(if $(SEED),SEED=$(SEED)) MINUTES=$(or $(MINUTES),5) cargo test --locked $(CARGO_FEATURES) --test integration \
	  chaos::for_long -- --ignored --nocapture

model: rust ## Explore the protocol of the switch with more faults than `make test` does (MORE=1; each one more takes ten times as long)
	TENANT_PRICING_MODEL_MORE=$${MORE:-1} cargo test --locked $(CARGO_FEATURES) --lib model -- --nocapture

# In a variable, because a comma would end an argument of `or`.
MUTATED := src/{pricing,index,platform,controller}{.rs,/**}

mutants: rust ## Break the code in every small way and list what no unit test notices (FILES='src/pricing/decide/*.rs'; all take a day)
	@$(call need,cargo-mutants,it with: cargo install cargo-mutants --version 27.1.0)
	cargo mutants --all-features -o target -f '$(or $(FILES),$(MUTATED))' -- --lib

bench: rust tools ## Measure what a fleet and the command line cost (N=1000 tenants; N=10000 for the record)
	@hack/bench

tools: ## Build etcd, kube-apiserver, kubectl, helm, Helm 3, helm-docs, actionlint, krew and promtool, once (or KUBEBUILDER_ASSETS)
	@folder=$$(tests/controlplane/build); echo "control plane: $$folder"
	@folder=$$(tests/tools/build); echo "tools: $$folder"
	@folder=$$(tests/krew/build); echo "krew: $$folder"
	@folder=$$(tests/monitoring/build); echo "promtool: $$folder"

build: rust ## Build the controller as it is released
	cargo build --locked --release
	@ls -lh target/release/tenant-pricing-controller

rust:
	@$(call need,cargo,Rust (https://rustup.rs))
	@$(call need,cc,a C compiler and linker: for example the package gcc or clang)
	@cargo fmt --version >/dev/null 2>&1 || { echo "rustfmt is missing: rustup component add rustfmt" >&2; exit 1; }
	@cargo clippy --version >/dev/null 2>&1 || { echo "clippy is missing: rustup component add clippy" >&2; exit 1; }
