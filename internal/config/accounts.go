package config

import (
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
	"github.com/tramhq/tram/pkg/ratelimit"
)

// account validates one account, also by what its provider says of it.
func (v *validator) account(a *Account, key string, providers map[string]channels.Provider) {
	known := slices.Sorted(maps.Keys(providers))
	p := providers[a.Provider]
	if p == nil {
		v.add(key+".provider", "must be one of %s, it is %q%s", strings.Join(known, ", "), a.Provider, didYouMean(a.Provider, known))
	}
	v.require(events.ValidName(a.Name), key+".name",
		"must be 1 to 64 of the characters a-z, A-Z, 0-9, - and _, because it stands in subjects; it is %q", a.Name)
	if a.BaseURL == "" {
		v.require(p == nil, key+".base_url", "must be given: %s has none that is the same for all accounts", a.Provider)
	} else if err := checkURL(a.BaseURL, true); err != nil {
		v.add(key+".base_url", "%w", err)
	} else if host := hostOf(a.BaseURL); !loopback(host) {
		ip, err := netip.ParseAddr(host)
		v.require(err != nil || channels.MayCall(ip, v.private), key+".base_url", "is not a public address: if it is meant, add %s to http.allow_private", host)
	}
	a.BaseURL = strings.TrimRight(a.BaseURL, "/")
	v.limits(a.Limits, p, key+".limits")
	v.breaker(&a.Breaker, key+".breaker")
	policies := []events.OnAmbiguous{events.Hold, events.Resend, events.AssumeSent}
	v.require(slices.Contains(policies, a.OnAmbiguous), key+".on_ambiguous", "must be hold, resend or assume_sent, it is %q", a.OnAmbiguous)
	if p == nil {
		return
	}
	sound := true
	takes := p.Traits().Settings
	for _, name := range slices.Sorted(maps.Keys(a.Settings)) {
		if !slices.Contains(takes, name) {
			sound = false
			v.add(key+".settings."+name, "is not a setting of %s, which has %s%s", a.Provider, strings.Join(takes, ", "), didYouMean(name, takes))
		}
	}
	switch c, err := p.Contract(a.Channel()); {
	case err == nil:
		v.quiet(a.Quiet, c.Zone, key+".quiet")
	case sound: // else it is likely to be missing the misspelt one
		v.add(key+".settings", "are refused by %s: %w", a.Provider, err)
	}
}

func hostOf(base string) string {
	u, err := url.Parse(base)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

func (v *validator) limits(l Limits, p channels.Provider, key string) {
	within(v, key+".concurrency", l.Concurrency, 1, 10_000)
	if p == nil {
		return // and its limits with it
	}
	if len(l.Rate().Windows) == 0 {
		v.add(key, "must have one of per_second, per_minute, per_hour and per_day, since %s has no default", p.Name())
		return
	}
	v.rate(l.Rate(), key)
}

func (v *validator) rate(rate ratelimit.Limits, key string) {
	err := rate.Validate()
	if err == nil {
		return
	}
	for problem := range strings.SplitSeq(err.Error(), "\n") {
		v.add(key, "cannot hold: %s", problem)
	}
}

func (v *validator) breaker(b *Breaker, key string) {
	within(v, key+".min_calls", b.MinCalls, 1, 10_000)
	v.require(b.Ratio > 0 && b.Ratio <= 1, key+".ratio", "must be above 0 and not above 1, it is %v", b.Ratio)
	within(v, key+".window", b.Window, time.Second, 10*time.Minute)
	within(v, key+".open", b.Open, 100*time.Millisecond, time.Hour)
}

// unique finds accounts that are there twice.
func (v *validator) unique(accounts []Account) {
	first := map[string]int{}
	for i, a := range accounts {
		name := a.Provider + "/" + a.Name
		if before, twice := first[name]; twice {
			v.add(fmt.Sprintf("accounts[%d]", i), "is %s, and so is accounts[%d]", name, before)
			continue
		}
		first[name] = i
	}
}
