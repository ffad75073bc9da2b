package dispatcher

import (
	"fmt"
	"slices"
	"testing"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// control tells the dispatchers what an operator does.
func (r *rig) control(account string, paused bool, by, reason string) {
	r.t.Helper()
	data, err := ledger.EncodeControl(ledger.Control{Paused: paused, By: by, Reason: reason})
	if err != nil {
		r.t.Fatal(err)
	}
	if _, err := r.b.JS.Publish(r.t.Context(), broker.ControlPrefix+"fake."+account, data); err != nil {
		r.t.Fatal(err)
	}
}

// told waits until the world knows that the account is in a state, and returns
// all that was told about it.
func (r *rig) told(account string, state events.LaneState) (all []*events.Lane) {
	r.t.Helper()
	r.eventually(func() string {
		all = nil
		err := r.read.Replay(r.t.Context(), broker.Events, "tram.lane.fake."+account+".*", 1, func(m *broker.Stored) error {
			e, err := events.DecodeEvent(m.Subject, m.Header, m.Data)
			if err == nil {
				all = append(all, e.Lane)
			}
			return err
		})
		switch {
		case err != nil:
			return err.Error()
		case len(all) == 0 || all[len(all)-1].State != state:
			return fmt.Sprintf("told about %s: %v, want %s last", account, states(all), state)
		}
		return ""
	})
	return all
}

func states(all []*events.Lane) (s []events.LaneState) {
	for _, e := range all {
		s = append(s, e.State)
	}
	return s
}

// Nothing of a paused account is called, whoever owns it, until it is resumed.
func TestAPauseHolds(t *testing.T) {
	r := newRig(t)
	defer r.cutOff(nil, func() bool { return len(r.told("shop", events.LanePaused)) > 0 }, func() {
		r.ends(r.send("shop", events.Normal, "before", nil))
		r.control("shop", true, "an", "their office moves")
	})()
	var seqs []uint64
	for i := range 5 {
		seqs = append(seqs, r.send("shop", events.Urgent, fmt.Sprint("p", i), nil))
	}
	for i := range 2 { // taken over from one that is cut off, then from one that stops
		d := r.dispatcher(r.b.Conn, nil)
		stop := r.run(d)
		r.ends(r.send("bank", events.Normal, fmt.Sprint("b", i), nil))
		r.eventually(func() string {
			for _, l := range d.Lanes() {
				if l.Account == "shop" && l.Queued[0] == len(seqs) && l.State == events.LanePaused && l.By == "an" && l.Why == "their office moves" {
					return ""
				}
			}
			return fmt.Sprintf("lanes are %+v, want shop paused with %d requests", d.Lanes(), len(seqs))
		})
		stop()
	}
	if n := len(r.calls("shop")); n != 1 {
		t.Errorf("%d calls of the paused account", n-1)
	}
	r.start(nil)
	r.control("shop", false, "binh", "")
	r.ends(seqs...)
	all := r.told("shop", events.LaneWorking)
	if want := []events.LaneState{events.LanePaused, events.LaneWorking}; !slices.Equal(states(all), want) {
		t.Errorf("told %v, want %v, each once", states(all), want)
	}
	if p, w := all[0], all[1]; p.By != "an" || p.Why.Detail != "their office moves" || p.Was != events.LaneWorking || w.By != "binh" || w.Was != events.LanePaused {
		t.Errorf("told %+v, then %+v", p, w)
	}
}

// An account that has no requests is paused all the same, and somebody says so.
func TestAnIdleAccountIsPaused(t *testing.T) {
	r := newRig(t)
	r.control("shop", true, "an", "")
	if _, err := r.b.JS.Publish(t.Context(), broker.ControlPrefix+"fake.slow", []byte("please pause")); err != nil {
		t.Fatal(err)
	}
	r.start(nil)
	r.ends(r.send("slow", events.Normal, "stray", nil)) // what nobody understands stops nothing
	r.told("shop", events.LanePaused)
	r.send("shop", events.Normal, "waits", nil)
	r.control("bank", true, "an", "")
	r.told("bank", events.LanePaused)
	r.b.Stop() // whoever is told something meanwhile is told it later
	r.b.Restart()
	r.control("bank", false, "an", "")
	r.ends(r.send("bank", events.Normal, "goes", nil))
	if n := len(r.calls("shop")); n != 0 {
		t.Errorf("%d calls of the paused account", n)
	}
}

// A refused credential is told once, although every owner of the account tries
// it once, and it is taken again when a call says so.
func TestARefusedCredentialIsToldOnce(t *testing.T) {
	r := newRig(t)
	r.answers(func(_ int, c call) (int, channels.Verdict) {
		if c.account == "shop" {
			return 401, channels.Verdict{Class: channels.Auth, Reason: "credential", ProviderText: "no, 0900000001"}
		}
		return 200, channels.Verdict{Class: channels.OK}
	})
	change := func(c *Config) { c.Accounts[0].Concurrency = 1 }
	var seqs []uint64
	for i := range 5 {
		seqs = append(seqs, r.send("shop", events.Normal, fmt.Sprint("r", i), nil))
	}
	tries := func(before int) {
		r.eventually(func() string {
			if len(r.calls("shop")) > before {
				return ""
			}
			return "a new owner does not try the credential"
		})
	}
	for owner := range 3 {
		before := len(r.calls("shop"))
		stop := r.start(change)
		tries(before)
		r.told("shop", events.LaneCredentialRefused)
		r.ends(r.send("bank", events.Normal, fmt.Sprint("b", owner), nil))
		stop()
	}
	refused := len(r.calls("shop"))
	r.start(change)
	tries(refused)
	r.answers(nil)
	r.control("shop", false, "an", "")
	r.ends(seqs...)
	all := r.told("shop", events.LaneWorking)
	if want := []events.LaneState{events.LaneCredentialRefused, events.LaneWorking}; !slices.Equal(states(all), want) {
		t.Errorf("told %v, want %v, each once", states(all), want)
	}
	if why := all[0].Why; why.Reason != "credential" || why.HTTPStatus != 401 || why.ProviderText != "" {
		t.Errorf("told that the credential was refused because of %+v", why)
	}
}

// An owner that dies before it has noted that the credential is taken again has
// left results that say so. No request may come for long, to try it by.
func TestATakeOverLearnsThatACredentialIsTaken(t *testing.T) {
	r := newRig(t)
	r.answers(func(int, call) (int, channels.Verdict) {
		return 401, channels.Verdict{Class: channels.Auth, Reason: "credential"}
	})
	seq := r.send("shop", events.Normal, "1", nil)
	stop := r.start(nil)
	r.told("shop", events.LaneCredentialRefused)
	stop()
	marks, err := r.b.JS.KeyValue(t.Context(), broker.CheckpointsBucket)
	if err != nil {
		t.Fatal(err)
	}
	key := fmt.Sprint("ck.", broker.Partition("fake", "shop", r.partitions))
	refused, err := marks.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	r.answers(nil)
	stop = r.start(nil)
	r.ends(seq)
	before := len(r.told("shop", events.LaneWorking))
	stop()
	if _, err := marks.Put(t.Context(), key, refused.Value()); err != nil { // it never wrote another
		t.Fatal(err)
	}
	r.start(nil)
	r.eventually(func() string {
		if all := r.told("shop", events.LaneWorking); len(all) <= before {
			return fmt.Sprintf("told %v, want once more that it works", states(all))
		}
		return ""
	})
	if n := len(r.calls("shop")); n != 2 {
		t.Errorf("%d calls, want 2", n)
	}
}
