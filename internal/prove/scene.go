package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tramhq/tram/internal/broker"
)

// A scene is what a stage is set up with.
type scene struct {
	Seed     uint64    // of everything random
	Accounts []account // defaults to prover
	Groups   []group   // of them
	Journal  int       // calls that the sandbox keeps. Defaults to its own default
	Skew     bool      // dispatchers can be started with a clock that is wrong

	Failpoints bool          // the programs pass fail-points
	Brittle    bool          // a provider package of theirs panics at some recipients; not with Skew
	Partitions int           // defaults to broker.DefaultPartitions
	Lease      time.Duration // of the dispatchers. Defaults to their own default
	MaxStore   int64         // bytes that the broker may keep. Defaults to its own default
	Cluster    bool          // three servers and streams with three replicas, instead of a broker
	Bare       bool          // the streams are not set up
}

// An account is one at CareSoft or AhaChat. The sandbox has no limit for it.
type account struct {
	Provider string // defaults to caresoft
	Name     string
	Limits   string // as the configuration has them
	Breaker  string // the same
	Wired    bool   // its provider is reached over the stage's far wire
}

// A group is accounts with a limit that they share.
type group struct {
	name     string
	accounts []account
	limits   string // as the configuration has them
}

// prover is called as fast as it goes.
var prover = account{Name: "prove", Limits: "{per_second: 1000, concurrency: 64}"}

func (a account) provider() string { return cmp.Or(a.Provider, "caresoft") }

func (a account) partition() int {
	return broker.Partition(a.provider(), a.Name, broker.DefaultPartitions)
}

const (
	token = "prove-token"
	oa    = "1600190000000000001"
)

// configure writes the configuration of the programs, and their environment.
func (s *stage) configure(url string, replicas int, c scene) error {
	var b strings.Builder
	fmt.Fprintf(&b, `
nats: {url: %q}
http: {dial_timeout: 1s}
streams: {partitions: %d, replicas: %d}
dispatcher: {call_timeout: 3s, grace: 5s, lease: %s}
accounts:
`, s.url(), cmp.Or(c.Partitions, broker.DefaultPartitions), replicas, cmp.Or(c.Lease, 3*time.Second))
	s.env = os.Environ()
	for _, a := range c.Accounts {
		base := url
		if a.Wired {
			base = "http://" + s.far.Listen
		}
		settings := fmt.Sprintf("{domain: %s, oa_id: %q}", a.Name, oa)
		if a.provider() == "ahachat" {
			settings = fmt.Sprintf("{bot_id: %q}", a.Name)
		}
		fmt.Fprintf(&b, `
  - provider: %s
    name: %s
    base_url: %s
    settings: %s
    limits: %s
    breaker: %s
`, a.provider(), a.Name, base+"/"+a.provider(), settings, a.Limits, cmp.Or(a.Breaker, "{}"))
		s.env = append(s.env, strings.ToUpper("TRAM_SECRET_"+a.provider()+"_"+a.Name+"_TOKEN=")+token)
	}
	b.WriteString("groups:\n")
	for _, g := range c.Groups {
		fmt.Fprintf(&b, "  - {name: %s, limits: %s, accounts: [", g.name, g.limits)
		for i, a := range g.accounts {
			fmt.Fprintf(&b, "%s%s/%s", strings.Repeat(", ", min(i, 1)), a.provider(), a.Name)
		}
		b.WriteString("]}\n")
	}
	return os.WriteFile(s.config(), []byte(b.String()), 0o600)
}

func (s *stage) config() string { return filepath.Join(s.dir, "tram.yaml") }
