package config

import (
	"cmp"
	"time"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

const day = 24 * time.Hour

// fill gives every zero field of c its default.
func (c *Config) fill() {
	or(&c.NATS.URL, "nats://127.0.0.1:4222")
	or(&c.NATS.InboxPrefix, "_INBOX")

	or(&c.Broker.Dir, "tram-data")
	or(&c.Broker.Listen, "127.0.0.1:4222")
	or(&c.Broker.Durability, "interval")

	or(&c.Streams.Partitions, 64)
	or(&c.Streams.Replicas, 1)
	or(&c.Streams.Duplicates, 10*time.Minute)
	or(&c.Streams.Requests.MaxAge, 3*day)
	or(&c.Streams.Ledger.MaxAge, c.Streams.Requests.MaxAge+6*time.Hour)
	or(&c.Streams.Events.MaxAge, 3*day)
	or(&c.Streams.Dead.MaxAge, 30*day)

	or(&c.Dispatcher.Lease, 3*time.Second)
	or(&c.Dispatcher.CallTimeout, 10*time.Second)
	or(&c.Dispatcher.Grace, 15*time.Second)
	or(&c.Dispatcher.MaxInFlight, 1024)
	or(&c.Dispatcher.Retry.MaxAttempts, 5)
	or(&c.Dispatcher.Retry.Base, time.Second)
	or(&c.Dispatcher.Retry.Max, 5*time.Minute)

	or(&c.Collector.Workers, 4)

	or(&c.HTTP.MaxBody, 768<<10)
	or(&c.HTTP.DialTimeout, 5*time.Second)

	or(&c.Log.Format, "text")
	or(&c.Log.Calls, "failed")
}

// fill gives every zero field of a its default, where t knows one.
func (a *Account) fill(t channels.Traits) {
	or(&a.BaseURL, t.BaseURL)
	if len(a.Limits.Rate().Windows) == 0 {
		a.Limits.PerSecond = Calls(t.Limits.PerSecond)
		a.Limits.PerMinute = Calls(t.Limits.PerMinute)
		a.Limits.PerHour = Calls(t.Limits.PerHour)
		a.Limits.PerDay = Calls(t.Limits.PerDay)
	}
	or(&a.Limits.Concurrency, 16)
	or(&a.Breaker.MinCalls, 10)
	or(&a.Breaker.Ratio, 0.5)
	or(&a.Breaker.Window, 10*time.Second)
	or(&a.Breaker.Open, 15*time.Second)
	or(&a.OnAmbiguous, events.Hold)
	for i := range a.Quiet {
		a.Quiet[i].fill()
	}
}

func or[T comparable](field *T, def T) { *field = cmp.Or(*field, def) }
