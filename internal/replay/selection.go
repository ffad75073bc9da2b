package replay

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/pkg/events"
)

// A Selection chooses results, and what is made of them. What is zero chooses
// all.
type Selection struct {
	From     uint64        `json:"from,omitempty"` // sequences of RESULTS, both included
	To       uint64        `json:"to,omitempty"`
	Provider string        `json:"provider,omitempty"`
	Account  string        `json:"account,omitempty"`
	Kinds    []events.Kind `json:"kinds,omitempty"` // of events
}

// Between narrows s to results that were stored at a time or later, and before
// another. Zero times are open.
func (s *Selection) Between(ctx context.Context, read *broker.Reader, since, until time.Time) error {
	if !since.IsZero() {
		from, err := read.SeqAt(ctx, broker.Results, since)
		if err != nil {
			return err
		}
		s.From = max(s.From, from)
	}
	if !until.IsZero() {
		next, err := read.SeqAt(ctx, broker.Results, until)
		if err != nil {
			return err
		}
		if next <= 1 || next <= s.From {
			return fmt.Errorf("no results were stored before %s", until.Format(time.RFC3339))
		}
		s.To = min(cmp.Or(s.To, next-1), next-1)
	}
	return nil
}

// window is the part of RESULTS that holds what s chooses.
func (s *Selection) window() broker.Window {
	w := broker.Window{From: s.From, To: s.To}
	if s.Provider+s.Account != "" {
		w.Subjects = []string{broker.ResultsOf(s.Provider, s.Account)}
	}
	return w
}

// wants reports whether s chooses events of a kind.
func (s *Selection) wants(k events.Kind) bool {
	return len(s.Kinds) == 0 || slices.Contains(s.Kinds, k)
}

// subjects match the events in EVENTS that s chooses, and perhaps others. One
// filter costs the server less than several.
func (s *Selection) subjects() []string {
	if len(s.Kinds) == 0 {
		if s.Provider+s.Account == "" {
			return nil
		}
		return []string{s.subject("*")}
	}
	var all []string
	for _, k := range s.Kinds {
		all = append(all, s.subject(k))
	}
	return all
}

func (s *Selection) subject(k events.Kind) string {
	return events.Subject{Kind: k, Provider: cmp.Or(s.Provider, "*"), Account: cmp.Or(s.Account, "*"), Last: "*"}.String()
}
