package replay

import (
	"context"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

func TestRun_rebuildsIntoAStreamOfItsOwn(t *testing.T) {
	r := newRig(t)
	r.store(600)
	r.collect(right)
	r.run(r.job(nil), right)
	want, got := content("tram.", r.All(broker.Events)), content("tram.replay.j.", r.All("TRAM_REPLAY_j"))
	if len(want) != 600+3*60 || !maps.Equal(got, want) {
		t.Errorf("made %d events anew, want the same as the %d that are stored", len(got), len(want))
	}
	j, err := r.jobs.Get(t.Context(), "j")
	if err != nil {
		t.Fatal(err)
	}
	if j.Ended.IsZero() || j.Seen.Results != 660 || j.Published != 780 || j.Done != 660 {
		t.Errorf("record %+v", j)
	}
	if err := r.jobs.New(t.Context(), &Job{Name: "j", Keep: time.Hour}); !errors.Is(err, ErrExists) {
		t.Errorf("a second job of the name: %v", err)
	}
	if err := r.jobs.Clean(t.Context(), "j"); err != nil {
		t.Fatal(err)
	}
	if err := r.jobs.Clean(t.Context(), "j"); !errors.Is(err, ErrNoJob) {
		t.Errorf("a second cleaning: %v", err)
	}
	if all, err := r.jobs.All(t.Context()); len(all) > 0 || err != nil {
		t.Errorf("left are %v, %v", all, err)
	}
}

func TestRun_live(t *testing.T) {
	r := newRig(t)
	r.store(20)
	r.collect(wrong)
	before := r.All(broker.Events)
	r.run(r.job(func(j *Job) {
		j.Keep, j.Target, j.Kinds, j.Account = 0, broker.Events, []events.Kind{events.KindStat}, "a"
	}), right)
	again := r.All(broker.Events)[len(before):]
	if len(again) != 4 { // two reports of two stats, both of account a
		t.Fatalf("%d events were published, want 4", len(again))
	}
	first := map[string]*broker.Stored{}
	for _, m := range before {
		first[m.Header.Get(events.HeaderID)] = m
	}
	for _, m := range again {
		e, err := events.DecodeEvent(m.Subject, m.Header, m.Data)
		if err != nil {
			t.Fatal(err)
		}
		was := first[e.ID]
		if was == nil || was.Subject != m.Subject || e.Replay != "j" || e.Stat == nil || len(*e.Stat.Value) != 1 {
			t.Errorf("%s was published as %+v", m.Subject, e)
		}
	}
}

// lateReport is the request of one of the last results of store(1200).
const lateReport = "r-1311"

// A process that dies at any point leaves a record that is behind. The broker
// has forgotten the ids when another goes on.
func TestRun_goesOnAfterACrash(t *testing.T) {
	for _, live := range []bool{false, true} {
		r := newRig(t)
		r.store(1200)
		j := r.job(func(j *Job) {
			if live {
				j.Keep, j.Target = 0, broker.Events
			}
		})
		early := *j
		ctx, crash := context.WithCancel(t.Context())
		begun := make(chan bool, 100)
		dying := right
		dying.reads = func(request string) {
			if request == lateReport {
				<-begun
				crash()
			}
		}
		err := r.jobs.Run(ctx, j, makerOf(dying), func(*Job) { begun <- true })
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v", err)
		}
		some := r.Count(j.Target)
		if some == 0 || some >= 1560 {
			t.Fatalf("%d events when it died, want some", some)
		}
		recorded, err := r.jobs.Get(t.Context(), "j")
		if err != nil {
			t.Fatal(err)
		}
		early.revision = recorded.revision
		if err := r.jobs.record(t.Context(), &early); err != nil { // as if it had recorded nothing
			t.Fatal(err)
		}
		if live {
			r.publishOther()
		}
		time.Sleep(150 * time.Millisecond) // for the broker to forget
		next, err := r.jobs.Get(t.Context(), "j")
		if err != nil {
			t.Fatal(err)
		}
		r.run(next, right)
		ids := map[string]int{}
		for _, m := range r.All(j.Target) {
			ids[m.Header.Get(events.HeaderID)]++
		}
		delete(ids, "other")
		if len(ids) != 1560 {
			t.Errorf("live %v: %d events, want all 1560", live, len(ids))
		}
		for id, n := range ids {
			if n > 1 {
				t.Fatalf("live %v: %s is there %d times", live, id, n)
			}
		}
	}
}

// publishOther publishes an event that is none of the job.
func (r *rig) publishOther() {
	r.Helper()
	m, err := events.EncodeLane(events.Meta{ID: "other", Source: events.Source}, &events.Lane{Provider: "shop", Account: "a", State: events.LanePaused, Was: events.LaneWorking, SinceMS: 1_800_000_000_000})
	if err != nil {
		r.Fatal(err)
	}
	r.Publish(m)
}

func TestRun_ofTwoTheLaterOneGoesOn(t *testing.T) {
	r := newRig(t)
	r.store(1200)
	j := r.job(nil)
	begun, over, ended := make(chan bool, 100), make(chan bool), make(chan error, 1)
	slow := right
	slow.reads = func(request string) {
		if request == lateReport {
			<-over
		}
	}
	go func() {
		ended <- r.jobs.Run(t.Context(), j, makerOf(slow), func(*Job) { begun <- true })
	}()
	<-begun
	later, err := r.jobs.Get(t.Context(), "j")
	if err != nil {
		t.Fatal(err)
	}
	r.run(later, right)
	close(over)
	if err := <-ended; !errors.Is(err, ErrTaken) {
		t.Errorf("the first one ends with %v", err)
	}
	if n := len(content("tram.replay.j.", r.All("TRAM_REPLAY_j"))); n != 1560 {
		t.Errorf("%d events, want 1560", n)
	}
}

func TestRun_refusesWhatItCannotReadAsItWas(t *testing.T) {
	r := newRig(t)
	r.store(1)
	unknown := NewMaker([]channels.Provider{right}, nil)
	j := r.job(nil)
	err := r.jobs.Run(t.Context(), j, unknown, func(*Job) {})
	if !errors.Is(err, ErrUnconfigured) || !strings.Contains(err.Error(), "shop/a") {
		t.Fatalf("got %v", err)
	}
	if n := r.Count(j.Target); n > 0 {
		t.Errorf("%d events were published", n)
	}
	j.Unconfigured = true
	if err := r.jobs.Run(t.Context(), j, unknown, func(*Job) {}); err != nil {
		t.Error(err)
	}
}
