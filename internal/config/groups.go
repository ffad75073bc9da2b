package config

import (
	"fmt"
	"strings"

	"github.com/tramhq/tram/pkg/events"
)

// groups validates the groups and tells the accounts which one they are in.
func (v *validator) groups(c *Config) {
	first := map[string]int{} // group by name
	for i := range c.Groups {
		g, key := &c.Groups[i], fmt.Sprintf("groups[%d]", i)
		v.require(events.ValidName(g.Name), key+".name", "must be 1 to 64 of the characters a-z, A-Z, 0-9, - and _; it is %q", g.Name)
		if before, twice := first[g.Name]; twice {
			v.add(key+".name", "is %s, and so is that of groups[%d]", g.Name, before)
		} else {
			first[g.Name] = i
		}
		if len(g.Limits.Rate().Windows) == 0 {
			v.add(key+".limits", "must have one of per_second, per_minute, per_hour and per_day: it is what the accounts share")
		} else {
			v.rate(g.Limits.Rate(), key+".limits")
		}
		v.require(len(g.Accounts) > 0, key+".accounts", "must name the accounts that share the limit, each as provider/name, or provider/* for all of a provider")
		for j, name := range g.Accounts {
			v.member(c, g.Name, name, fmt.Sprintf("%s.accounts[%d]", key, j))
		}
	}
}

// member puts the accounts that name stands for into a group.
func (v *validator) member(c *Config, group, name, key string) {
	provider, account, _ := strings.Cut(name, "/")
	found := false
	var known []string
	for i := range c.Accounts {
		a := &c.Accounts[i]
		known = append(known, a.Provider+"/"+a.Name)
		if a.Provider != provider || account != "*" && a.Name != account {
			continue
		}
		found = true
		v.require(a.Group == "" || a.Group == group, key, "names %s/%s, which is in the group %s already: an account can share one limit", a.Provider, a.Name, a.Group)
		a.Group = group
	}
	switch {
	case found:
	case account == "*":
		v.add(key, "is %q, and there is no account at that provider", name)
	default:
		v.add(key, "must be an account of this file, as provider/name, it is %q%s", name, didYouMean(name, known))
	}
}
