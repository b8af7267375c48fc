# Everything that a developer or CI runs. `make` alone lists it.

GOLANGCI_VERSION := v2.15.0
GOLANGCI         := .cache/bin/golangci-lint-$(GOLANGCI_VERSION)
VERSION          := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS          := -s -w -X wxgate/process.builtVersion=$(VERSION)
OLDER            ?= 4c76c51# release 0.1.0, from which the way up and back is tested
FUZZTIME         ?= 30s
SOAK             ?= 10m
OVERLOAD         ?= 30s
HOSTILE          ?= 1m

.DEFAULT_GOAL := help
.PHONY: help test acceptance test-go test-miniprogram test-dashboard dashboard long test-hostile plot house lint format build release packaging run demo bench bench-tools bench-peers bench-growth bench-logins bench-tls bench-guard bench-docs fuzz clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

test: ## every test: all parts, whether or not one fails
	@failed=; for part in test-go test-miniprogram test-dashboard; do $(MAKE) --no-print-directory $$part || failed="$$failed $$part"; done; \
	if [ -n "$$failed" ]; then echo "FAILED:$$failed" >&2; exit 1; fi

test-go: ## every Go test with the race detector, and vet; installs MariaDB and Prometheus where it may
	scripts/mariadb.sh
	scripts/prometheus.sh
	go test -race -vet=all -count=1 -p 3 -parallel 4 -timeout 40m ./...

test-miniprogram: ## types, units, and the pages in Chromium against the real gateway; installs what it needs
	miniprogram/scripts/prepare.sh
	cd miniprogram && npm test --silent

acceptance: ## the fourteen points of docs/acceptance.md, with a table of their results
	miniprogram/scripts/prepare.sh
	go run ./scripts/acceptance

DASHBOARD := gateway/admin/dashboard/page

test-dashboard: $(DASHBOARD)/node_modules/.installed ## types and units of the dashboard's page, and that its dist is what the sources build
	cd $(DASHBOARD) && npm test --silent

dashboard: $(DASHBOARD)/node_modules/.installed ## build gateway/admin/dashboard/dist, which is committed and embedded
	cd $(DASHBOARD) && npm run --silent build

$(DASHBOARD)/node_modules/.installed: $(DASHBOARD)/package-lock.json
	@command -v npm >/dev/null || { echo "dashboard: Node.js 20 is missing: https://nodejs.org" >&2; exit 1; }
	cd $(DASHBOARD) && npm ci --no-audit --no-fund && cp package-lock.json node_modules/.installed

