package dispatcher

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/ledger"
)

// A control is what an operator has told last about an account: to pause, or to
// resume. The revision orders it among all.
type control struct {
	ledger.Control
	revision uint64
	at       time.Time // by the broker's clock
}

// untold is the control of all accounts of which no operator has told anything.
var untold = new(control)

// controls are those of all accounts, as far as this dispatcher has heard.
type controls struct {
	mu  sync.Mutex
	all map[laneKey]*control

	reading sync.Mutex // one after the other
	read    uint64     // how far
}

func (c *controls) of(key laneKey) *control {
	c.mu.Lock()
	defer c.mu.Unlock()
	return cmp.Or(c.all[key], untold)
}

// put keeps what is newer than what is known.
func (c *controls) put(key laneKey, told *control) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if told.revision > cmp.Or(c.all[key], untold).revision {
		c.all[key] = told
	}
}

// paused returns the accounts of partition n, of so many, that are paused.
func (c *controls) paused(n, partitions int) []laneKey {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []laneKey
	for key, told := range c.all {
		if told.Paused && broker.Partition(key.provider, key.account, partitions) == n {
			all = append(all, key)
		}
	}
	return all
}

// readControls reads what operators have told since it was called last, before a
// partition is taken over: nothing that is paused may be called, not even once.
func (d *Dispatcher) readControls(ctx context.Context) error {
	d.controls.reading.Lock()
	defer d.controls.reading.Unlock()
	return d.reader.Replay(ctx, broker.ControlStream, broker.ControlPrefix+">", d.controls.read+1, func(m *broker.Stored) error {
		d.note(m)
		d.controls.read = m.Seq
		return nil
	})
}

// note keeps what an operator has told. What nobody understands stops nothing.
func (d *Dispatcher) note(m *broker.Stored) laneKey {
	key, told, err := decodeControl(m)
	if err != nil {
		d.log.Error("an operator's word is not understood", "error", err)
		return key
	}
	d.controls.put(key, told)
	return key
}

// watchControls heeds what operators tell until ctx is done.
func (d *Dispatcher) watchControls(ctx context.Context) {
	feed := broker.NewFeed(d.cfg.JS, broker.ControlStream, broker.ControlPrefix+">", 1, func(m *broker.Stored, _ uint64) {
		key := d.note(m)
		n := broker.Partition(key.provider, key.account, d.cfg.Partitions)
		d.mu.Lock()
		p := d.opened[n]
		d.mu.Unlock()
		if p != nil && d.known(key) != nil {
			p.heed(key, d.controls.of(key))
		}
	})
	feed.Log = d.log
	feed.Run(ctx) //nolint:errcheck // ends with ctx only
}

// decodeControl reads a key of the bucket. One that was deleted says nothing.
func decodeControl(m *broker.Stored) (laneKey, *control, error) {
	provider, account, _ := strings.Cut(strings.TrimPrefix(m.Subject, broker.ControlPrefix), ".")
	key, told := laneKey{provider: provider, account: account}, &control{revision: m.Seq, at: m.Time}
	if len(m.Data) == 0 {
		return key, told, nil
	}
	c, err := ledger.DecodeControl(m.Data)
	if err != nil {
		return key, told, fmt.Errorf("read what is told about %s/%s: %w", provider, account, err)
	}
	told.Control = *c
	return key, told, nil
}

// showPaused gives the paused accounts of a partition that was opened a lane, so
// that somebody tells that they are.
func (d *Dispatcher) showPaused(p *partition) {
	for _, key := range d.controls.paused(p.n, d.cfg.Partitions) {
		if d.known(key) != nil {
			p.lane(key)
		}
	}
}

// heed does what an operator has told about an account. One that is paused gets
// a lane if it has none, as showPaused does.
func (p *partition) heed(key laneKey, told *control) {
	p.mu.Lock()
	l := p.lanes[key]
	p.mu.Unlock()
	if l == nil && told.Paused {
		l = p.lane(key)
	}
	if l != nil {
		l.heed(told)
	}
}

// heed does what an operator has told about the lane's account.
func (l *lane) heed(told *control) {
	if acct := l.account(); acct != nil {
		acct.control(told)
		l.stir()
	}
}

// control takes over what an operator has told, unless it is known. To resume
// also closes the breaker, and lets a refused credential be tried again.
func (a *account) control(told *control) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if told.revision <= a.held.revision {
		return
	}
	was := a.held.Paused
	a.held = told
	switch {
	case told.Paused && !was:
		a.log().Warn("account paused by an operator", "by", told.By, "reason", told.Reason)
	case !told.Paused:
		a.log().Info("account resumed by an operator", "by", told.By)
		a.trial, a.fresh = a.refused != nil, time.Now()
		a.breaker.reset()
	}
}
