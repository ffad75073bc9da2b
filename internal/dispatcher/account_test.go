package dispatcher

import (
	"testing"

	"github.com/tramhq/tram/pkg/channels"
)

// Thousands of accounts of one provider keep what they can be asked for once.
func TestAccountsShareTheirTerms(t *testing.T) {
	d := &Dispatcher{cfg: Config{Providers: []channels.Provider{&fakeProvider{}}, Observer: unobserved{}}}
	account := func(name string) *Account {
		return &Account{Account: channels.Account{Provider: "fake", Name: name}}
	}
	all, err := d.check([]*Account{account("shop"), account("bank")})
	if err != nil {
		t.Fatal(err)
	}
	shop, bank := all[laneKey{provider: "fake", account: "shop"}], all[laneKey{provider: "fake", account: "bank"}]
	if shop.terms != bank.terms {
		t.Error("each has its own")
	}
	for _, k := range []*known{shop, bank} {
		c := k.contract()
		if c.Provider != "fake" || c.Account != k.Name || !c.Scheduling {
			t.Errorf("the contract of %s is that of %s.%s, scheduling %t", k.Name, c.Provider, c.Account, c.Scheduling)
		}
	}
}
