package dispatcher

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/schedule"
	"github.com/tramhq/tram/pkg/events"
)

// A calendar is what the schedules of some dispatchers take for the time. A page
// of it is so long that none ends by itself while a test runs.
type calendar struct {
	*rig
	store *schedule.Store
	pages atomic.Int64
	seers []*Dispatcher
}

const page = 366 * 24 * time.Hour

func newCalendar(t *testing.T) *calendar {
	r := newRig(t)
	return &calendar{rig: r, store: schedule.NewStore(r.b.JS)}
}

func (c *calendar) now() time.Time { return time.Now().Add(time.Duration(c.pages.Load()) * page) }

// watch starts a dispatcher that goes by the calendar.
func (c *calendar) watch() (stop func()) { return c.run(c.seer(c.b.Conn)) }

func (c *calendar) seer(nc *nats.Conn) *Dispatcher {
	d := c.dispatcher(nc, func(cfg *Config) { cfg.Grace, cfg.Lease = time.Millisecond, shortLease })
	d.schedules.now = c.now
	c.seers = append(c.seers, d)
	return d
}

// turn turns some pages.
func (c *calendar) turn(pages int64) {
	c.pages.Add(pages)
	for _, d := range c.seers {
		d.schedules.kick()
	}
}

// due is the newest time at which schedules are due.
func (c *calendar) due() time.Time {
	c.t.Helper()
	times, err := yearly("shop").Times("")
	if err != nil {
		c.t.Fatal(err)
	}
	return times.Newest(time.Unix(0, 0), c.now())
}

func yearly(account string) *schedule.Schedule {
	return &schedule.Schedule{Provider: "fake", Account: account, Every: page.String(), Report: events.Report{Report: "fake.pages"}}
}

// write changes or makes a schedule as a person does.
func (c *calendar) write(name string, s *schedule.Schedule) {
	c.t.Helper()
	if err := c.store.Write(c.t.Context(), c.entry(name), s); err != nil {
		c.t.Fatal(err)
	}
}

func (c *calendar) entry(name string) *schedule.Entry {
	c.t.Helper()
	e, err := c.store.Get(c.t.Context(), name)
	if err != nil {
		c.t.Fatal(err)
	}
	return e
}

// handled waits until the schedule has been run or skipped at the newest time at
// which it is due, and all about that is recorded.
func (c *calendar) handled(name string) schedule.Progress {
	c.t.Helper()
	var p schedule.Progress
	c.eventually(func() string {
		e, err := c.store.Get(c.t.Context(), name)
		if err != nil { // the broker is not back yet
			return err.Error()
		}
		if p = e.Progress; !p.Handled().Equal(c.due()) || p.Last == nil || p.Last.Seq == 0 {
			return fmt.Sprintf("%s has come to %+v, run %+v, want that of %s", name, p, p.Last, c.due())
		}
		return ""
	})
	return p
}