# Each long_NAME is what `make long WHAT=NAME` runs: tests that take minutes, and whose figures the manual gives.
LONG          := go test -count=1 -v
long_backup   := WXGATE_BACKUP=1000000 $(LONG) -timeout 30m -run '^TestABackupOfAMillionUsers$$' ./e2e ## a backup of a million users under logins, and its restore: the table of docs/backup.md
long_browser  := WXGATE_BROWSER=1 $(LONG) -timeout 5m -run '^TestChromium' ./e2e ## pages in Chromium: over HTTP/2 and HTTP/3, and a login; needs chromium
long_capacity := WXGATE_CAPACITY=1 $(LONG) -timeout 30m -run '^TestCapacity$$' ./e2e ## the figures of docs/performance.md: per core, connection and user
long_chaos    := WXGATE_CHAOS=1 $(LONG) -timeout 15m -run '^TestChaos$$|^TestP2CAgainstRoundRobin$$' ./e2e ## 500 requests/s at targets that are killed, frozen, slowed and failing; p2c against round_robin
long_cluster  := scripts/mariadb.sh galera && WXGATE_CLUSTER=1 $(LONG) -timeout 15m -run '^TestAClusterLosesNothing$$' ./e2e ## three gateways on a Galera of three nodes while nodes and gateways are killed and frozen: the table of docs/storage.md
long_completion := scripts/shells.sh && WXGATE_SHELLS=1 $(LONG) -timeout 10m -run '^Test(Bash|Zsh|Fish)Completes' ./command ## completion in bash, zsh and fish; installs the shells
long_copy     := WXGATE_COPY=100000 $(LONG) -timeout 15m -run '^TestManyUsersAreCopiedIntoADatabase$$' ./e2e ## 100,000 users copied from a folder into MariaDB, twice: the figures of docs/storage.md; needs mariadb-server
long_crash    := WXGATE_CRASH_ROUNDS=100 $(LONG) -timeout 30m -run '^TestNothingAcknowledgedIsLostByKill9$$' ./e2e ## kill -9 while people log in, refresh, log out, are banned and erased, 100 rounds
long_dashboard := rm -rf bin/dashboard && WXGATE_DASHBOARD=1 $(LONG) -timeout 15m -parallel 2 -run '^TestDashboard' ./e2e ## the dashboard in Chromium against the real binary, with pictures of each view in bin/dashboard, and what it weighs and costs; needs chromium
long_deletions := WXGATE_DELETIONS=10000 $(LONG) -timeout 30m -run '^TestEachDeletionReachesTheService$$' ./e2e ## 10,000 accounts deleted while the service fails a third of the time and the gateway is killed ten times: the table of docs/user-rights.md
long_deploy   := cd scripts/deployments && go build -o ../../bin/deployments . && cd ../.. && bin/deployments deploy && WXGATE_DEPLOY=1 $(LONG) -timeout 10m -run '^TestTheKubernetesManifestServesAndDrains$$|^TestTheComposeFileServes$$' ./e2e ## deploy/ read as Compose and Kubernetes read it, and its gateways run, probed and stopped; needs mariadb-server
long_disk     := WXGATE_DISK=1 $(LONG) -timeout 15m -run '^TestAFullDisk|^TestAReallyFullDisk' ./e2e ./storage/badger ## a tmpfs filled to the brim under the gateway; needs to be root, to mount it
long_frameworks := miniprogram/scripts/prepare.sh && npm run --silent --prefix miniprogram frameworks ## the package under TypeScript 5.9; the Taro and uni-app examples, built by their compilers, in the phone of the tests and in Chromium; installs 1 GB from npm
long_galera   := scripts/mariadb.sh galera && scripts/galera.sh conformance ## storage/mysql on a Galera of three nodes: its conformance, each store on another node, migrations from all at once, an adopted table
long_streams  := cd scripts/h2spec && go build -o ../../bin/h2spec github.com/summerwind/h2spec/cmd/h2spec && cd ../.. && WXGATE_H2SPEC=$(CURDIR)/bin/h2spec $(LONG) -timeout 10m -run '^TestHTTP2ConformsToItsSpecification$$' ./e2e ## h2spec against the real binary
long_hostile  := HOSTILE=$(HOSTILE) $(LONG) -timeout 2h -run '^TestHonestUsersDoNotNoticeAHostileOne$$' ./e2e ## one attacker of each kind for HOSTILE (1m) beside 200 honest users: the table of docs/security.md
long_image    := go mod download && scripts/image.sh ## the Dockerfiles built by buildah and run by podman: user, size, read-only root, no capabilities, health; needs to be root on Debian
long_import   := WXGATE_IMPORT=1000000 $(LONG) -timeout 30m -run '^TestManyUsersAreImportedBesideOthers$$' ./e2e ## a million users imported on both drivers, with the memory of the gateway and p99 of requests meanwhile: the table of docs/migration.md; needs mariadb-server
long_kills    := WXGATE_KILLS=200 $(LONG) -timeout 30m -run '^TestWhateverIsKilledWhenAStartWorks$$' ./e2e ## 200 times kill -9 of a process at a random moment of a hand-over, then a start
long_large    := WXGATE_LARGE=1 $(LONG) -timeout 30m -run '^TestLargeBodiesTakeNoMemory$$|^TestEventsArriveAsTheyAreSaid$$' ./e2e ## 2 GiB up and down, with the memory of the gateway; how long events take
long_upgrade  := WXGATE_UPGRADE=$(OLDER) $(LONG) -timeout 30m -run '^TestUpgradingAndGoingBack$$' ./e2e ## the release before, built from the history, and this one on the same data, up, down and up: docs/upgrading.md; needs mariadb-server
long_users    := WXGATE_USER_KILLS=100 $(LONG) -timeout 15m -run '^TestKillsBetweenTheUserAndTheServiceLoseNobody$$' ./e2e ## 100 times kill -9 between first logins and the service that is told about them
long_migrations := WXGATE_MIGRATIONS=1 $(LONG) -timeout 20m -run '^TestAMigrationThatIsCutOffAnywhereGoesOn$$' ./storage/mysql ## the connection cut before, during and after each statement of the migrations of a database, then three processes at once
long_mysql    := WXGATE_MYSQL=1 $(LONG) -timeout 15m -run '^TestTheMigrationPageOnMariaDB$$' ./e2e ## docs/migration.md on a real MariaDB of 100,000 users in +08:00; needs mariadb-server
long_node     := WXGATE_NODE=1 $(LONG) -timeout 30m -run '^TestNoPostIsExecutedTwice|^TestPostsToANodeService' ./gateway ./e2e ## a POST every 7 s to a stock Node service, and 10,000 to one that closes at random: 12 minutes
long_packages := scripts/packages.sh tools && $(MAKE) --no-print-directory packaging && go run ./scripts/release -only linux/amd64 -version 0.0.1 -o bin/packages/1 && go run ./scripts/release -only linux/amd64 -version 0.0.2 -o bin/packages/2 && scripts/packages.sh bin/packages/1 bin/packages/2 ## docs/install.md with the .deb and the .rpm in copies of this machine: installed, started, upgraded, removed, purged; needs to be root on Debian, with rpm
long_overload := OVERLOAD=$(OVERLOAD) $(LONG) -timeout 15m -run '^TestOverload$$' ./e2e ## twice the load that a service can take for OVERLOAD (30s): the table of docs/limits.md
long_proxies  := WXGATE_PROXIES=1 $(LONG) -timeout 10m -run '^TestTheProxiesOfTheManual$$' ./e2e ## the nginx and Caddy configurations of docs/tls.md in front of the real binary; needs both programs
long_pushes   := WXGATE_PUSHES=10000 $(LONG) -timeout 15m -run '^TestEachPushReachesTheServiceOnce$$' ./e2e ## 10,000 messages of WeChat, each up to three times, while the gateway is killed: the figures of docs/push.md
long_release  := $(MAKE) --no-print-directory packaging && scripts/reproduce.sh ## what `make release` makes, twice from nothing, compared: 20 minutes
long_restart  := WXGATE_RESTART=60s $(LONG) -timeout 10m -run '^TestReloadsAndRestartsLoseNothing$$' ./e2e ## a minute of load with a reload each second and five restarts
long_memory   := SOAK=12m $(LONG) -timeout 1h -run '^TestSoak$$' ./e2e ## the traffic of soak for 12 minutes without the race detector: anonymous memory may grow by 20 MB in 10 minutes
long_scrape   := SCRAPE=20 $(LONG) -timeout 10m -run '^TestScrapesDoNotShowInTheLatency$$' ./e2e ## full load with and without a scrape a second: p99 may differ by 5 %
long_slow     := WXGATE_SLOW=1 $(LONG) -timeout 10m -run '^TestAMinuteOfSlowClients$$' ./gateway ## 300 slow clients of each kind for a minute, beside honest ones
long_soak     := SOAK=$(SOAK) $(LONG) -race -timeout 3h -run '^TestSoak$$' ./e2e ## mixed traffic of 500 users with the race detector, for SOAK (10m)
long_stops    := WXGATE_STOPS=100 $(LONG) -timeout 30m -run '^TestAStopUnderLoadResetsNoConnection$$' ./e2e ## 100 stops under the load of 40 clients, counting connections that are reset
long_storm    := WXGATE_STORM_LOGINS=10000 $(LONG) -timeout 15m -run '^TestEveryLoginGetsARightAnswer' ./e2e ## 10,000 logins while WeChat fails a fifth of the time

