// Package config is the relay's configuration: one strict YAML file, the
// environment laid over it, and secrets from the environment alone.
//
// [Load] finds all faults at once and says each in a sentence that names the
// setting and, where it stood in the file, the line. What it returns is
// complete: no field is zero that has a default, every account has its secrets
// and the contract its provider gives it.
//
// A setting a.b of the file is the variable TRAM_A_B of the environment; those
// of the section nats have the names that the nats command knows, NATS_URL and
// so on. Accounts stand in the file only: a variable that named them by their
// place in the list would hit another account when the list changes.
package config

import (
	"log/slog"
	"time"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
	"github.com/tramhq/tram/pkg/ratelimit"
)

// Config is everything a process of the relay can be told. In each field zero
// means the default, which the field's comment gives.
type Config struct {
	NATS       NATS       `yaml:"nats"`
	Broker     Broker     `yaml:"broker"`
	Streams    Streams    `yaml:"streams"`
	Dispatcher Dispatcher `yaml:"dispatcher"`
	Collector  Collector  `yaml:"collector"`
	HTTP       HTTP       `yaml:"http"`
	Ops        Ops        `yaml:"ops"`
	Log        Log        `yaml:"log"`
	Telemetry  Telemetry  `yaml:"telemetry"`
	Accounts   []Account  `yaml:"accounts"`
	Groups     []Group    `yaml:"groups"`
}

// NATS is the broker to join. `tram up` brings its own and does not read it.
type NATS struct {
	URL   string `yaml:"url"`   // one or more, separated by commas. Defaults to nats://127.0.0.1:4222
	Creds string `yaml:"creds"` // credentials file
	NKey  string `yaml:"nkey"`  // nkey seed file
	User  string `yaml:"user"`
	CA    string `yaml:"ca"`   // certificate authority file
	Cert  string `yaml:"cert"` // client certificate file, together with Key
	Key   string `yaml:"key"`

	// InboxPrefix begins the subjects on which answers come, where the user may
	// receive on its own alone. Defaults to _INBOX
	InboxPrefix string `yaml:"inbox_prefix"`

	// Of each secret the value or the file, which is read again at each connect.
	Password     channels.Secret `yaml:"-"` // NATS_PASSWORD
	PasswordFile string          `yaml:"-"` // NATS_PASSWORD_FILE
	Token        channels.Secret `yaml:"-"` // NATS_TOKEN
	TokenFile    string          `yaml:"-"` // NATS_TOKEN_FILE
}

// Broker is the embedded one of `tram up`.
type Broker struct {
	Dir    string `yaml:"dir"`    // state, kept between runs. Defaults to tram-data
	Listen string `yaml:"listen"` // host:port; one that other hosts reach needs a token. Defaults to 127.0.0.1:4222

	// Durability is what a message is before it is acknowledged: "interval",
	// written, and forced to disk within a second; "always", forced to disk.
	// Defaults to interval.
	Durability string `yaml:"durability"`

	Token channels.Secret `yaml:"-"` // that clients must present: TRAM_BROKER_TOKEN or TRAM_BROKER_TOKEN_FILE. Defaults to none
}

// Streams is how the relay's streams are created, and changed by a later `tram
// setup`; only the number of partitions stays for good.
type Streams struct {
	Partitions int           `yaml:"partitions"` // the greatest useful number of dispatchers. Defaults to 64
	Replicas   int           `yaml:"replicas"`   // 1, 3 or 5. Defaults to 1
	Duplicates time.Duration `yaml:"duplicates"` // for how long a repeated id is recognised. Defaults to 10 minutes
	Requests   Retention     `yaml:"requests"`   // how long one may wait to be called. Defaults to 72 hours
	Ledger     Retention     `yaml:"ledger"`     // intents and results, each. Defaults to 6 hours more than requests
	Events     Retention     `yaml:"events"`     // how long downstream services may be away. Defaults to 72 hours
	Dead       Retention     `yaml:"dead"`       // how long a dead letter waits for a person. Defaults to 30 days
}

// Retention is how much a stream keeps. A full stream refuses what comes and
// drops nothing.
type Retention struct {
	MaxAge   time.Duration `yaml:"max_age"`
	MaxBytes Size          `yaml:"max_bytes"` // Defaults to no limit but the server's own
}

// Dispatcher is how requests become calls.
type Dispatcher struct {
	Lease       time.Duration `yaml:"lease"`         // how long a dead dispatcher's partitions stay its own. Defaults to 3 seconds
	CallTimeout time.Duration `yaml:"call_timeout"`  // of one call to a provider. Defaults to 10 seconds
	Grace       time.Duration `yaml:"grace"`         // for calls under way when the process stops. Defaults to 15 seconds
	MaxInFlight int           `yaml:"max_in_flight"` // calls at once, over all accounts. Defaults to 1024
	Retry       RetryPolicy   `yaml:"retry"`
}

// RetryPolicy is when a call that was not carried out is made again.
type RetryPolicy struct {
	MaxAttempts int           `yaml:"max_attempts"` // the first included. Defaults to 5
	Base        time.Duration `yaml:"base"`         // after the first attempt; doubles after each one. Defaults to 1 second
	Max         time.Duration `yaml:"max"`          // between two attempts. Defaults to 5 minutes
}

// Collector is how results become events.
type Collector struct {
	Workers int `yaml:"workers"` // results at once. Defaults to 4
}

