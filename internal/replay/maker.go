package replay

import (
	"cmp"
	"context"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/collector"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// A Maker makes the events of results as collectors do: with the provider
// packages of this program, and the accounts' settings. It is safe for
// concurrent use.
type Maker struct {
	providers map[string]channels.Provider
	accounts  map[string]*channels.Account // by provider/name
}

// NewMaker returns a maker. It needs no secrets of the accounts.
func NewMaker(providers []channels.Provider, accounts []*channels.Account) *Maker {
	m := &Maker{providers: map[string]channels.Provider{}, accounts: map[string]*channels.Account{}}
	for _, p := range providers {
		m.providers[p.Name()] = p
	}
	for _, a := range accounts {
		m.accounts[a.Provider+"/"+a.Name] = a
	}
	return m
}

// A Work is what a job does with results: a [*Maker] or a [*Resender].
type Work interface {
	// fill makes the messages that j publishes of a batch. It is called by
	// several goroutines.
	fill(ctx context.Context, b *batch, j *Job)
}

func (mk *Maker) fill(_ context.Context, b *batch, j *Job) { mk.make(b, &j.Selection) }

// make makes the events of a batch that s chooses.
func (mk *Maker) make(b *batch, s *Selection) {
	b.made = make([][]*nats.Msg, len(b.results))
	for i, m := range b.results {
		b.made[i] = mk.events(m, s, b)
	}
}

// events makes the events of one record of RESULTS that s chooses. It makes no
// dead letters: those that there are may have been dealt with. What it sees goes
// into b.
func (mk *Maker) events(m *broker.Stored, s *Selection, b *batch) []*nats.Msg {
	b.seen.Results++
	r, err := ledger.DecodeResult(m.Data)
	if err != nil {
		b.seen.Unreadable++
		return nil
	}
	var provider channels.Provider
	var account *channels.Account
	about, err := events.ParseSubject(r.Request.Subject)
	if err == nil {
		provider, account = mk.providers[about.Provider], mk.accounts[about.Provider+"/"+about.Account]
	}
	if r.Parse && about.Kind != events.KindSend {
		if account == nil {
			b.seen.Unconfigured++
			b.unconfigured = cmp.Or(b.unconfigured, about.Provider+"/"+about.Account)
		}
		if req, err := events.DecodeRequest(r.Request.Subject, r.Request.Header, r.Request.Data); err == nil {
			b.pages = append(b.pages, page{req.Source, req.ID, r.Step})
		}
	}
	all, err := collector.Events(r, collector.History{}, provider, account)
	if err != nil {
		b.seen.Untold++
	}
	chosen := all[:0]
	for _, e := range all {
		if kind, ok := kindOf(e.Subject); ok && s.wants(kind) {
			chosen = append(chosen, e)
		}
	}
	return chosen
}

// kindOf is the kind of an event of EVENTS by its subject, or false for a dead
// letter.
func kindOf(subject string) (events.Kind, bool) {
	kind, _, _ := strings.Cut(strings.TrimPrefix(subject, "tram."), ".")
	return events.Kind(kind), !strings.HasPrefix(subject, broker.DeadPrefix)
}