long: ## a test that takes minutes: make long WHAT=soak; without WHAT it lists them
ifeq ($(long_$(WHAT)),)
	@awk -F ' *:= *| *## *' '/^long_/ { sub("long_", ""); printf "  make long WHAT=%-10s %s\n", $$1, $$3 }' $(MAKEFILE_LIST); test -z "$(WHAT)"
else
	$(long_$(WHAT))
endif

test-hostile: # the name under which others know it
	@$(MAKE) --no-print-directory long WHAT=hostile

plot: ## draw docs/p2c.svg again: latencies under p2c and round_robin with one slow target, simulated
	WXGATE_PLOT=$(CURDIR)/docs/p2c.svg go test -count=1 -v -run '^TestASlowTargetDoesNotShowInTheTailOfP2C$$' ./upstream

house: ## measure the packages, and fail where one has outgrown its room
	go run ./scripts/house

lint: house $(GOLANGCI) ## check style, formatting and structure, and that a Mac can build the tests
	$(GOLANGCI) run ./...
	GOOS=darwin go vet ./...

format: $(GOLANGCI) ## rewrite the sources as gofumpt wants them
	$(GOLANGCI) fmt ./...

build: ## a static binary in bin/
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/wxgate .

release: packaging ## archives, packages, lists of modules and checksums in dist/, as docs/install.md says
	go run ./scripts/release

