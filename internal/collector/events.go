package collector

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/internal/telemetry"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// Events returns what r has to tell, ready to be published and in this order:
// stats, records, the delivery or outcome, dead letters. It depends on nothing
// but its arguments: the same result gives the same bytes, and the same ids, by
// which the broker and the readers know a repetition. past is what dead letters
// say of the calls before. p and a may be nil, if the collector does not know the
// provider or the account any more.
//
// The error is for the log. Whatever it says, a dead letter among the messages
// says too, and nothing more can be made of r.
func Events(r *ledger.Result, past History, p channels.Provider, a *channels.Account) ([]*nats.Msg, error) {
	// What is wrong with a request its dispatcher has found out: r says so.
	// Here only counts what could be read.
	req, reqErr := events.DecodeRequest(r.Request.Subject, r.Request.Header, r.Request.Data)
	t := &translation{r: r, past: past, stack: r.Stack, req: req}
	if req == nil {
		t.about.Provider, t.about.Account = nowhere, nowhere
		t.deadAnswer(reasonUnreadableResult, reqErr.Error())
		return t.msgs, reqErr
	}
	t.identify(reqErr)

	var h *channels.Harvest
	var unread *unreadError
	if r.Parse && req.Kind != events.KindSend {
		if h, unread = parse(p, a, t.about, req, r); unread != nil {
			t.errs = append(t.errs, unread)
			t.stack = cmp.Or(unread.stack, t.stack)
			t.deadAnswer(unread.reason, unread.Error())
		} else {
			t.harvest(h)
		}
	}
	switch {
	case r.State == "": // the request goes on
	case req.Kind == events.KindSend:
		t.delivery()
	default:
		t.outcome(h, unread)
	}
	if t.refused > 0 {
		t.deadAnswer(reasonEventRefused, fmt.Sprintf("%d events are not told whole; the first, %s", t.refused, t.firstRefused))
	}
	if r.Dead != "" {
		t.dead(r.Dead, r.Why)
	}
	return t.msgs, errors.Join(t.errs...)
}

// A translation gathers the events of one result.
type translation struct {
	r     *ledger.Result
	past  History
	stack string // of a panic, for the dead letter
	req   *events.Request
	about events.About
	ids   []string // by which the events' own ids know the request
	msgs  []*nats.Msg
	errs  []error

	refused      int // events that the contract does not take as they are
	firstRefused string
}

// identify fills in which request the events are about.
//
// A request that could not be read has no claim on its id: whoever publishes
// garbage under the id of another's request must not take away the event that
// ends it. Its place in the stream stands for it instead.
func (t *translation) identify(unreadable error) {
	seq := ledger.Place(t.r.Seq)
	t.about = events.About{
		Provider: token(t.req.Provider), Account: token(t.req.Account),
		RequestID: t.req.ID, RequestSource: t.req.Source, AncestorID: t.req.AncestorID, Context: t.req.Context(),
	}
	if !plain(t.req.ID) {
		t.about.RequestID = seq
	}
	if !plain(t.req.Source) {
		t.about.RequestSource = ""
	}
	if !plain(t.req.AncestorID) {
		t.about.AncestorID = ""
	}
	t.ids = t.r.Request.EventIDs(t.about.RequestSource, t.about.RequestID)
	if unreadable != nil {
		t.ids = []string{"", seq}
	}
}

// meta is the envelope of an event that came to be at atMS. The parts tell it
// apart from the other events of its kind that the request has.
func (t *translation) meta(k events.Kind, atMS int64, parts ...string) events.Meta {
	return events.Meta{
		ID:     events.DeterministicID(slices.Concat([]string{string(k)}, t.ids, parts)...),
		Source: events.Source, Time: time.UnixMilli(atMS),
		Traceparent: t.traceparent(k), Tracestate: t.req.Tracestate, AncestorID: t.about.AncestorID,
	}
}

// traceparent names the span that sends the events of a kind. Where the
// dispatcher has made no spans, nothing comes between the producer's and those
// who read the event.
func (t *translation) traceparent(k events.Kind) string {
	if t.r.Trace == "" {
		return t.req.Traceparent
	}
	return telemetry.Child(t.r.Trace, string(k))
}

// occasion tells a request's deliveries or outcomes apart. All that could end
// it share one id, so that it ends once whatever happens; so do all that an
// operator could say about an end as unknown.
func (t *translation) occasion() string {
	switch {
	case t.r.Resolved: // after an end as unknown
		return "resolved"
	case t.r.State.Final():
		return "final"
	}
	return strconv.Itoa(t.r.Call)
}

