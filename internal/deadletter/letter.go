package deadletter

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// A Letter is a dead letter with its request decoded, as far as that goes.
type Letter struct {
	ledger.DeadLetter
	ID                uint64 // its sequence in the stream, by which people name it
	Provider, Account string // of the subject: "_" where there was none

	Event *events.Request // nil if nothing could be read of it
	Fault error           // why it is no request, or not a good one
}

// ReasonUnreadableLetter is why a message of the stream is among the letters
// that is none.
const ReasonUnreadableLetter = "unreadable_letter"

// Read reads a message of the stream. Whatever somebody has published there is a
// letter, if one about which only little can be said.
func Read(m *broker.Stored) (*Letter, error) {
	group, provider, account, err := broker.ParseDead(m.Subject)
	if err != nil {
		return nil, err
	}
	l := &Letter{ID: m.Seq, Provider: provider, Account: account}
	d, err := ledger.DecodeDeadLetter(m.Data)
	if err != nil {
		at := m.Time.UnixMilli()
		l.DeadLetter = ledger.DeadLetter{
			Group: ledger.DeadGroup(group), AtMS: at, Request: ledger.Original{Data: m.Data, TimeMS: at},
			Why: events.Why{Class: string(channels.Permanent), Reason: ReasonUnreadableLetter, Detail: err.Error()},
		}
		l.Fault = err
		return l, nil
	}
	l.DeadLetter = *d
	l.Event, l.Fault = events.DecodeRequest(d.Request.Subject, d.Request.Header, d.Request.Data)
	return l, nil
}

// RequestID is the id that the request's events have, or "" if it bears none.
func (l *Letter) RequestID() string {
	if l.Event == nil {
		return ""
	}
	return cmp.Or(l.Event.ID, ledger.Place(l.Seq))
}

// key names the letter's request among decisions. The time tells requests apart
// that had the same place in streams that were made anew.
func (l *Letter) key() string { return requestKey(l.Seq, l.Request.TimeMS) }

func requestKey(seq uint64, publishedMS int64) string {
	return fmt.Sprintf("request.%d-%d", seq, publishedMS)
}

// A Filter chooses letters. What is empty chooses all.
type Filter struct {
	IDs      []uint64           `json:"ids,omitempty"`
	Groups   []ledger.DeadGroup `json:"groups,omitempty"`
	Reasons  []string           `json:"reasons,omitempty"`
	Provider string             `json:"provider,omitempty"`
	Account  string             `json:"account,omitempty"`
	Requests []string           `json:"requests,omitempty"` // ids of requests, or of those that they were redriven from
	Before   time.Time          `json:"before,omitzero"`    // died before it
	After    time.Time          `json:"after,omitzero"`     // died at it or later
}

// Empty reports whether f chooses all letters.
func (f *Filter) Empty() bool {
	return len(f.IDs)+len(f.Groups)+len(f.Reasons)+len(f.Requests) == 0 &&
		f.Provider+f.Account == "" && f.Before.IsZero() && f.After.IsZero()
}

// chooses reports whether l is one of those that f means.
func (f *Filter) chooses(l *Letter) bool {
	died := time.UnixMilli(l.AtMS)
	return among(f.IDs, l.ID) && among(f.Groups, l.Group) && among(f.Reasons, l.Why.Reason) && (among(f.Requests, l.RequestID()) || l.Event != nil && slices.Contains(f.Requests, l.Event.AncestorID)) &&
		(f.Provider == "" || f.Provider == l.Provider) && (f.Account == "" || f.Account == l.Account) &&
		(f.Before.IsZero() || died.Before(f.Before)) && !died.Before(f.After)
}

func among[T comparable](wanted []T, v T) bool { return len(wanted) == 0 || slices.Contains(wanted, v) }

// subject is what of f the broker itself can tell.
func (f *Filter) subject() string {
	group := ""
	if len(f.Groups) == 1 {
		group = string(f.Groups[0])
	}
	return broker.DeadOf(group, f.Provider, f.Account)
}
