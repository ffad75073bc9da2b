package sandbox

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"
)

// How is the way in which a fault spoils an answer.
type How string

const (
	Plain       How = ""             // the answer arrives; used with Status or DelayMS
	ResetEarly  How = "reset_early"  // connection reset before the body is read: never carried out
	Reset       How = "reset"        // connection reset after the body was read
	Hang        How = "hang"         // no answer until the caller gives up
	CutOff      How = "cut_off"      // the connection ends in the middle of the answer's body
	Drip        How = "drip"         // the body comes byte by byte, 20 a second
	WrongLength How = "wrong_length" // Content-Length says half of the body, the rest follows it
	Malformed   How = "malformed"    // bytes that are not HTTP
	HTML        How = "html"         // a login page
	Redirect    How = "redirect"     // 302; whoever follows it is journaled as sandbox.followed
	Huge        How = "huge"         // a body of Size bytes; default 256 MiB
	GzipBomb    How = "gzip_bomb"    // a small body that unpacks to Size bytes; default 1 GiB
)

// A Fault makes some calls go wrong. Of several that match a call the oldest
// one acts.
//
// Whether the call is carried out, so that its recipient gets the message, is
// what matters most about it. It is, when the fault spoils the provider's own
// answer: Plain with a delay only, Reset, Hang, CutOff, Drip, WrongLength. It
// is not, unless CarryOut is set, when the fault answers in the provider's
// place: any Status, Malformed, HTML, Redirect, Huge, GzipBomb.
type Fault struct {
	ID int64 `json:"id"` // given by AddFault

	// Which calls; what is empty matches all.
	Provider  string `json:"provider,omitempty"`
	Operation string `json:"operation,omitempty"`
	Account   string `json:"account,omitempty"`
	Recipient string `json:"recipient,omitempty"`

	Nth         int     `json:"nth,omitempty"`         // only the nth of them, from 1
	Probability float64 `json:"probability,omitempty"` // of each; 0 is always
	Seed        uint64  `json:"seed,omitempty"`        // of Probability
	Count       int     `json:"count,omitempty"`       // at most so many; 0 is no end
	ForMS       int64   `json:"for_ms,omitempty"`      // milliseconds from now; 0 is no end

	// What happens.
	DelayMS  int64             `json:"delay_ms,omitempty"` // before it, in milliseconds
	Status   int               `json:"status,omitempty"`   // 200 to 599
	Header   map[string]string `json:"header,omitempty"`
	Body     string            `json:"body,omitempty"`
	Echo     bool              `json:"echo,omitempty"` // Body is the request itself, with its secrets; so are X-Request-Id and, of Redirect, Location
	CarryOut bool              `json:"carry_out,omitempty"`
	How      How               `json:"how,omitempty"`
	Size     int64             `json:"size,omitempty"` // bytes

	Seen int64 `json:"seen"` // calls that it matched
	Hits int64 `json:"hits"` // calls that it spoiled
}

// replaces says whether the fault answers in the provider's place.
func (f *Fault) replaces() bool {
	return f.Status != 0 || slices.Contains([]How{Malformed, HTML, Redirect, Huge, GzipBomb}, f.How)
}

// silent says whether the caller gets no answer.
func (f *Fault) silent() bool {
	return slices.Contains([]How{ResetEarly, Reset, Hang, Malformed}, f.How)
}

func (f *Fault) validate() error {
	known := []How{Plain, ResetEarly, Reset, Hang, CutOff, Drip, WrongLength, Malformed, HTML, Redirect, Huge, GzipBomb}
	var errs []error
	refuse := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	refuse(!slices.Contains(known, f.How), "how %q: must be one of %q", f.How, known[1:])
	refuse(f.Status != 0 && (f.Status < 200 || f.Status > 599), "status %d: must be from 200 to 599", f.Status)
	refuse(f.Probability < 0 || f.Probability > 1, "probability %v: must be from 0 to 1", f.Probability)
	refuse(f.Nth < 0 || f.Count < 0 || f.ForMS < 0 || f.DelayMS < 0 || f.Size < 0, "a negative number")
	refuse(f.How == ResetEarly && f.Recipient != "", "reset_early comes before the recipient is known")
	refuse(f.How == ResetEarly && f.CarryOut, "reset_early is never carried out")
	refuse(f.How == Plain && f.Status == 0 && f.DelayMS == 0, "nothing happens: how, status or delay_ms is needed")
	refuse(f.Status == 0 && (f.Body != "" || len(f.Header) != 0 || f.Echo) && !f.replaces(), "header and body need a status, and so does echo")
	refuse(f.Echo && f.Body != "", "echo and body are one too many")
	return errors.Join(errs...)
}

