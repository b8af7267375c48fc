# Everything that a developer or CI runs. `make` alone lists it.

GOLANGCI_VERSION := v2.15.0
GOLANGCI         := .cache/bin/golangci-lint-$(GOLANGCI_VERSION)
VERSION          := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS          := -s -w -X wxgate/process.builtVersion=$(VERSION)
FUZZTIME         ?= 30s
SOAK             ?= 10m
OVERLOAD         ?= 30s
HOSTILE          ?= 1m

.DEFAULT_GOAL := help
.PHONY: help test test-go test-miniprogram test-crash test-storm test-slow test-node test-overload test-hostile test-chaos test-soak test-large test-restart test-kills test-stops test-proxies test-capacity plot house lint format build run demo bench fuzz clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

test: ## every test: both halves, whatever becomes of the first
	@failed=; for half in test-go test-miniprogram; do $(MAKE) --no-print-directory $$half || failed="$$failed $$half"; done; \
	if [ -n "$$failed" ]; then echo "FAILED:$$failed" >&2; exit 1; fi

test-go: ## vet, and run every Go test with the race detector
	go vet ./...
	go test -race -count=1 -timeout 40m ./...

test-miniprogram: ## types, units, and the pages in Chromium against the real gateway; installs what it needs
	miniprogram/scripts/prepare.sh
	cd miniprogram && npm test --silent

test-crash: ## kill -9 under login load, 50 rounds
	WXGATE_CRASH_ROUNDS=50 go test -count=1 -v -timeout 15m -run 'TestNoAcknowledgedLoginIsLostByKill9' ./e2e

test-storm: ## 10,000 logins while WeChat fails a fifth of the time
	WXGATE_STORM_LOGINS=10000 go test -count=1 -v -timeout 15m -run 'TestEveryLoginGetsARightAnswer' ./e2e

test-slow: ## 300 slow clients of each kind for a minute, beside honest ones
	WXGATE_SLOW=1 go test -count=1 -v -timeout 10m -run 'TestSlowClientsAreCutAndOthersDoNotNotice' ./gateway

test-node: ## a POST every 7 s to a stock Node service, and 10,000 to one that closes at random: 12 minutes
	WXGATE_NODE=1 go test -count=1 -v -timeout 30m -run 'TestNoPostIsExecutedTwice|TestPostsToANodeService' ./gateway ./e2e

test-overload: ## twice the load that a service can take, for OVERLOAD (30s), and the table of docs/limits.md
	OVERLOAD=$(OVERLOAD) go test -count=1 -v -timeout 15m -run '^TestOverload$$' ./e2e

test-hostile: ## one attacker of each kind for HOSTILE (1m) beside 200 honest users, and the table of docs/security.md
	HOSTILE=$(HOSTILE) go test -count=1 -v -timeout 2h -run '^TestHonestUsersDoNotNoticeAHostileOne$$' ./e2e

test-chaos: ## 500 requests/s for a minute at targets that are killed, frozen, slowed and failing; p2c against round_robin
	WXGATE_CHAOS=1 go test -count=1 -v -timeout 15m -run '^TestChaos$$|^TestP2CAgainstRoundRobin$$' ./e2e

plot: ## draw docs/p2c.svg anew: latencies under p2c and round_robin with one slow target, simulated
	WXGATE_PLOT=$(CURDIR)/docs/p2c.svg go test -count=1 -v -run '^TestASlowTargetDoesNotShowInTheTailOfP2C$$' ./upstream

test-soak: ## mixed traffic of 500 users with the race detector, for SOAK (10m)
	SOAK=$(SOAK) go test -race -count=1 -v -timeout 3h -run '^TestSoak$$' ./e2e

test-restart: ## a minute of load with a reload each second and five restarts
	WXGATE_RESTART=60s go test -count=1 -v -timeout 10m -run '^TestReloadsAndRestartsLoseNothing$$' ./e2e

test-kills: ## 200 times kill -9 of one of the processes at a random moment of a hand-over, and a start
	WXGATE_KILLS=200 go test -count=1 -v -timeout 30m -run '^TestWhateverIsKilledWhenAStartWorks$$' ./e2e

test-stops: ## 100 stops under the load of 40 clients, counting connections that are reset
	WXGATE_STOPS=100 go test -count=1 -v -timeout 30m -run '^TestAStopUnderLoadResetsNoConnection$$' ./e2e

test-proxies: ## the nginx and Caddy configurations of docs/tls.md in front of the real binary; needs both programs
	WXGATE_PROXIES=1 go test -count=1 -v -timeout 10m -run '^TestTheProxiesOfTheManual$$' ./e2e

test-capacity: ## the figures of docs/performance.md: per core, connection, user
	WXGATE_CAPACITY=1 go test -count=1 -v -timeout 30m -run '^TestCapacity$$' ./e2e

test-large: ## 2 GiB up and down, with the memory of the gateway; how long events take
	WXGATE_LARGE=1 go test -count=1 -v -timeout 30m -run 'TestLargeBodiesTakeNoMemory|TestEventsArriveAsTheyAreSaid' ./e2e

house: ## measure the packages, and fail where one is no room to live in any more
	go run ./scripts/house

lint: house $(GOLANGCI) ## check style, formatting and structure
	$(GOLANGCI) run ./...

format: $(GOLANGCI) ## rewrite the sources as gofumpt wants them
	$(GOLANGCI) fmt ./...

build: ## a static binary in bin/
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/wxgate .

run: ## serve gateway.yaml
	go run . serve

demo: ## a whole gateway that needs nothing: sandbox WeChat, recipe service, throwaway key
	go run . demo

bench: ## Go benchmarks, with allocations
	go test -run '^$$' -bench . -benchmem ./...

fuzz: ## every fuzz target for FUZZTIME (30s)
	@grep -rE --include='*_test.go' '^func Fuzz[A-Z]' . | sed -E 's|^(.*)/[^/]*:func (Fuzz[A-Za-z0-9_]*).*|\1 \2|' | \
	while read -r package target; do \
		echo "$$package $$target"; \
		go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "$$package" || exit 1; \
	done

clean: ## remove what was built; data/ stays
	rm -rf bin wxgate miniprogram/tests/output
	find . -maxdepth 3 -type f \( -name '*.test' -o -name '*.prof' \) -not -path './.*' -delete

# The version is in the file name, so that a change of version installs it anew. It is not a tool of go.mod: its
# hundreds of dependencies would become ours.
$(GOLANGCI):
	GOBIN=$(CURDIR)/.cache/bin go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	mv .cache/bin/golangci-lint $@
