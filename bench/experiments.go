package main

import "time"

// A scenario is what a contender has to do in one run.
type scenario struct {
	n        int           // sends
	inflight int           // calls under way at once
	accounts int           // over which the sends are spread
	latency  time.Duration // of the provider
	each     int           // dispatchers, and as many collectors. Defaults to 1
	rate     int           // sends per second; 0 is a backlog that is there before the start
}

// warmUp is how many sends go ahead of those that count.
func (s scenario) warmUp() int { return s.rate }

// An experiment is runs that are compared with each other, in turn.
type experiment struct {
	name  string // for the flag, and of the plot
	title string
	rows  []row // the others are measured by the first one
	goals []goal
}

// A row is what is run again and again, and stands in a row of the table.
type row struct {
	label     string
	contender string
	scenario
}

// A goal is what a number must be, at least or at most.
type goal struct {
	text    string
	of      string // label
	against string // the label of what it is divided by, in the same repetition; "" for the number itself
	value   func(*measured) float64
	atMost  bool
	bound   float64
}

// How sends are spread and how much there is unless an experiment is about that.
var usual = scenario{n: 200_000, inflight: 256, accounts: 1}

func with(change func(*scenario)) scenario {
	s := usual
	change(&s)
	return s
}

// experiments are what `make bench` runs. Slow contenders have less to do, so
// that a run takes seconds.
var experiments = []experiment{
	{
		name: "throughput", title: "A backlog, a provider that answers at once, 256 calls in flight",
		rows: []row{
			{"bare-std", "bare-std", usual},
			{"bare", "bare", usual},
			{"watermill", "watermill", with(func(s *scenario) { s.n, s.inflight = 80_000, 64 })},
			{"watermill-mw", "watermill-mw", with(func(s *scenario) { s.n, s.inflight = 80_000, 64 })},
			{"asynq", "asynq", with(func(s *scenario) { s.n = 30_000 })},
			{"tram", "tram", usual},
		},
		goals: []goal{
			{"events/s of tram ÷ bare-std", "tram", "bare-std", (*measured).rate, false, 0.75},
			{"events/s of tram ÷ watermill", "tram", "watermill", (*measured).rate, false, 1.3},
			{"events/s of tram ÷ asynq", "tram", "asynq", (*measured).rate, false, 3},
		},
	},
	{
		name: "inflight-64", title: "The same with 64 calls in flight",
		rows: []row{
			{"bare-std", "bare-std", with(func(s *scenario) { s.inflight = 64 })},
			{"tram", "tram", with(func(s *scenario) { s.inflight = 64 })},
		},
	},
	{
		name: "inflight-1024", title: "The same with 1,024 calls in flight",
		rows: []row{
			{"bare-std", "bare-std", with(func(s *scenario) { s.inflight = 1024 })},
			{"tram", "tram", with(func(s *scenario) { s.inflight = 1024 })},
		},
	},
	{
		name: "slow-64", title: "A provider that takes 50 ms, 64 calls in flight: 1,280 events/s at best",
		rows: []row{
			{"bare-std", "bare-std", slow(8_000, 64)},
			{"tram", "tram", slow(8_000, 64)},
		},
	},
	{
		name: "slow-256", title: "A provider that takes 50 ms, 256 calls in flight: 5,120 events/s at best",
		rows: []row{
			{"bare-std", "bare-std", slow(30_000, 256)},
			{"bare", "bare", slow(30_000, 256)},
			{"watermill", "watermill", slow(30_000, 256)},
			{"asynq", "asynq", slow(25_000, 256)},
			{"tram", "tram", slow(30_000, 256)},
		},
	},
	{
		name: "slow-1024", title: "A provider that takes 50 ms, 1,024 calls in flight: 20,480 events/s at best",
		rows: []row{
			{"bare-std", "bare-std", slow(100_000, 1024)},
			{"bare", "bare", slow(100_000, 1024)},
			{"watermill", "watermill", slow(60_000, 1024)},
			{"tram", "tram", slow(100_000, 1024)},
		},
		goals: []goal{
			{"events/s of tram ÷ bare, 50 ms, 1,024 in flight", "tram", "bare", (*measured).rate, false, 0.85},
		},
	},
	{
		name: "latency", title: "500 sends a second, one by one",
		rows: []row{
			{"bare", "bare", paced}, {"bare-std", "bare-std", paced}, {"watermill", "watermill", paced}, {"tram", "tram", paced},
		},
		goals: []goal{
			{"publish → call, p50, ms", "tram", "", toCall(50), true, 0.6},
			{"publish → call, p99, ms", "tram", "", toCall(99), true, 1.5},
			{"publish → delivery, p50, ms", "tram", "", toDelivery(50), true, 1},
			{"publish → delivery, p99, ms", "tram", "", toDelivery(99), true, 3},
			// The same on a machine that is slower or faster than the one on which bare
			// took 0.22 and 0.53, 0.48 and 0.99 ms.
			{"publish → call, p50, tram ÷ bare", "tram", "bare", toCall(50), true, 2.73},
			{"publish → call, p99, tram ÷ bare", "tram", "bare", toCall(99), true, 2.83},
			{"publish → delivery, p50, tram ÷ bare", "tram", "bare", toDelivery(50), true, 2.08},
			{"publish → delivery, p99, tram ÷ bare", "tram", "bare", toDelivery(99), true, 3.03},
		},
	},
	{
		name: "accounts", title: "tram with 1, 100 and 5,000 accounts",
		rows: []row{
			{"1 account", "tram", usual},
			{"100 accounts", "tram", with(func(s *scenario) { s.accounts = 100 })},
			{"5,000 accounts", "tram", with(func(s *scenario) { s.accounts = 5000 })},
		},
		goals: []goal{{"CPU per event, 5,000 accounts ÷ 1", "5,000 accounts", "1 account", total, true, 1.3}},
	},
	{
		name: "backlog", title: "tram with a backlog of 20,000 and of 1,000,000, over 100 accounts",
		rows: []row{
			{"20,000", "tram", with(func(s *scenario) { s.n, s.accounts = 20_000, 100 })},
			{"1,000,000", "tram", with(func(s *scenario) { s.n, s.accounts = 1_000_000, 100 })},
		},
		goals: []goal{{"CPU per event, 1,000,000 ÷ 20,000", "1,000,000", "20,000", total, true, 1.2}},
	},
	{
		name: "crew", title: "tram with one dispatcher and collector, and with two of each, 100 accounts",
		rows: []row{
			{"1 and 1", "tram", with(func(s *scenario) { s.accounts = 100 })},
			{"2 and 2", "tram", with(func(s *scenario) { s.accounts, s.each = 100, 2 })},
		},
		goals: []goal{{"events/s, two of each ÷ one", "2 and 2", "1 and 1", (*measured).rate, false, 1}},
	},
}

func slow(n, inflight int) scenario {
	return scenario{n: n, inflight: inflight, accounts: 1, latency: 50 * time.Millisecond}
}

// paced lasts ten seconds.
var paced = scenario{n: 5000, inflight: 256, accounts: 1, rate: 500}

func total(m *measured) float64 { return m.cost() }

func toCall(p int) func(*measured) float64 {
	return func(m *measured) float64 { return percentile(m.toCall, p) }
}

func toDelivery(p int) func(*measured) float64 {
	return func(m *measured) float64 { return percentile(m.toDelivery, p) }
}