// requests returns the ids of what the schedule has published.
func (c *calendar) requests(name string) (ids []string) {
	c.t.Helper()
	err := c.read.Replay(c.t.Context(), broker.Requests, "req.>", 1, func(m *broker.Stored) error {
		if m.Header.Get(events.HeaderSource) == schedule.Source(name) {
			ids = append(ids, m.Header.Get(events.HeaderID))
		}
		return nil
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return ids
}

func (c *calendar) published(name string, want ...string) {
	c.t.Helper()
	if got := c.requests(name); strings.Join(got, " ") != strings.Join(want, " ") {
		c.t.Errorf("%s has published %v, want %v", name, got, want)
	}
}

// settled waits until a report that has ended is open nowhere any more.
func (c *calendar) settled(account string, seq uint64) {
	c.t.Helper()
	c.eventually(func() string {
		for _, d := range c.seers {
			for _, p := range d.partitions() {
				if open, _ := p.has(laneKey{provider: "fake", account: account}, slices.Index(events.Classes, events.Bulk), seq); open {
					return "it is open still"
				}
			}
		}
		return ""
	})
}

// Of several dispatchers one runs a schedule when it is due, once, and what was
// missed while there was none, or no broker, is made up for once.
func TestAScheduleRunsOnce(t *testing.T) {
	c := newCalendar(t)
	stops := []func(){c.watch(), c.watch()}
	c.write("daily", yearly("shop"))
	c.turn(1)
	first := c.handled("daily")
	c.ends(first.Last.Seq)
	c.b.Stop()
	c.turn(2)
	c.b.Restart()
	second := c.handled("daily")
	c.ends(second.Last.Seq)
	for _, stop := range stops {
		stop()
	}
	c.turn(5)
	c.watch()
	third := c.handled("daily")
	c.published("daily", first.Last.ID, second.Last.ID, third.Last.ID)
	if want := schedule.ID("daily", c.due()); third.Last.ID != want || third.Skipped != 0 {
		t.Errorf("the last run is %+v of %+v, want %s", third.Last, third, want)
	}
	if end := c.ends(third.Last.Seq)[0]; end.State != events.StateDone {
		t.Errorf("it ended as %+v", end)
	}
}

// An owner that is cut off runs nothing any more, and its successor runs what it
// would have.
func TestAScheduleOutlivesItsOwner(t *testing.T) {
	c := newCalendar(t)
	c.write("daily", yearly("shop"))
	lost := c.b.Connect()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	d := c.seer(lost)
	go func() { ended <- d.Run(ctx) }()
	defer func() {
		cancel()
		<-ended // with whatever error: its connection is gone
	}()
	c.turn(1)
	first := c.handled("daily")
	c.ends(first.Last.Seq)
	lost.Close()
	c.turn(1)
	c.watch()
	second := c.handled("daily")
	c.ends(second.Last.Seq)
	c.published("daily", first.Last.ID, second.Last.ID)
	if second.Skipped != 0 {
		t.Errorf("it has come to %+v", second)
	}
}

// A run that its owner had recorded when it died is published by the next one,
// unless the owner has published it, too.
func TestAScheduleIsTakenOver(t *testing.T) {
	for _, published := range []bool{false, true} {
		t.Run(fmt.Sprint(published), func(t *testing.T) {
			c := newCalendar(t)
			s := yearly("shop")
			c.write("daily", s)
			c.turn(1)
			r, err := s.Request("daily", c.due(), "")
			if err != nil {
				t.Fatal(err)
			}
			e, seq := c.entry("daily"), uint64(0)
			if err := c.store.Record(t.Context(), e, schedule.Progress{HandledMS: c.due().UnixMilli(), Last: &schedule.Run{
				AtMS: c.due().UnixMilli(), ID: r.ID, Provider: "fake", Account: "shop", Class: events.Bulk,
			}}); err != nil {
				t.Fatal(err)
			}
			if published { // so long ago that the broker has forgotten the id
				m, err := events.EncodeRequest(r)
				if err != nil {
					t.Fatal(err)
				}
				m.Header.Del("Nats-Msg-Id")
				seq = c.b.Publish(m)
			}
			c.watch()
			p := c.handled("daily")
			c.published("daily", r.ID)
			if p.Last.ID != r.ID || published && p.Last.Seq != seq {
				t.Errorf("the last run is %+v, want %s at %d", p.Last, r.ID, seq)
			}
		})
	}
}

// Runs of a schedule do not pile up while one has not ended, whoever owns it.
func TestAScheduleSkips(t *testing.T) {
	c := newCalendar(t)
	c.control("shop", true, "an", "")
	c.write("daily", yearly("shop"))
	stop := c.watch()
	c.turn(1)
	first := c.handled("daily") // waits in its lane
	c.turn(1)
	if p := c.handled("daily"); p.Skipped != 1 || p.Last.ID != first.Last.ID {
		t.Errorf("it has come to %+v, run %+v", p, p.Last)
	}
	stop()
	c.watch()
	c.turn(3)
	if p := c.handled("daily"); p.Skipped != 2 || p.Last.ID != first.Last.ID {
		t.Errorf("with another owner it has come to %+v, run %+v", p, p.Last)
	}
	hold := make(chan struct{})
	c.desk.mu.Lock()
	c.desk.hold = hold
	c.desk.mu.Unlock()
	c.control("shop", false, "an", "")
	c.eventually(func() string {
		if len(c.calls("shop")) > 0 {
			return ""
		}
		return "there is no call"
	})
	c.turn(1)
	if p := c.handled("daily"); p.Skipped != 3 {
		t.Errorf("in a call it has come to %+v", p)
	}
	close(hold)
	c.ends(first.Last.Seq)
	c.settled("shop", first.Last.Seq)
	c.turn(1)
	last := c.handled("daily")
	c.published("daily", first.Last.ID, last.Last.ID)
	if last.Skipped != 3 {
		t.Errorf("in the end it has come to %+v", last)
	}
}

// A schedule does not run while it is paused, after it was removed, when nobody
// can read it or when its account does not take it. It keeps no other one.
func TestASchedulePauses(t *testing.T) {
	c := newCalendar(t)
	paused, removed, alien, odd := yearly("shop"), yearly("shop"), yearly("nobody"), yearly("shop")
	odd.Report.Report = "fake.none"
	c.write("works", yearly("bank"))
	c.write("paused", paused)
	c.write("removed", removed)
	c.write("alien", alien)
	c.write("odd", odd)
	if _, err := c.b.JS.Publish(t.Context(), broker.SchedulesPrefix+"schedule.broken", []byte("each morning")); err != nil {
		t.Fatal(err)
	}
	c.watch()
	c.turn(1)
	ran := c.handled("paused").Last
	c.handled("removed")
	c.ends(ran.Seq)
	paused.Paused = true
	c.write("paused", paused)
	if err := c.store.Remove(t.Context(), c.entry("removed")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		c.turn(1)
		c.ends(c.handled("works").Last.Seq)
	}
	c.published("paused", ran.ID)
	for _, name := range []string{"alien", "odd", "broken"} {
		c.published(name)
	}
	if e := c.entry("removed"); !e.Gone() || e.Progress.Last != nil || len(c.requests("removed")) != 1 {
		t.Errorf("what was removed is %+v, published %v", e, c.requests("removed"))
	}
	if e := c.entry("broken"); e.Fault == nil {
		t.Errorf("what nobody can read is %+v", e)
	}
	// It goes on from when it is resumed, which is before all pages but the first.
	paused.Paused = false
	c.write("paused", paused)
	c.published("paused", ran.ID, c.handled("paused").Last.ID)
}
