# Two commands do everything on a fresh Debian 12 machine: `make demo` and `make test`.
# `make help` lists the rest.

CARGO  ?= cargo
BUILD  := build
TARGET  = $(or $(CARGO_TARGET_DIR),target)
MUSL   := x86_64-unknown-linux-musl
AGENT   = $(TARGET)/$(MUSL)/agent/gantry-agent

.PHONY: help demo test check test-unit test-e2e bench bench-boot agent test-nightly oracle bench-render docs fmt deny clean

help: ## Show this list
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

demo: ## Power on a machine and watch it become a running operating system (ONCE=1 stops everything at the end; FIRMWARE=uefi-pxe)
	@scripts/setup.sh demo
	@scripts/demo.sh

test: ## Format, lints, the rules of the house, and every test, those with machines too
	@scripts/setup.sh test
	@$(MAKE) --no-print-directory check test-unit test-e2e

check: ## Format, lints and the rules of the house
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(CARGO) test --locked -p gantry-house

test-unit: ## Tests of the crates, without machines
	$(CARGO) test --workspace --locked --exclude gantry-testkit --exclude gantry-house

test-e2e: ## Real machines with real firmware in QEMU
	@scripts/e2e.sh

bench-boot: ## Seconds from power-on to the running system, by firmware (ROUNDS=3)
	@scripts/setup.sh demo
	@scripts/artifacts.sh
	$(BUILD)/gantry-demo --artifacts $(BUILD) --measure $(or $(ROUNDS),3)

bench: ## Rates, times and memory of the server by size of the fleet (SIZES=0,1000 DATA=/folder/on/a/disk ROUNDS=3 TIME=2 ONLY=writes)
	@scripts/setup.sh build
	@SIZES=$(SIZES) DATA=$(DATA) ROUNDS=$(ROUNDS) TIME=$(TIME) ONLY=$(ONLY) scripts/bench.sh

test-nightly: ## Fuzzing (FUZZ_SECONDS=60 each), a hundred crash rounds of the store, images built anew; needs a nightly toolchain
	@scripts/setup.sh nightly
	@scripts/nightly.sh

oracle: ## Compare the template engine with Go's: CHECKOUTS='…' of content packs, COUNT=1000000 random templates
	@tools/oracle/run.sh $(CHECKOUTS)

bench-render: ## Rendering beside Go's engine, in turns: CHECKOUTS='…' of content packs
	@bench/render/run.sh $(CHECKOUTS)

agent: ## The static agent that travels to machines
	$(CARGO) build --locked --profile agent --target $(MUSL) -p gantry-agent-app

docs: ## Write the generated pages of docs/reference
	$(CARGO) run --locked -p gantry-app -- docs docs/reference

fmt: ## Format the sources
	$(CARGO) fmt --all

deny: ## Licences, bans and sources of the dependencies (needs cargo-deny)
	cargo deny check licenses bans sources

clean: ## Remove everything that was built
	rm -rf $(TARGET) $(BUILD)
