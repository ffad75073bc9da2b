package sandbox

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Outcome is what became of a call at the provider's side.
type Outcome string

const (
	Accepted Outcome = "accepted" // carried out, whatever the caller got to hear
	Refused  Outcome = "refused"  // by the provider's own rules
	Lost     Outcome = "lost"     // by a fault, and not carried out
)

// A Call is one call as the provider saw it. It never holds a token.
type Call struct {
	Seq        int64     `json:"seq"` // from 1
	At         time.Time `json:"at"`  // arrival
	Provider   string    `json:"provider"`
	Account    string    `json:"account"` // as in the path; "?" if the provider does not know it
	Operation  string    `json:"operation"`
	Recipient  string    `json:"recipient,omitempty"`
	Content    string    `json:"content,omitempty"` // digest of what the recipient gets
	Request    string    `json:"request"`           // digest of method, path, query and body
	Connection string    `json:"connection"`        // address of the caller's end
	Status     int       `json:"status"`            // 0: no answer at all
	Outcome    Outcome   `json:"outcome"`
	Reason     string    `json:"reason,omitempty"` // of a refusal
	Fault      How       `json:"fault,omitempty"`
	FaultID    int64     `json:"fault_id,omitempty"`
}

// call is the request's line in the journal.
func (r *request) call(ans answer, f *Fault) Call {
	c := Call{
		At:         r.at,
		Provider:   r.api.name,
		Account:    "?",
		Operation:  r.op.name,
		Recipient:  r.recipient,
		Request:    r.digest(),
		Connection: r.RemoteAddr,
		Status:     ans.status,
		Outcome:    Refused,
		Reason:     ans.reason,
	}
	if r.state != nil {
		c.Account = r.state.ID
	}
	if r.content != "" {
		c.Content = digest(r.content)
	}
	if f != nil {
		c.Fault, c.FaultID, c.Outcome = f.How, f.ID, Lost
		if f.silent() {
			c.Status = 0
		}
	}
	if ans.accepted {
		c.Outcome = Accepted
	}
	return c
}

// digest tells equal requests from different ones without what is secret.
func (r *request) digest() string {
	var b strings.Builder
	b.WriteString(r.Method + " " + r.URL.EscapedPath())
	for _, name := range slices.Sorted(maps.Keys(r.query)) {
		if !strings.HasSuffix(name, "token") {
			b.WriteString("\x00" + name + "=" + strings.Join(r.query[name], "\x00"))
		}
	}
	b.WriteString("\x00")
	b.Write(r.body)
	return digest(b.String())
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:8])
}

// A Filter chooses calls by equality; what is empty chooses all.
type Filter struct {
	Provider, Account, Operation, Recipient string
	Outcome                                 Outcome
}

func (f Filter) matches(c *Call) bool {
	is := func(want, got string) bool { return want == "" || want == got }
	return is(f.Provider, c.Provider) && is(f.Account, c.Account) && is(f.Operation, c.Operation) &&
		is(f.Recipient, c.Recipient) && is(string(f.Outcome), string(c.Outcome))
}

// A journal keeps the newest calls, and counts all.
type journal struct {
	mu    sync.Mutex
	limit int
	calls []Call // a ring once it is full
	seq   int64
	tally tally
}

func newJournal(limit int) *journal {
	if limit == 0 {
		limit = 100_000
	}
	return &journal{limit: limit, tally: newTally()}
}

func (j *journal) add(c Call, send bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.seq++
	c.Seq = j.seq
	j.tally.add(&c, send)
	switch {
	case len(j.calls) < j.limit:
		j.calls = append(j.calls, c)
	case j.limit > 0:
		j.calls[(j.seq-1)%int64(j.limit)] = c
	}
}

// Calls returns the kept calls that f chooses, oldest first.
func (s *Server) Calls(f Filter) []Call {
	j := s.journal
	j.mu.Lock()
	defer j.mu.Unlock()
	found := []Call{}
	for i := range j.calls {
		c := &j.calls[i]
		if j.seq > int64(j.limit) { // the ring's oldest is the next to be replaced
			c = &j.calls[(j.seq+int64(i))%int64(j.limit)]
		}
		if f.matches(c) {
			found = append(found, *c)
		}
	}
	return found
}

// Stats returns the counts of all calls.
func (s *Server) Stats() Stats {
	s.journal.mu.Lock()
	defer s.journal.mu.Unlock()
	return s.journal.tally.stats()
}

// Reset forgets calls, counts, faults and what providers counted against limits.
func (s *Server) Reset() {
	s.ClearFaults()
	for _, st := range s.accounts {
		st.reset()
	}
	j := s.journal
	j.mu.Lock()
	defer j.mu.Unlock()
	j.calls, j.seq, j.tally = nil, 0, newTally()
}
