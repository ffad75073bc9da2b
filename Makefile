# Every target works in a fresh clone with Go, Node and make installed.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := check

# Runs, not seconds: go test calls the end of a time its own failure now and then (go.dev/issue/75804).
FUZZ_RUNS ?= 20000

STATICCHECK := go tool -modfile=tools/go.mod staticcheck

.PHONY: check fmt vet fix staticcheck test fuzz node clients python build release reproducible up demo clean \
	api api-update tools-check \
	bench-check deployments-check bench bench-compare bench-baseline \
	prove-crash prove-cluster prove-malformed prove-limits prove-fairness prove-throttle prove-idle prove-handover prove-classes prove-redrive prove-poison prove-replay prove-rolling prove-schedule prove-takeback soak

check: fmt vet fix staticcheck test bench-check deployments-check tools-check api fuzz node clients ## everything that must hold before a merge

fmt:
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); \
	if [[ -n $$unformatted ]]; then echo "run gofmt -w on:"; echo "$$unformatted"; exit 1; fi

vet:
	go vet ./...

fix: # fails when go fix would write something in today's Go
	go fix -diff ./...

staticcheck:
	$(STATICCHECK) ./...

test:
	go test -race ./...

bench-check: # bench, which is a module of its own
	cd bench && go vet ./... && go fix -diff ./... && go tool -modfile=../tools/go.mod staticcheck ./... && go test ./...

deployments-check: # alerts, dashboard, manifests, compose file and image: a module of its own; the first time it compiles what they are read with
	cd deployments/verify && go vet ./... && go fix -diff ./... && go test ./...

fuzz: # each target FUZZ_RUNS times
	@for file in $$(git ls-files '*_test.go' | xargs grep -lE '^func Fuzz'); do \
		for target in $$(grep -oE '^func Fuzz[A-Za-z0-9_]*' $$file | cut -d' ' -f2); do \
			echo "fuzz $$(dirname $$file) $$target"; \
			go test -run='^$$' -fuzz="^$$target\$$" -fuzztime=$(FUZZ_RUNS)x ./$$(dirname $$file); \
		done; \
	done

node: # the examples are JavaScript that parses
	@for file in examples/node/*.mjs; do node --check $$file; done

clients: bin/tram-race # the TypeScript client, the schemas and docs/asyncapi.json, against vectors and a relay that runs
	cd clients/typescript && npm ci --ignore-scripts --no-audit --no-fund && npx tsc && TRAM=../../bin/tram-race node --test test/*.test.mjs

python: bin/tram-race # the Python example, against the same
	cd examples/python && TRAM=../../bin/tram-race python3 -B -m unittest -q

.PHONY: bin/tram-race
bin/tram-race: # with what the tests have built already
	go build -race -o $@ ./cmd/tram

api: # what pkg/ offers is compatible with what it offered at api/baseline, but for what api/accepted lists
	api/check

api-update: # take what is incompatible as meant
	api/check -update

tools-check: # tools, which is a module of its own
	cd tools && go vet ./... && go fix -diff ./... && go tool staticcheck ./... && go test ./...

build: # bin/tram, bin/dispatcher, bin/collector; the version is that of the commit
	CGO_ENABLED=0 go build -trimpath -buildvcs=auto -o bin/ ./cmd/...

release: # dist/: archives for each platform, their bills of materials and checksums, of the commit
	go run -C tools ./release -root .. -out ../dist

reproducible: # the commit gives the same bytes in another directory, with nothing cached
	@work=$$(mktemp -d); trap 'rm -rf "$$work"' EXIT; \
	for clone in one another/place; do \
		git clone -q . "$$work/$$clone"; \
		go run -C "$$work/$$clone/tools" ./release -root .. -out ../dist -platforms linux/amd64; \
		export GOCACHE=$$work/cache; \
	done; \
	diff "$$work/one/dist/checksums.txt" "$$work/another/place/dist/checksums.txt" && cat "$$work/one/dist/checksums.txt"

# What docs/reliability.md shows, at length: minutes each, on a machine that is free for it.
prove-crash: # a thousand kills over all fail-points, and other deaths; about a quarter of an hour
	go run ./internal/prove crash

prove-cluster: # three servers whose leaders die, are cut off and restarted
	go run ./internal/prove cluster

prove-malformed: # a million hostile bodies
	go run ./internal/prove malformed

prove-limits: # 1, 3 and 10 dispatchers that come and go, judged at the provider's side
	go run ./internal/prove limits

prove-fairness: # one account with a backlog of a million beside 2,000 others
	go run ./internal/prove fairness

prove-throttle: # refusals and outages of providers, with dispatchers that come and go
	go run ./internal/prove throttle

prove-idle: # 5,000 accounts that have nothing to do
	go run ./internal/prove idle

prove-handover: # 100 dispatchers that join and 100 that stop, under load
	go run ./internal/prove handover

prove-classes: # urgent sends beside a bulk campaign of 200,000
	go run ./internal/prove classes

prove-redrive: # 100,000 dead letters published anew, by a process that is killed, while others flow
	go run ./internal/prove redrive

prove-poison: # one bad request in a hundred
	go run ./internal/prove poison

prove-replay: # the events of a million results made again, byte for byte
	go run ./internal/prove replay

prove-rolling: # from the programs of the commit before to these and back, one process after the other; FROM=v1.2.3 for others
	go run ./internal/prove rolling -from '$(FROM)'

REPETITIONS ?= 5

bench: # tram beside others, into docs/performance.md; half an hour on a machine that is free for it, and needs redis-server
	cd bench && go run . -experiments all -reps $(REPETITIONS) -out ../docs/performance.md

BENCHMARKS := go test -run='^$$' -bench='^Benchmark(Encode|Decode|Validate|CheckShape|Take|Lane$$|Events|Provider|User|Page)' \
	-benchtime=100ms -count=6 ./pkg/... ./internal/ledger ./internal/dispatcher ./internal/collector

bench-compare: # the Go benchmarks of codec, limiter, lane and parsers, beside those of bench/baseline.txt; two minutes
	@new=$$(mktemp); trap 'rm -f "$$new"' EXIT; \
	$(BENCHMARKS) >"$$new" || { cat "$$new"; exit 1; }; \
	cd bench && go tool benchstat baseline=baseline.txt now="$$new"

bench-baseline: # bench/baseline.txt anew: commit it with what has changed the numbers
	$(BENCHMARKS) | grep -E '^(goos|goarch|pkg|cpu|Benchmark)' >bench/baseline.txt

prove-schedule: # 100,000 sends that are due later, through a restart of the broker
	go run ./internal/prove schedule

prove-takeback: # 200,000 sends of a paused account, cancelled at once
	go run ./internal/prove takeback

LENGTH ?= 10m

soak: # whether anything grows while accounts and dispatchers come and go, for LENGTH
	go run ./internal/prove soak -length $(LENGTH)

up: # the relay on this machine, with everything it needs
	go run ./cmd/tram up

demo: # the same, with a send and a report that show what it does
	go run ./cmd/tram up --demo

clean:
	rm -rf bin
