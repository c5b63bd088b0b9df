# Midwatch. "make help" lists what there is to make.

SHELL := /bin/bash
.DEFAULT_GOAL := help

# Test and demo servers are built from pinned modules under tools/ and kept.
BIN    := .cache/bin
SERVERS := $(BIN)/prometheus $(BIN)/promtool $(BIN)/amtool $(BIN)/loki
LINT   := $(BIN)/golangci-lint

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
COMMIT  := $(shell git rev-parse HEAD 2>/dev/null)
INFO    := github.com/midwatch-slo/midwatch/internal/version
METRIC  := github.com/prometheus/common/version
LDFLAGS := -s -w -X $(INFO).Version=$(VERSION) -X $(INFO).Commit=$(COMMIT) -X $(METRIC).Version=$(VERSION) -X $(METRIC).Revision=$(COMMIT)

TESTFLAGS ?= -timeout 15m

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build bin/midwatch
	@mkdir -p bin
	go build -ldflags '$(LDFLAGS)' -o bin/midwatch ./cmd/midwatch

.PHONY: demo
demo: tools build ## three clusters, an outage, and the page it causes
	go run ./cmd/demo $(DEMOFLAGS)

.PHONY: test
test: tools build ## all tests, with the race detector
	go test -race $(TESTFLAGS) $$(go list ./... | grep -v /rules$$)
	go test $(TESTFLAGS) ./rules # replays of months: six times as long with the race detector
	go test -race $(TESTFLAGS) ./rules -run 'Golden|Names|Plain|Memo'
	go test $(TESTFLAGS) ./incident -run Crashes # with the race detector there are few kills
	go test $(TESTFLAGS) ./federation -run TestRandomQueries -federation.queries 20000 # nor many queries

.PHONY: test-short
test-short: ## tests of the packages that need no server
	go test $(TESTFLAGS) ./slo/... ./alert/... ./page/... ./incident/... ./store/... ./oncall/... ./notifiers/... ./silence ./ingest ./report ./correlate ./internal/...

.PHONY: e2e
e2e: tools build ## the demo from end to end, checked
	CI=true go run ./cmd/demo $(DEMOFLAGS)

.PHONY: lint
lint: tools $(LINT) ## static checks
	go vet -stdmethods=false ./... # the linter looks for those, with its exceptions
	$(LINT) run ./...
	@tools/check-golden

.PHONY: fmt
fmt: $(LINT) ## format the code
	$(LINT) fmt ./...

.PHONY: golden
golden: tools ## write the golden files anew
	go test ./slo ./rules ./federation/plan ./page ./oncall ./report ./notifiers/email ./notifiers/slack ./cmd/midwatch -run Golden -update

.PHONY: bench
bench: tools build ## what alerts, pages, rules and queries over clusters cost; MIDWATCH_SHARED is the folder of the measuring tool
	go test -run '^$$' -bench . -benchmem ./incident
	go test -run '^$$' -bench PageLatency -benchtime 500x ./app
	@tools/bench-rulecost
	@tools/bench-timetofire
	@tools/bench-compile
	@tools/bench-corpus
	@tools/bench-alertload
	@tools/bench-federation -check
	@go run ./internal/bench10k -limit 3

.PHONY: chaos
chaos: tools build ## 500 kills at random moments on each store, and what they lose (some minutes)
	@go test -c -o .cache/incident.test ./incident
	@cd incident && for seed in 1 2 3 4 5 6 7 8 9 10; do \
		echo "seed $$seed: 50 kills of one process on SQLite, 50 of three on PostgreSQL"; \
		MIDWATCH_CHAOS_SEED=$$seed MIDWATCH_CHAOS_KILLS=50 ../.cache/incident.test -test.run Crashes >../.cache/chaos.log 2>&1 || { grep -v level= ../.cache/chaos.log; exit 1; }; \
	done

.PHONY: check
check: lint test e2e ## what CI runs

.PHONY: tools
tools: $(SERVERS) ## build or install the servers that tests and the demo need
	@tools/postgres
	@tools/victoriametrics
	@tools/prometheus2

$(BIN)/prometheus $(BIN)/promtool &: tools/prometheus/go.mod tools/prometheus/go.sum
	@tools/build prometheus github.com/prometheus/prometheus/cmd/prometheus github.com/prometheus/prometheus/cmd/promtool

$(BIN)/amtool: tools/amtool/go.mod tools/amtool/go.sum
	@tools/build amtool github.com/prometheus/alertmanager/cmd/amtool

$(BIN)/loki: tools/loki/go.mod tools/loki/go.sum
	@tools/build loki github.com/grafana/loki/v3/cmd/loki

$(LINT): tools/lint/go.mod tools/lint/go.sum
	@tools/build lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint

.PHONY: clean
clean: ## remove what was built
	rm -rf bin .cache
