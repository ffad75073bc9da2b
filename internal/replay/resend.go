package replay

import (
	"context"
	"errors"
	"hash/maphash"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/internal/renew"
	"github.com/tramhq/tram/pkg/events"
)

// A Resend says which requests are sent again, and how. Only requests that have
// ended are; each gets a new id, and the old one as its ancestor.
type Resend struct {
	States    []events.State `json:"states"`               // that they ended as
	Of        events.Class   `json:"of,omitempty"`         // their class; "" is all
	Class     events.Class   `json:"class"`                // of the new ones
	ExpiresIn time.Duration  `json:"expires_in,omitempty"` // 0: as they would have, or never if that has passed
}

// ResendStates are the ends of requests that can be sent again. Those that ended
// as unknown have dead letters, and can be resolved.
var ResendStates = []events.State{
	events.StateAccepted, events.StateDone, events.StateFailed, events.StateRejected, events.StateExpired, events.StateCancelled,
}

// A Resender makes of requests that have ended others.
type Resender struct{ contracts *renew.Contracts }

// NewResender returns a resender for the relay that js leads to.
func NewResender(js jetstream.JetStream) *Resender {
	return &Resender{contracts: renew.NewContracts(js, patience)}
}

// whyMalformed is why a request that could not be read is not sent again.
const whyMalformed = "its event is malformed and would be refused again"

// choose returns the request of a result if it is to be sent again, and why it
// is not, or neither.
func (rs *Resender) choose(ctx context.Context, m *broker.Stored, how *Resend) (r *ledger.Result, req *events.Request, why string, err error) {
	r, err = ledger.DecodeResult(m.Data)
	// What an operator has resolved told of an end that has had its dead letter.
	if err != nil || r.Resolved || r.State == "" || !r.State.Final() || !slices.Contains(how.States, r.State) {
		return nil, nil, "", nil
	}
	req, invalid := events.DecodeRequest(r.Request.Subject, r.Request.Header, r.Request.Data)
	switch {
	case req != nil && how.Of != "" && req.Class != how.Of:
		return nil, nil, "", nil
	case invalid != nil:
		return r, req, whyMalformed, nil
	}
	why, err = rs.contracts.Refuses(ctx, req)
	return r, req, why, err
}

func (rs *Resender) fill(ctx context.Context, b *batch, j *Job) {
	b.made = make([][]*nats.Msg, len(b.results))
	for i, m := range b.results {
		b.seen.Results++
		r, req, why, err := rs.choose(ctx, m, j.Resend)
		if err == nil && why != "" {
			b.seen.Refused++
			continue
		}
		if err == nil && r != nil {
			var again *nats.Msg
			if again, err = renew.Request(req, resendID(j, r, req), j.Resend.Class, j.At, renew.Expiry(req, time.Now(), j.Resend.ExpiresIn)); err == nil {
				b.made[i] = []*nats.Msg{again}
			}
		}
		if err != nil {
			b.err = err
			return
		}
	}
}

// resendID is the id under which j sends a request again. It is always the same,
// and different for another job.
func resendID(j *Job, r *ledger.Result, req *events.Request) string {
	return "resend-" + events.DeterministicID(j.Name, req.Source, req.ID, strconv.FormatUint(r.Seq, 10))
}

// A Plan says what a job that sends requests again would do, as things are now.
type Plan struct {
	Results    int                 `json:"results"`
	Requests   int                 `json:"requests"` // to be published
	Kinds      map[events.Kind]int `json:"kinds"`
	Recipients int                 `json:"recipients"` // of sends: different ones
	Accounts   int                 `json:"accounts"`
	Lifted     int                 `json:"expired"` // requests whose time was over, and that get none or a new one
	Refused    map[string]int      `json:"refused"` // requests that are not sent again, by the reason
}

// Plan looks at everything that j is about, and changes nothing.
func (jobs *Jobs) Plan(ctx context.Context, j *Job, rs *Resender) (*Plan, error) {
	p := &Plan{Kinds: map[events.Kind]int{}, Refused: map[string]int{}}
	seed, now := maphash.MakeSeed(), time.Now()
	recipients, accounts := map[uint64]bool{}, map[[2]string]bool{}
	err := jobs.read.Scan(ctx, broker.Results, j.window(), func(m *broker.Stored) error {
		p.Results++
		r, req, why, err := rs.choose(ctx, m, j.Resend)
		switch {
		case err != nil:
			return err
		case why != "":
			p.Refused[why]++
			return nil
		case r == nil:
			return nil
		}
		p.Requests++
		p.Kinds[req.Kind]++
		accounts[[2]string{req.Provider, req.Account}] = true
		if req.Send != nil {
			recipients[maphash.Comparable(seed, [2]string{req.Provider, req.Send.Recipient.Value})] = true
		}
		if req.Expired(now) {
			p.Lifted++
		}
		return nil
	})
	p.Recipients, p.Accounts = len(recipients), len(accounts)
	return p, err
}

// ErrOtherWork says that a job does something else.
var ErrOtherWork = errors.New("that replay is of the other sort: tram replay list shows them")
