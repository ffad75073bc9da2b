package e2e

import (
	"testing"

	"github.com/tramhq/tram/internal/sandbox"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// TestOnAmbiguous loses the answer to every kind of send, once, after it was
// carried out, and looks at what becomes of it as its on_ambiguous says.
func TestOnAmbiguous(t *testing.T) {
	type end struct {
		state    events.State
		evidence bool // that is no assumption
		times    int  // that the recipient got it
	}
	ends := map[events.OnAmbiguous]end{
		events.Hold: {events.StateUnknown, false, 1}, events.Resend: {events.StateAccepted, true, 2}, events.AssumeSent: {events.StateAccepted, false, 1},
	}
	var accounts []channels.Account
	var requests []*events.Request
	boxes, policies := map[string]*sandbox.Server{}, map[string]events.OnAmbiguous{}
	for _, op := range operations() {
		if op.send == nil {
			continue
		}
		for policy := range ends {
			id := op.id + "-" + string(policy)
			box := startSandbox(t, func(account string) string { return "token of " + account })
			if _, err := box.AddFault(sandbox.Fault{How: sandbox.Reset, Count: 1}); err != nil {
				t.Fatal(err)
			}
			s := *op.send
			s.OnAmbiguous, op.send = policy, &s
			boxes[id], policies[id] = box, policy
			accounts = append(accounts, op.relay(id, box.URL(), "token of "+op.account))
			requests = append(requests, op.request(id, id))
		}
	}
	r := startRig(t, providers(), accounts, calls{attempts: 3, timeout: patience})
	r.publish(requests...)
	told := map[string]*events.Event{}
	for id, e := range r.settled(requests) {
		told[id] = e
		d, want := e.Delivery, ends[policies[id]]
		sure := d.Evidence == events.Strong || d.Evidence == events.Weak
		if times := len(boxes[id].Calls(sandbox.Filter{})); d.State != want.state || sure != want.evidence || times != want.times {
			t.Errorf("%s: %s, evidence %q, carried out %d times; want %+v", id, d.State, d.Evidence, times, want)
		}
	}
	for id, l := range r.deadLetters(told) {
		if l.Why.Reason != string(channels.FailReset) || len(l.Attempts) != 1 {
			t.Errorf("%s: dead letter with reason %q and %d attempts", id, l.Why.Reason, len(l.Attempts))
		}
	}
}
