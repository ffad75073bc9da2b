package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/failpoint"
	"github.com/tramhq/tram/pkg/events"
)

// A crashPlan says how often which death is died.
type crashPlan struct {
	Kills   int           // at each fail-point, and at random
	Faults  int           // of each other kind: a broker killed, a connection cut, a process frozen
	Rate    float64       // sends published per second meanwhile
	Away    time.Duration // how long the broker is gone when it is
	Resume  time.Duration // how soon calls must be made again once it is back; 0 is not judged
	Only    string        // the one death to die; "" is all of them
	Quickly bool          // the fail-points all in one run, and of the rest a broker's death alone
}

// A death is one way to die, and goes on dying it while sends flow.
type death struct {
	name  string
	scene func() scene
	die   func(*crashRun, context.Context) error
}

// A crashRun is one death in the making.
type crashRun struct {
	*stage
	plan  crashPlan
	crew  *crew
	times int // it was died
}

const (
	crashLease      = time.Second
	crashPartitions = 16
)

// crashAccounts is one in each partition, so that every dispatcher has work.
var crashAccounts = func() (all []account) {
	taken := map[int]bool{}
	for i := 0; len(all) < crashPartitions; i++ {
		a := account{Name: fmt.Sprint("shop", i), Limits: "{per_second: 1000, concurrency: 64}"}
		n := broker.Partition(a.provider(), a.Name, crashPartitions)
		if !taken[n] {
			taken[n] = true
			all = append(all, a)
		}
	}
	return all
}()

func crashScene() scene {
	return scene{Failpoints: true, Partitions: crashPartitions, Lease: crashLease, Accounts: crashAccounts, Journal: 2_000_000}
}

// deaths are all there are, those of one scene beside each other.
func (plan crashPlan) deaths() []death {
	var all []death
	die := func(name string, die func(*crashRun, context.Context) error) {
		all = append(all, death{name, crashScene, die})
	}
	if plan.Quickly {
		die("at each fail-point", atPoints(failpoint.Dispatcher, failpoint.Collector))
		die("broker killed", (*crashRun).killBroker)
		return all
	}
	for _, p := range failpoint.Dispatcher {
		die("dispatcher at "+string(p), atPoints([]failpoint.Point{p}, nil))
	}
	for _, p := range failpoint.Collector {
		die("collector at "+string(p), atPoints(nil, []failpoint.Point{p}))
	}
	die("any at any moment", (*crashRun).killAtRandom)
	die("dispatcher frozen", (*crashRun).freeze)
	die("connection half open", (*crashRun).halfOpen)
	die("connection cut", (*crashRun).cutConnections)
	die("connection slow", (*crashRun).slowConnections)
	die("broker killed", (*crashRun).killBroker)
	die("broker gone for "+plan.Away.String(), (*crashRun).loseBroker)
	all = append(all,
		death{"clock jumps by an hour", skewScene, (*crashRun).jumpClocks},
		death{"broker's disk full", smallScene, (*crashRun).fillDisk})
	return slices.DeleteFunc(all, func(d death) bool { return plan.Only != "" && plan.Only != d.name })
}

// crash dies every death in turn, while three dispatchers and two collectors
// work sends that flow. After each, every send that was published must have
// ended once, nobody may have been called twice beyond what on_ambiguous allows
// for calls under way at a death, what a cancel has taken back may not have been
// called at all, and nothing may wait any more.
func crash(ctx context.Context, seed uint64, plan crashPlan) (r report, err error) {
	deaths := plan.deaths()
	if len(deaths) == 0 {
		return nil, fmt.Errorf("there is no death %q", plan.Only)
	}
	r.note("seed", seed)
	for at := 0; at < len(deaths); {
		c := deaths[at].scene()
		c.Seed = seed
		same := at
		for same < len(deaths) && sameScene(deaths[same].scene(), c) {
			same++
		}
		part := deaths[at:same]
		found, err := onStage(ctx, c, func(s *stage) (report, error) { return s.dieAll(ctx, plan, part) })
		r, at = append(r, found...), same
		if err != nil {
			return r, err
		}
	}
	return r, nil
}

func sameScene(a, b scene) bool { return a.Skew == b.Skew && a.MaxStore == b.MaxStore }

// dieAll dies deaths one after the other on one stage, and at the end looks at
// all sends again: what is late may have come since.
func (s *stage) dieAll(ctx context.Context, plan crashPlan, deaths []death) (r report, err error) {
	book := newBook(s)
	for _, d := range deaths {
		from := s.filled
		v, err := s.die(ctx, plan, d, book)
		if err != nil {
			return r, fmt.Errorf("%s: %w; logs in %s", d.name, err, s.keepLogs())
		}
		v.report(&r, d.name)
		s.log.Info("died", "death", d.name, "times", v.deaths, "sends", s.filled-from)
	}
	if err := book.read(ctx); err != nil {
		return r, err
	}
	v := book.judge(0, s.filled)
	if v.broken() > 0 {
		r.note("logs", s.keepLogs())
	}
	r.add("all of these sends at the end, lost, ended twice, called twice", v.broken(), "0", v.broken() == 0)
	return r, nil
}

// die has one death died under load, then lets what is left finish.
func (s *stage) die(ctx context.Context, plan crashPlan, d death, book *book) (*verdict, error) {
	run := &crashRun{stage: s, plan: plan}
	load := s.load(ctx, plan.Rate, crashSend)
	taking := s.cancels(ctx, load, plan.Rate)
	err := d.die(run, ctx)
	for _, stop := range []func() error{taking.stop, load.stop} {
		if stopErr := stop(); err == nil {
			err = stopErr
		}
	}
	if err == nil {
		err = run.crew.calm()
	}
	if err != nil {
		return nil, err
	}
	if err := book.read(ctx); err != nil {
		return nil, err
	}
	waited := book.waiting(load.from, s.filled)
	err = until(ctx, 90*time.Second, "what waits", func() (bool, error) {
		if err := book.read(ctx); err != nil {
			return false, err
		}
		return book.waiting(load.from, s.filled)+book.unanswered(taking) == 0, run.crew.alive()
	})
	if err != nil && run.crew.alive() != nil {
		return nil, err
	} // else they are lost: the verdict says so
	if err := pause(ctx, time.Second); err != nil { // for what comes a second time
		return nil, err
	}
	if err := run.crew.stop(); err != nil {
		return nil, err
	}
	if err := book.read(ctx); err != nil {
		return nil, err
	}
	v := book.judge(load.from, s.filled)
	v.deaths, v.waited, v.lost = run.times, waited, v.lost+book.unanswered(taking)
	return v, nil
}

// crashSend is send number i: of ten, two may be repeated and two are taken as
// sent when nobody knows.
func crashSend(i int) (*nats.Msg, error) {
	r := sendTo(crashAccounts[i%len(crashAccounts)], i)
	r.Send.OnAmbiguous = policyOf(i)
	return encode(r)
}

func policyOf(i int) events.OnAmbiguous {
	switch i / len(crashAccounts) % 10 {
	case 3, 7:
		return events.Resend
	case 4, 8:
		return events.AssumeSent
	}
	return events.Hold
}
