package replay

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/pkg/events"
)

// takes has the accounts take sends, and reports of account a.
func (r *rig) takes(accounts ...string) {
	r.Helper()
	for _, account := range accounts {
		err := events.PutContract(r.Context(), r.JS, events.Contract{
			Provider: "shop", Account: account,
			Sends:   []events.SendForm{{Recipient: events.ByPhone, Content: events.ContentText}},
			Reports: []events.ReportForm{{Name: "shop.counts"}},
		})
		if err != nil {
			r.Fatal(err)
		}
	}
}

func resendJob(how Resend) *Job {
	return &Job{Name: "again", Target: broker.Requests, Rate: 10_000, Resend: &how, Selection: Selection{Provider: "shop"}}
}

func TestResend(t *testing.T) {
	r := newRig(t)
	r.takes("a")
	r.store(20) // 20 sends, 2 reports of account a
	r.end("a", events.StateFailed, events.Urgent)
	r.end("a", events.StateUnknown, events.Normal)
	resender := NewResender(r.JS)
	j := resendJob(Resend{States: []events.State{events.StateAccepted, events.StateFailed}, Class: events.Bulk, ExpiresIn: time.Hour})
	plan, err := r.jobs.Plan(t.Context(), j, resender)
	if err != nil {
		t.Fatal(err)
	}
	if plan.Results != 24 || plan.Requests != 11 || plan.Recipients != 11 || plan.Accounts != 1 || plan.Kinds[events.KindSend] != 11 || len(plan.Refused) != 1 {
		t.Errorf("got %+v", plan)
	}
	for why, n := range plan.Refused {
		if n != 10 || !strings.Contains(why, "it would be refused again") {
			t.Errorf("%d are refused: %s", n, why)
		}
	}
	if n := r.Count(broker.Requests); n != 0 {
		t.Errorf("the plan published %d", n)
	}

	if err := r.jobs.New(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	early := *j
	if err := r.jobs.Run(t.Context(), j, resender, func(*Job) {}); err != nil {
		t.Fatal(err)
	}
	if j.Published != 11 || j.Seen.Refused != 10 {
		t.Errorf("record %+v", j)
	}
	ids := map[string]bool{}
	for _, m := range r.All(broker.Requests) {
		stored, err := broker.ParseStored(m.Subject)
		if err != nil {
			t.Fatal(err)
		}
		req, err := events.DecodeRequest(stored.Public().String(), m.Header, m.Data)
		if err != nil {
			t.Fatal(err)
		}
		ids[req.ID] = true
		if req.Class != events.Bulk || req.Account != "a" || !strings.HasPrefix(req.AncestorID, "r-") || req.Source != "/test" || req.Timing().ExpiresAtMS < time.Now().UnixMilli() {
			t.Errorf("published %+v", req)
		}
	}
	if len(ids) != 11 {
		t.Errorf("%d ids, want 11", len(ids))
	}

	// As if the process had died before it recorded anything, long ago.
	early.revision = j.revision
	time.Sleep(150 * time.Millisecond) // for the broker to forget
	if err := r.jobs.Run(t.Context(), &early, resender, func(*Job) {}); err != nil {
		t.Fatal(err)
	}
	if n := r.Count(broker.Requests); n != 11 {
		t.Errorf("%d requests after it went on, want 11", n)
	}
	if err := r.jobs.Run(t.Context(), j, makerOf(right), func(*Job) {}); !errors.Is(err, ErrOtherWork) {
		t.Errorf("with other work: got %v", err)
	}
}

func TestResend_byClass(t *testing.T) {
	r := newRig(t)
	r.takes("a", "b")
	r.store(20)
	r.end("a", events.StateFailed, events.Urgent)
	for class, want := range map[events.Class]int{events.Urgent: 1, events.Normal: 20, events.Bulk: 2, "": 23} {
		plan, err := r.jobs.Plan(t.Context(), resendJob(Resend{States: ResendStates, Of: class, Class: events.Bulk}), NewResender(r.JS))
		if err != nil || plan.Requests != want || len(plan.Refused) > 0 {
			t.Errorf("%q: got %+v, %v, want %d", class, plan, err, want)
		}
	}
}

// end stores the result of a send that ended so.
func (r *rig) end(account string, state events.State, class events.Class) {
	r.Helper()
	r.result(account, &events.Request{
		Kind: events.KindSend, Class: class,
		Send: &events.Send{Recipient: events.Recipient{Kind: events.ByPhone, Value: fmt.Sprintf("08%08d", r.seq)}, Content: events.Content{Kind: events.ContentText, Text: "chào"}},
	}, state, "{}")
	<-r.JS.PublishAsyncComplete()
}
