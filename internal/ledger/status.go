package ledger

import (
	"slices"
	"strings"

	"github.com/tramhq/tram/pkg/events"
)

// A StatusRequest asks every dispatcher how it stands. It is sent as JSON to
// [broker.StatusSubject], and answered by one or more [Status].
type StatusRequest struct {
	Accounts []string `json:"accounts,omitempty"` // provider or provider/account: these only
	All      bool     `json:"all,omitempty"`      // lanes that work as usual, too
	None     bool     `json:"none,omitempty"`     // no lanes at all
}

// Wants reports whether the answer is to have the lane. Of lanes that are named
// all are wanted, of the others those that have something to say: that they are
// held back, or do not keep up.
func (r *StatusRequest) Wants(l *Lane) bool {
	if r.None {
		return false
	}
	if len(r.Accounts) > 0 {
		return slices.ContainsFunc(r.Accounts, func(name string) bool {
			provider, account, one := strings.Cut(name, "/")
			return provider == l.Provider && (!one || account == l.Account)
		})
	}
	return r.All || l.Remarkable()
}

// Remarkable reports whether the lane is held back or does not keep up. Quiet
// hours are worth a remark when something waits for their end.
func (l *Lane) Remarkable() bool {
	if l.State != LaneIdle && l.State != events.LaneWorking || slices.Contains(l.Behind[:], true) {
		return true
	}
	for i, class := range events.Classes {
		if l.Quiet[class] != 0 && l.Queued[i] > 0 {
			return true
		}
	}
	return false
}

// Status is how one dispatcher stands, or a part of it.
type Status struct {
	ID         string `json:"id"`         // of the process
	Member     string `json:"member"`     // under which it owns partitions; "" if it owns none
	NowMS      int64  `json:"now_ms"`     // its clock
	StartedMS  int64  `json:"started_ms"` // by its clock
	Version    string `json:"version,omitempty"`
	Partitions int    `json:"partitions"` // that it owns
	LaneCount  int    `json:"lane_count"` // accounts it has had requests of
	InFlight   int    `json:"in_flight"`  // requests being executed
	Lanes      []Lane `json:"lanes,omitempty"`
	More       bool   `json:"more,omitempty"` // another part follows, with more lanes
}