packaging: # builds what packs a release, with the versions of scripts/packages/go.sum
	cd scripts/packages && go build -o ../../bin/ github.com/goreleaser/nfpm/v2/cmd/nfpm github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod

run: ## serve gateway.yaml
	go run . serve

demo: ## a whole gateway that needs no setup: sandbox WeChat, recipe service, throwaway key
	go run . demo

bench: ## Go benchmarks, with allocations
	go test -run '^$$' -bench . -benchmem ./...

# What docs/performance.md shows, on an otherwise idle Linux machine. BENCHFLAGS are those of `bin/bench/bench peers -h`.
bench-tools:
	bench/prepare.sh

bench-peers: bench-tools ## wxgate beside HAProxy, nginx, Caddy and others, into docs/performance.md: 25 minutes
	bin/bench/bench peers -docs docs $(BENCHFLAGS)

bench-growth: bench-tools ## how costs grow with routes, users, connections, …, into docs/performance.md: 25 minutes; WHAT=routes
	bin/bench/bench growth -docs docs -what '$(WHAT)' $(BENCHFLAGS)

bench-logins: bench-tools ## logins by clients and by how slow WeChat is, into docs/performance.md: 5 minutes
	bin/bench/bench logins -docs docs $(BENCHFLAGS)

bench-tls: bench-tools ## wxgate, HAProxy and Caddy over TLS, into docs/performance.md: 5 minutes
	bin/bench/bench tls -docs docs -rounds 3 $(BENCHFLAGS)

bench-docs: bench-peers bench-growth bench-logins ## every generated part of docs/performance.md: an hour

bench-guard: bench-tools ## before a release: which costs moved since bench/baseline.json; BENCHFLAGS=-write writes it anew
	bin/bench/bench guard $(BENCHFLAGS)

fuzz: ## every fuzz target for FUZZTIME (30s)
	@grep -rE --include='*_test.go' '^func Fuzz[A-Z]' . | sed -E 's|^(.*)/[^/]*:func (Fuzz[A-Za-z0-9_]*).*|\1 \2|' | \
	while read -r package target; do \
		echo "$$package $$target"; \
		go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "$$package" || exit 1; \
	done

clean: ## remove what was built; data/ stays
	rm -rf bin dist wxgate miniprogram/tests/output
	find . -maxdepth 3 -type f \( -name '*.test' -o -name '*.prof' \) -not -path './.*' -delete

# The version is in the file name, so that a change of version installs it anew. It is not a tool of go.mod: its
# hundreds of dependencies would become ours.
$(GOLANGCI):
	GOBIN=$(CURDIR)/.cache/bin go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	mv .cache/bin/golangci-lint $@
