package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// A validator finds what is wrong with a configuration that could be read.
type validator struct {
	faults
	lines   map[string]int
	private []netip.Prefix // that providers may be in
}

// add is faults.add with the line of the setting, or of the nearest section
// that stood in the file.
func (v *validator) add(setting, format string, args ...any) {
	line := 0
	for key := setting; key != "" && line == 0; {
		line = v.lines[key]
		key = key[:max(0, strings.LastIndexAny(key, ".["))]
	}
	v.addAt(line, setting, format, args...)
}

// require adds a fault about setting unless ok.
func (v *validator) require(ok bool, setting, format string, args ...any) {
	if !ok {
		v.add(setting, format, args...)
	}
}

// within adds a fault unless least <= value <= most.
func within[T int | Calls | Size | time.Duration | float64](v *validator, setting string, value, least, most T) {
	v.require(value >= least && value <= most, setting, "must be from %v to %v, it is %v", least, most, value)
}

// check validates everything but the accounts.
func (v *validator) check(c *Config) {
	v.nats(&c.NATS)
	v.streams(&c.Streams)
	v.dispatcher(&c.Dispatcher, &c.Streams)

	if host, _, err := net.SplitHostPort(c.Broker.Listen); err != nil {
		v.add("broker.listen", "must be host:port, it is %q", c.Broker.Listen)
	} else if !loopback(host) {
		v.require(c.Broker.Token != "", "broker.listen", "can be reached from other hosts, so TRAM_BROKER_TOKEN must be set")
	}
	v.require(slices.Contains([]string{"interval", "always"}, c.Broker.Durability), "broker.durability",
		"must be interval or always, it is %q", c.Broker.Durability)
	if c.Ops.Listen != "" {
		_, _, err := net.SplitHostPort(c.Ops.Listen)
		v.require(err == nil, "ops.listen", "must be host:port, such as 127.0.0.1:9464, it is %q", c.Ops.Listen)
	}
	within(v, "collector.workers", c.Collector.Workers, 1, 1000)
	if c.HTTP.Proxy != "" {
		if err := checkURL(c.HTTP.Proxy, false); err != nil {
			v.add("http.proxy", "%w", err)
		}
	}
	// A result carries the answer and the request, and must fit into a message.
	within(v, "http.max_body", c.HTTP.MaxBody, 16<<10, 1<<20)
	within(v, "http.dial_timeout", c.HTTP.DialTimeout, 100*time.Millisecond, time.Minute)
	v.require(c.HTTP.DialTimeout <= c.Dispatcher.CallTimeout, "http.dial_timeout",
		"(%v) must not be above dispatcher.call_timeout (%v), which bounds the whole call", c.HTTP.DialTimeout, c.Dispatcher.CallTimeout)
	v.require(slices.Contains([]string{"text", "json"}, c.Log.Format), "log.format", "must be text or json, it is %q", c.Log.Format)
	v.require(slices.Contains([]string{"all", "failed", "none"}, c.Log.Calls), "log.calls", "must be all, failed or none, it is %q", c.Log.Calls)
	if c.Telemetry.Traces.Endpoint != "" {
		if err := checkURL(c.Telemetry.Traces.Endpoint, false); err != nil {
			v.add("telemetry.traces.endpoint", "%w", err)
		}
	}
}

var inbox = regexp.MustCompile(`^[\w-]+(\.[\w-]+)*$`)

func (v *validator) nats(n *NATS) {
	for server := range strings.SplitSeq(n.URL, ",") {
		if !strings.Contains(server, "://") { // as nats.go does
			server = "nats://" + strings.TrimSpace(server)
		}
		u, err := url.Parse(strings.TrimSpace(server))
		switch {
		case err != nil: // err would repeat the URL, and with it a password
			v.add("nats.url", "must be URLs such as nats://host:4222")
		case u.User != nil:
			v.add("nats.url", "must not hold a user or password: use NATS_USER and NATS_PASSWORD, or NATS_TOKEN")
		case !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme) || u.Hostname() == "":
			v.add("nats.url", "must be URLs such as nats://host:4222 or tls://host:4222, one of them is %q", server)
		}
	}
	v.require(inbox.MatchString(n.InboxPrefix), "nats.inbox_prefix", "must be a subject without wildcards such as _INBOX_dispatcher, it is %q", n.InboxPrefix)
	v.require((n.Cert == "") == (n.Key == ""), "nats.cert", "and nats.key are of no use without each other: set both")
	v.require(n.User != "" || n.Password == "" && n.PasswordFile == "", "NATS_PASSWORD", "is set without NATS_USER")
	ways := []string{}
	for name, set := range map[string]bool{"nats.creds": n.Creds != "", "nats.nkey": n.NKey != "", "nats.user": n.User != "", "NATS_TOKEN": n.Token != "" || n.TokenFile != ""} {
		if set {
			ways = append(ways, name)
		}
	}
	slices.Sort(ways)
	v.require(len(ways) <= 1, "nats", "can log in one way only, and %s are set", strings.Join(ways, ", "))
}

