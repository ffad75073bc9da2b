package channelstest

import (
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// checkContract checks what the provider says of itself and its accounts, and
// that an account with a setting missing is either refused in words that name
// the setting, or works.
func (b *bench) checkContract() {
	name, traits := b.p.Name(), b.p.Traits()
	if !events.ValidName(name) || strings.ToLower(name) != name {
		b.failf("name %q is no lower-case subject token", name)
	}
	if u, err := url.Parse(traits.BaseURL); traits.BaseURL != "" && (err != nil || u.Scheme != "https" || u.Host == "" || strings.HasSuffix(traits.BaseURL, "/")) {
		b.failf("the traits' base URL %q is no https URL without a trailing slash", traits.BaseURL)
	}
	l := traits.Limits
	if l.PerSecond+l.PerMinute+l.PerHour+l.PerDay <= 0 {
		b.failf("the traits have no limit: an account without one of its own would be called without bound")
	}
	a := b.account(Case{})
	for setting := range maps.Keys(a.Settings) {
		if !slices.Contains(traits.Settings, setting) {
			b.failf("the suite's account has setting %s, which the traits do not", setting)
		}
	}
	c, err := b.contract(a)
	if err != nil {
		b.failf("the contract of the suite's account: %v", err)
		return
	}
	if c.Provider != name || c.Account != a.Name {
		b.failf("the contract is of %s/%s, want %s/%s", c.Provider, c.Account, name, a.Name)
	}
	for _, r := range c.Reports {
		if !strings.HasPrefix(r.Name, name+".") {
			b.failf("report %s does not begin with %s.", r.Name, name)
		}
	}
	for missing := range maps.Keys(a.Settings) {
		less := *a
		less.Settings = maps.Clone(a.Settings)
		delete(less.Settings, missing)
		if _, err := b.contract(&less); err != nil && !strings.Contains(err.Error(), missing) {
			b.failf("without setting %s the contract fails and does not name it: %v", missing, err)
		}
	}
}

// checkCoverage checks that each form of the contract is carried out by a
// case: what nobody tries does not work.
func (b *bench) checkCoverage() {
	contract, err := b.contract(b.account(Case{}))
	if err != nil {
		return // checkContract tells
	}
	names := map[string]bool{}
	sends := map[events.SendForm]bool{}
	for _, c := range b.s.Cases {
		if names[c.Name] {
			b.failf("two cases are called %s", c.Name)
		}
		names[c.Name] = true
		if n := len(c.Exchanges); n == 0 || c.Exchanges[n-1].Verdict.Class != channels.OK {
			continue
		}
		switch r := c.Request; {
		case r.Send != nil:
			sends[events.SendForm{Recipient: r.Send.Recipient.Kind, Content: r.Send.Content.Kind}] = true
		case r.Report != nil:
			names[r.Report.Report] = true
		case r.Command != nil:
			names[r.Command.Command] = true
		}
	}
	for _, form := range contract.Sends {
		if !sends[form] {
			b.failf("no case sends %s to %s with success", form.Content, form.Recipient)
		}
	}
	for _, form := range contract.Reports {
		if !names[form.Name] {
			b.failf("no case fetches the report %s with success", form.Name)
		}
	}
	for _, form := range contract.Commands {
		if !names[form.Name] {
			b.failf("no case carries out the command %s with success", form.Name)
		}
	}
}