// HTTP is how providers are called.
type HTTP struct {
	Proxy       string        `yaml:"proxy"`        // URL of a proxy for all calls. Defaults to none, whatever HTTP_PROXY says
	MaxBody     Size          `yaml:"max_body"`     // of an answer. Defaults to 768 KiB
	DialTimeout time.Duration `yaml:"dial_timeout"` // Defaults to 5 seconds

	// AllowPrivate is where providers may be although no public address leads
	// there. A base_url that names loopback itself needs none. Defaults to none
	AllowPrivate Networks `yaml:"allow_private"`
}

// Ops is how whoever runs the relay looks at a process: its health and metrics
// over HTTP, without authentication.
type Ops struct {
	Listen string `yaml:"listen"` // host:port. Defaults to none
}

// Log is what the process says on standard error.
type Log struct {
	Level  slog.Level `yaml:"level"`  // debug, info, warn or error. Defaults to info
	Format string     `yaml:"format"` // text or json. Defaults to text

	// Calls is which calls to providers have a line: all, failed or none. Defaults
	// to failed
	Calls string `yaml:"calls"`
}

// Telemetry is what the process tells other systems about itself. Metrics are
// not among it: these systems fetch them, see [Ops].
type Telemetry struct {
	Traces Traces `yaml:"traces"`
}

// Traces are of single requests. How they are sampled, called and sent beyond
// what is here, the standard variables of OpenTelemetry say, which begin with
// OTEL_.
type Traces struct {
	// Endpoint is the URL to which spans are posted, as OTLP in protobuf: its
	// path is /v1/traces if it has none. Defaults to OTEL_EXPORTER_OTLP_ENDPOINT
	// with that path and, without it, to none: then no spans are made
	Endpoint string `yaml:"endpoint"`
}

// Account is one account at a provider. Its secrets are read from
// TRAM_SECRET_<PROVIDER>_<ACCOUNT>_<NAME>, or from the file that the same name
// with _FILE at its end points at.
type Account struct {
	Provider    string             `yaml:"provider"`
	Name        string             `yaml:"name"`     // what events call it
	BaseURL     string             `yaml:"base_url"` // Defaults to the provider's
	Settings    map[string]string  `yaml:"settings"` // what the provider asks for, e.g. the MoMo business page id
	Limits      Limits             `yaml:"limits"`   // Defaults to the provider's
	Breaker     Breaker            `yaml:"breaker"`
	OnAmbiguous events.OnAmbiguous `yaml:"on_ambiguous"` // for sends that do not say. Defaults to hold
	Quiet       []Quiet            `yaml:"quiet"`

	Group   string                     `yaml:"-"` // that it is in, "" if none
	Secrets map[string]channels.Secret `yaml:"-"`
}

// Channel returns a as provider packages see it.
func (a *Account) Channel() *channels.Account {
	return &channels.Account{Provider: a.Provider, Name: a.Name, BaseURL: a.BaseURL, Settings: a.Settings, Secrets: a.Secrets}
}

// Limits bounds the calls of one account.
type Limits struct {
	PerSecond   Calls `yaml:"per_second"`
	PerMinute   Calls `yaml:"per_minute"`
	PerHour     Calls `yaml:"per_hour"`
	PerDay      Calls `yaml:"per_day"`
	Burst       Calls `yaml:"burst"`
	Concurrency Calls `yaml:"concurrency"` // calls under way at once, at most: it is found out how many the provider is good for. Defaults to 16
}

// Rate returns the windows of l.
func (l Limits) Rate() ratelimit.Limits {
	return Windows{l.PerSecond, l.PerMinute, l.PerHour, l.PerDay, l.Burst}.Rate()
}

// A Group is a limit that several accounts share, beside those of their own.
type Group struct {
	Name     string   `yaml:"name"`
	Accounts []string `yaml:"accounts"` // provider/name, or provider/* for all of a provider
	Limits   Windows  `yaml:"limits"`
}

// Windows are limits that all hold at once, over any span of time; one that is
// left out does not exist.
type Windows struct {
	PerSecond Calls `yaml:"per_second"`
	PerMinute Calls `yaml:"per_minute"`
	PerHour   Calls `yaml:"per_hour"`
	PerDay    Calls `yaml:"per_day"`
	Burst     Calls `yaml:"burst"` // calls that the shortest window lets start at once, a part of its number. Defaults to 1, or a fiftieth of a window of a minute or more
}

// Rate returns w as the limiter takes it.
func (w Windows) Rate() ratelimit.Limits {
	var r ratelimit.Limits
	for _, each := range []struct {
		calls Calls
		per   time.Duration
	}{{w.PerSecond, time.Second}, {w.PerMinute, time.Minute}, {w.PerHour, time.Hour}, {w.PerDay, day}} {
		if each.calls == 0 {
			continue
		}
		window := ratelimit.Window{Limit: int(each.calls), Per: each.per}
		if len(r.Windows) == 0 {
			window.Burst = int(w.Burst)
		}
		r.Windows = append(r.Windows, window)
	}
	return r
}

// Breaker stops calling an account whose provider is in trouble.
type Breaker struct {
	MinCalls int           `yaml:"min_calls"` // within Window, before it may open. Defaults to 10
	Ratio    float64       `yaml:"ratio"`     // opens when the provider itself fails this share of the calls. Defaults to 0.5
	Window   time.Duration `yaml:"window"`    // Defaults to 10 seconds
	Open     time.Duration `yaml:"open"`      // until one call may probe. Defaults to 15 seconds
}
