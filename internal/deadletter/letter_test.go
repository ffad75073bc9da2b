package deadletter

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/ledger"
)

func TestFilter(t *testing.T) {
	r := newRig(t)
	now := time.Now()
	r.bury(send(1), func(d *ledger.DeadLetter) { d.AtMS = now.Add(-time.Hour).UnixMilli() })
	r.bury(send(2), func(d *ledger.DeadLetter) { d.Group, d.Why.Reason = ledger.DeadUnknown, "timeout" })
	r.bury(report(3), func(d *ledger.DeadLetter) { d.Group, d.Why.Reason = ledger.DeadAnswer, "panic" })
	other := send(4)
	other.Provider, other.Account = "else", "where"
	r.bury(other, nil)
	again := send(5)
	again.AncestorID = "order-4"
	r.bury(again, nil)
	if _, err := r.JS.Publish(t.Context(), broker.DeadSubject("refused", "else", "where"), []byte("garbage")); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		f    Filter
		want []uint64
	}{
		"all":      {Filter{}, []uint64{1, 2, 3, 4, 5, 6}},
		"ids":      {Filter{IDs: []uint64{4, 2, 2, 99}}, []uint64{2, 4}},
		"group":    {Filter{Groups: []ledger.DeadGroup{ledger.DeadUnknown}}, []uint64{2}},
		"groups":   {Filter{Groups: []ledger.DeadGroup{ledger.DeadUnknown, ledger.DeadAnswer}}, []uint64{2, 3}},
		"reasons":  {Filter{Reasons: []string{"panic", "quota"}}, []uint64{1, 3, 4, 5}},
		"provider": {Filter{Provider: "else"}, []uint64{4, 6}},
		"account":  {Filter{Account: "shop"}, []uint64{1, 2, 3, 5}},
		"request":  {Filter{Requests: []string{"order-4", "report-3"}}, []uint64{3, 4, 5}},
		"older":    {Filter{Before: now.Add(-time.Minute)}, []uint64{1}},
		"newer":    {Filter{After: now.Add(-time.Minute)}, []uint64{2, 3, 4, 5, 6}},
		"ids and":  {Filter{IDs: []uint64{1, 2}, Reasons: []string{"timeout"}}, []uint64{2}},
	} {
		var got []uint64
		if err := r.box.Each(t.Context(), &c.f, 1<<60, func(l *Letter) error { got = append(got, l.ID); return nil }); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
		if c.f.Empty() != (name == "all") {
			t.Errorf("%s: empty is %v", name, c.f.Empty())
		}
	}
}

func TestWhateverIsInTheStreamIsALetter(t *testing.T) {
	r := newRig(t)
	if _, err := r.JS.Publish(t.Context(), broker.DeadSubject("refused", "fake", "shop"), []byte{0xdf, 0xff, 0xff, 0xff, 0xff}); err != nil {
		t.Fatal(err)
	}
	l, err := r.box.Get(t.Context(), 1)
	if err != nil || l.Why.Reason != ReasonUnreadableLetter || l.Group != ledger.DeadRefused || l.RequestID() != "" {
		t.Errorf("got %+v, %v", l, err)
	}
	if told := r.redrive(r.job(nil))[1]; told.As != AsRefused || told.Why != whyMalformed {
		t.Errorf("redriven: %+v", told)
	}
	if kept, err := r.box.Drop(t.Context(), l); err != nil || kept != nil || r.letters() != nil {
		t.Errorf("dropped: %v, %v", kept, err)
	}
}

func TestExplain(t *testing.T) {
	for _, reason := range []string{"timeout", "quota", "unknown_account", "panic", ReasonNotSent} {
		if e, ok := Explain(reason); !ok || e.What == "" || e.Do == "" || strings.Contains(e.What+e.Do, "](") {
			t.Errorf("%s: %+v", reason, e)
		}
	}
	if _, ok := Explain("retry"); ok {
		t.Error("a class is explained as a reason")
	}
	if n := len(explanations()); n < 40 {
		t.Errorf("%d reasons", n)
	}
}