func (f *Fault) delay() time.Duration {
	if f == nil {
		return 0
	}
	return time.Duration(f.DelayMS) * time.Millisecond
}

// answer is what the caller gets to hear: the provider's own answer or the
// fault's. Its accepted says whether the call is carried out.
func (f *Fault) answer(r *http.Request, own answer) answer {
	if f == nil || !f.replaces() {
		return own
	}
	a := answer{
		status:   f.Status,
		header:   map[string]string{"Content-Type": "application/json; charset=utf-8"},
		body:     []byte(f.Body),
		accepted: own.accepted && f.CarryOut,
	}
	if f.Echo {
		a.body = echo(r)
		a.header["X-Request-Id"] = url.QueryEscape(r.URL.RawQuery+r.Header.Get("Authorization")) + codes(r.Header.Get("Authorization"), ` \\u%04x`)
	}
	if a.status == 0 {
		a.status = http.StatusOK
	}
	switch f.How {
	case HTML:
		a.header["Content-Type"] = "text/html; charset=utf-8"
		if len(a.body) == 0 {
			a.body = []byte("<!doctype html><title>Login</title><form action=/login><input name=user></form>")
		}
	case Redirect:
		if f.Status == 0 {
			a.status = http.StatusFound
		}
		a.header["Location"] = adminPrefix + "followed"
		if f.Echo {
			a.header["Location"] += "?" + r.URL.RawQuery + "&" + url.QueryEscape(r.Header.Get("Authorization"))
		}
	}
	for name, value := range f.Header {
		a.header[http.CanonicalHeaderKey(name)] = value
	}
	return a
}

// faults are what was asked for, oldest first.
type faults struct {
	mu     sync.Mutex
	lastID int64
	list   []*activeFault
}

type activeFault struct {
	Fault
	until  time.Time // zero is no end
	random *rand.Rand
}

// pick returns the fault that spoils the request, if any. Those that act before
// the body is read are asked for early.
func (fs *faults) pick(r *request, early bool) *Fault {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for _, f := range fs.list {
		if (f.How == ResetEarly) == early && f.hits(r) {
			copied := f.Fault
			return &copied
		}
	}
	return nil
}

func (f *activeFault) hits(r *request) bool {
	c := Call{Provider: r.api.name, Operation: r.op.name, Recipient: r.recipient}
	if r.state != nil {
		c.Account = r.state.ID
	}
	which := Filter{Provider: f.Provider, Operation: f.Operation, Account: f.Account, Recipient: f.Recipient}
	switch {
	case !f.until.IsZero() && !r.at.Before(f.until), f.Count > 0 && f.Hits >= int64(f.Count), !which.matches(&c):
		return false
	}
	f.Seen++
	if f.Nth > 0 && f.Seen != int64(f.Nth) || f.Probability > 0 && f.random.Float64() >= f.Probability {
		return false
	}
	f.Hits++
	return true
}

// AddFault lets f act from now on and returns its id.
func (s *Server) AddFault(f Fault) (int64, error) {
	if err := f.validate(); err != nil {
		return 0, fmt.Errorf("add fault: %w", err)
	}
	fs := &s.faults
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.lastID++
	f.ID, f.Seen, f.Hits = fs.lastID, 0, 0
	active := &activeFault{Fault: f, random: rand.New(rand.NewPCG(f.Seed, 0))}
	if f.ForMS > 0 {
		active.until = s.options.Now().Add(time.Duration(f.ForMS) * time.Millisecond)
	}
	fs.list = append(fs.list, active)
	return f.ID, nil
}

// Faults returns the faults with what they did, oldest first.
func (s *Server) Faults() []Fault {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	list := []Fault{}
	for _, f := range s.faults.list {
		list = append(list, f.Fault)
	}
	return list
}

// RemoveFault ends one fault and returns whether there was one.
func (s *Server) RemoveFault(id int64) bool {
	fs := &s.faults
	fs.mu.Lock()
	defer fs.mu.Unlock()
	before := len(fs.list)
	fs.list = slices.DeleteFunc(fs.list, func(f *activeFault) bool { return f.ID == id })
	return len(fs.list) < before
}

// ClearFaults ends all faults.
func (s *Server) ClearFaults() {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.list = nil
}
