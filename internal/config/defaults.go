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

	or(&c.Broker.Dir, "tram-data")
	or(&c.Broker.Listen, "127.0.0.1:4222")

	or(&c.Streams.Partitions, 64)
	or(&c.Streams.Replicas, 1)
	or(&c.Streams.Duplicates, 10*time.Minute)
	c.Streams.Requests.fill(3*day, 8<<30)
	c.Streams.Results.fill(3*day, 16<<30)
	c.Streams.Events.fill(3*day, 16<<30)
	c.Streams.Dead.fill(30*day, 4<<30)

	or(&c.Dispatcher.Lease, 3*time.Second)
	or(&c.Dispatcher.CallTimeout, 10*time.Second)
	or(&c.Dispatcher.Grace, 15*time.Second)
	or(&c.Dispatcher.MaxInFlight, 1024)
	or(&c.Dispatcher.Retry.MaxAttempts, 5)
	or(&c.Dispatcher.Retry.Base, time.Second)
	or(&c.Dispatcher.Retry.Max, 5*time.Minute)

	or(&c.Collector.Workers, 4)

	or(&c.HTTP.MaxBody, 8<<20)
	or(&c.HTTP.DialTimeout, 5*time.Second)

	or(&c.Log.Format, "text")
}

func (r *Retention) fill(age time.Duration, bytes Size) {
	or(&r.MaxAge, age)
	or(&r.MaxBytes, bytes)
}

// fill gives every zero field of a its default, where t knows one.
func (a *Account) fill(t channels.Traits) {
	or(&a.BaseURL, t.BaseURL)
	if a.Limits.windows() == (Limits{}) {
		a.Limits.PerSecond = Calls(t.Limits.PerSecond)
		a.Limits.PerMinute = Calls(t.Limits.PerMinute)
		a.Limits.PerHour = Calls(t.Limits.PerHour)
		a.Limits.PerDay = Calls(t.Limits.PerDay)
	}
	or(&a.Limits.Burst, 1)
	or(&a.Limits.Concurrency, 16)
	or(&a.Breaker.MinCalls, 10)
	or(&a.Breaker.Ratio, 0.5)
	or(&a.Breaker.Window, 10*time.Second)
	or(&a.Breaker.Open, 15*time.Second)
	or(&a.OnAmbiguous, events.Hold)
}

// windows returns l with nothing but its windows.
func (l Limits) windows() Limits {
	l.Burst, l.Concurrency = 0, 0
	return l
}

func or[T comparable](field *T, def T) { *field = cmp.Or(*field, def) }
