package dispatcher

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// Update changes accounts and groups while the dispatcher runs: limits, breakers
// and credentials of those that stay, those that are new, those that are no
// more. What is not valid changes nothing. Calls under way go on as they began.
func (d *Dispatcher) Update(ctx context.Context, all []*Account, groups []Group) error {
	accounts, err := d.check(all)
	if err != nil {
		return err
	}
	limits, err := checkGroups(groups)
	if err != nil {
		return err
	}
	d.limits.Store(&limits)
	old := *d.accounts.Swap(&accounts)
	d.schedules.kick()
	d.mu.Lock()
	opened := slices.Collect(maps.Values(d.opened))
	d.mu.Unlock()
	for _, p := range opened {
		if err := p.keeper.keep(limits); err != nil {
			return fmt.Errorf("keep groups: %w", err)
		}
		for _, l := range p.all() {
			l.configure(accounts[l.key])
		}
	}
	for key := range old {
		d.gone[key] = true
	}
	for key := range d.gone { // some may be left from an update that the broker was away for
		if accounts[key] == nil {
			if err := events.DeleteContract(ctx, d.cfg.JS, key.provider, key.account); err != nil {
				return err
			}
		}
		delete(d.gone, key)
	}
	return d.publishContracts(ctx)
}

// check returns the accounts by their lanes, or what is wrong with them.
func (d *Dispatcher) check(all []*Account) (map[laneKey]*known, error) {
	accounts := make(map[laneKey]*known, len(all))
	terms := make(map[string]*events.Contract)
	for _, a := range all {
		i := slices.IndexFunc(d.cfg.Providers, func(p channels.Provider) bool { return p.Name() == a.Provider })
		if i < 0 {
			return nil, fmt.Errorf("account %s: unknown provider %q", a.Name, a.Provider)
		}
		k, err := newKnown(a, d.cfg.Providers[i])
		if err != nil {
			return nil, err
		}
		k.share(terms)
		k.meter = d.cfg.Observer.Meter(a.Provider, a.Name)
		accounts[laneKey{provider: a.Provider, account: a.Name}] = k
	}
	return accounts, nil
}

// publishContracts tells producers what the accounts can be asked for. To be told
// to stop meanwhile is no failure.
func (d *Dispatcher) publishContracts(ctx context.Context) error {
	for _, k := range *d.accounts.Load() {
		what := fmt.Sprintf("publish contract of %s/%s", k.Provider, k.Name)
		if err := broker.Insist(ctx, startPatience, what, func(try context.Context) error {
			return events.PutContract(try, d.cfg.JS, k.contract())
		}); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
	}
	return nil
}

// startPatience is how long a dispatcher that starts waits for a broker that has
// just gone: as long as one takes to come back.
const startPatience = 30 * time.Second

// known returns the account of a lane, or nil.
func (d *Dispatcher) known(key laneKey) *known { return (*d.accounts.Load())[key] }

// whyUnknown says, in the library's words, why an account cannot be asked for
// anything.
func (d *Dispatcher) whyUnknown(kind events.Kind, key laneKey) (reason, detail string) {
	reason = ReasonUnknownProvider
	var known []string
	for k := range *d.accounts.Load() {
		known = append(known, k.provider+"."+k.account)
		if k.provider == key.provider {
			reason = ReasonUnknownAccount
		}
	}
	return reason, events.UnknownAccount(kind, key.provider, key.account, known).Error()
}