func (t *translation) delivery() {
	r := t.r
	d := events.Delivery{
		About: t.about, State: r.State, Final: r.State.Final(), Attempt: r.Attempt, AtMS: r.AtMS,
		Evidence: r.Evidence, ProviderMessageID: r.MessageID, RetryAtMS: r.RetryAtMS,
		Warnings: r.Warnings, Why: r.Why,
	}
	if t.req.Send != nil {
		d.Recipient = t.req.Send.Recipient
	}
	meta := t.meta(events.KindDelivery, r.AtMS, t.occasion())
	msg, err := events.EncodeDelivery(meta, &d)
	if err != nil {
		t.refuse("the delivery", err)
		d.About, d.Why, d.Warnings = shortAbout(d.About), shortWhy(d.Why), []string{warnShortened}
		d.Recipient = events.Recipient{Kind: short(d.Recipient.Kind), Value: short(d.Recipient.Value)}
		d.ProviderMessageID = short(d.ProviderMessageID)
		msg, err = events.EncodeDelivery(meta, &d)
	}
	t.add(msg, err)
}

// outcome tells how the request stands. The dispatcher has parsed the answer
// too, so unread means that this collector knows the provider less well; a
// report whose data are not there is not done, whoever lost them.
func (t *translation) outcome(h *channels.Harvest, unread *unreadError) {
	r := t.r
	o := events.Outcome{
		About: t.about, Kind: t.req.Kind, Name: t.name(),
		State: r.State, Final: r.State.Final(), Attempt: r.Attempt, AtMS: r.AtMS,
		Stats: r.Stats, Records: r.Records, RetryAtMS: r.RetryAtMS, Warnings: r.Warnings, Why: r.Why,
	}
	if t.req.Kind == events.KindReport {
		o.Pages = max(r.Step-1, 0)
		if r.Parse {
			o.Pages = r.Step
		}
	}
	if h != nil {
		o.Result = h.Result
	}
	if unread != nil && r.State == events.StateDone {
		o.State, o.Why = events.StateFailed, whyAnswer(unread.reason, unread.Error(), r.Answer)
	}
	meta := t.meta(events.KindOutcome, r.AtMS, t.occasion())
	msg, err := events.EncodeOutcome(meta, &o)
	if err != nil {
		t.refuse("the outcome", err)
		o.About, o.Why, o.Warnings = shortAbout(o.About), shortWhy(o.Why), []string{warnShortened}
		o.Name, o.Result = short(o.Name), short(o.Result)
		msg, err = events.EncodeOutcome(meta, &o)
	}
	t.add(msg, err)
}

// name is what the request asked for.
func (t *translation) name() string {
	switch {
	case t.req.Report != nil:
		return t.req.Report.Report
	case t.req.Command != nil:
		return t.req.Command.Command
	case t.req.Cancel != nil:
		return t.req.Cancel.ID
	}
	return ""
}

func (t *translation) add(msg *nats.Msg, err error) {
	if err != nil {
		t.errs = append(t.errs, err)
		return
	}
	t.msgs = append(t.msgs, msg)
}

// refuse notes that an event is not told, or not whole. One dead letter tells
// of all of them: each has the answer in it.
func (t *translation) refuse(what string, err error) {
	if t.refused++; t.refused == 1 {
		t.firstRefused = what + ": " + err.Error()
		t.errs = append(t.errs, err)
	}
}

// warnShortened stands in an event that was too large whole. The dead letter
// that goes with it has the rest.
const warnShortened = "shortened"

// maxShort bounds each text of an event that was too large whole.
const maxShort = 1 << 10

func short[S ~string](s S) S {
	if len(s) > maxShort {
		return ""
	}
	return s
}

func shortAbout(a events.About) events.About {
	a.Context = events.Context{Tenant: short(a.Tenant), CorrelationID: short(a.CorrelationID)}
	return a
}

func shortWhy(w events.Why) events.Why {
	return events.Why{
		Class: short(w.Class), Reason: short(w.Reason), Detail: short(w.Detail),
		HTTPStatus: w.HTTPStatus, ProviderCode: short(w.ProviderCode), ProviderText: short(w.ProviderText),
	}
}

// nowhere stands for a provider or account that has no name.
const nowhere = "_"

// token makes a subject token of a name that may be anything: requests to
// accounts that do not exist are told about as well.
func token(name string) string {
	switch t := events.Token(name); {
	case t == "":
		return nowhere
	case len(t) > 64:
		return t[:64]
	default:
		return t
	}
}

// plain reports whether an id or source is one that the contract allows.
func plain(s string) bool {
	bad := func(c byte) bool { return c <= ' ' || c > '~' || c == '"' || c == '%' }
	return s != "" && len(s) <= 128 && !slices.ContainsFunc([]byte(s), bad)
}