func (v *validator) streams(s *Streams) {
	within(v, "streams.partitions", s.Partitions, 1, 1024)
	v.require(slices.Contains([]int{1, 3, 5}, s.Replicas), "streams.replicas", "must be 1, 3 or 5, it is %d", s.Replicas)
	within(v, "streams.duplicates", s.Duplicates, 30*time.Second, time.Hour)
	for _, r := range []struct {
		key string
		Retention
	}{
		{"streams.requests", s.Requests}, {"streams.ledger", s.Ledger}, {"streams.events", s.Events}, {"streams.dead", s.Dead},
	} {
		within(v, r.key+".max_age", r.MaxAge, time.Minute, 400*day)
		v.require(s.Duplicates <= r.MaxAge, r.key+".max_age", "(%v) must not be below streams.duplicates (%v)", r.MaxAge, s.Duplicates)
		v.require(r.MaxBytes == 0 || r.MaxBytes >= 1<<20, r.key+".max_bytes", "must be at least 1MiB, it is %v", r.MaxBytes)
	}
	v.require(s.Ledger.MaxAge >= s.Requests.MaxAge, "streams.ledger.max_age",
		"(%v) must not be below streams.requests.max_age (%v): a request whose result is gone would be called again", s.Ledger.MaxAge, s.Requests.MaxAge)
}

func (v *validator) dispatcher(d *Dispatcher, s *Streams) {
	within(v, "dispatcher.lease", d.Lease, time.Second, time.Minute)
	v.require(d.Lease%time.Second == 0, "dispatcher.lease", "must be whole seconds, as the broker counts, it is %v", d.Lease)
	within(v, "dispatcher.call_timeout", d.CallTimeout, 100*time.Millisecond, 5*time.Minute)
	within(v, "dispatcher.max_in_flight", d.MaxInFlight, 1, 100_000)
	v.require(d.CallTimeout < d.Grace, "dispatcher.grace",
		"(%v) must be above dispatcher.call_timeout (%v), or a stop would cut calls off and leave them unknown", d.Grace, d.CallTimeout)
	within(v, "dispatcher.grace", d.Grace, time.Second, 10*time.Minute)
	needed := d.CallTimeout + d.Lease + d.Grace
	v.require(s.Duplicates > needed, "streams.duplicates",
		"(%v) must be above dispatcher.call_timeout + lease + grace (%v), or the old and the new owner of a partition could both tell how one call ended", s.Duplicates, needed)

	within(v, "dispatcher.retry.max_attempts", d.Retry.MaxAttempts, 1, 100)
	within(v, "dispatcher.retry.base", d.Retry.Base, 10*time.Millisecond, time.Hour)
	within(v, "dispatcher.retry.max", d.Retry.Max, 10*time.Millisecond, day)
	v.require(d.Retry.Base <= d.Retry.Max, "dispatcher.retry.base", "(%v) must not be above dispatcher.retry.max (%v)", d.Retry.Base, d.Retry.Max)
	v.require(d.Retry.Max < s.Requests.MaxAge, "dispatcher.retry.max", "(%v) must be below streams.requests.max_age (%v)", d.Retry.Max, s.Requests.MaxAge)
}

// checkURL says what is wrong with the URL of a provider or proxy. Its text
// never repeats the URL, in which somebody may have written a password.
func checkURL(text string, secure bool) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("must be a URL that begins with https:// or http://")
	case u.User != nil:
		return fmt.Errorf("must not hold a user or password: secrets come from the environment")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return fmt.Errorf("must end with its path, without ? and #")
	case secure && u.Scheme != "https" && !loopback(u.Hostname()):
		return fmt.Errorf("must begin with https://: without it the account's secret would be readable on the way to %s", u.Hostname())
	}
	return nil
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
