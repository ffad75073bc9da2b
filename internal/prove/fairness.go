package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/sandbox"
)

type fairnessPlan struct {
	Backlog int           // requests for the one account
	Burst   float64       // of them per second as they come; 0: as fast as the broker stores them
	Others  int           // accounts besides
	Rate    float64       // requests per second for all of the others together
	For     time.Duration // of the stretches before the backlog and with it
	Memory  int64         // bytes that the dispatcher may take
}

const (
	heavyLimit = 50         // per second
	heavyFrom  = 50_000_000 // number of its first request
)

// heavy is the account with the backlog.
var heavy = account{Name: "heavy", Limits: fmt.Sprintf("{per_second: %d, concurrency: 64}", heavyLimit)}

func (plan fairnessPlan) scene(seed uint64) scene {
	c := scene{Seed: seed, Journal: heavyFrom, Accounts: []account{heavy}}
	for i := range plan.Others {
		c.Accounts = append(c.Accounts, other(i))
	}
	return c
}

func other(i int) account {
	return account{Name: "other" + strconv.Itoa(i), Limits: "{per_second: 1000, concurrency: 64}"}
}

// fairness lets requests flow for many accounts and gives one a backlog far
// beyond its limit. How long the others' requests take from publication to call
// must hardly change, nor may the backlog lie in the dispatcher or in the
// broker's acknowledgements.
func fairness(ctx context.Context, s *stage, plan fairnessPlan) (report, error) {
	d, err := s.start("dispatcher")
	if err != nil {
		return nil, err
	}
	err = until(ctx, 20*time.Second, "the dispatcher to take its partitions", func() (bool, error) {
		n, err := s.count(ctx, broker.Intents, "tram.intent.>")
		return n >= broker.DefaultPartitions, errors.Join(err, d.dead())
	})
	if err != nil {
		return nil, err
	}
	// The journal is large. To collect garbage around it must not take the
	// processor from what is measured.
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	f := flow{stage: s, plan: plan, dispatcher: d}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() { f.fail(cancel, f.run(ctx, done)) })
	running.Go(func() { f.fail(cancel, f.watch(ctx, done)) })
	err = f.play(ctx)
	close(done)
	running.Wait()
	if err != nil {
		return nil, errors.Join(err, context.Cause(ctx))
	}
	err = until(ctx, 10*time.Second, "the calls of the others", func() (bool, error) {
		st := s.sandbox.Stats()
		return st.Calls-st.Accounts["caresoft/"+heavy.Name].Calls >= int64(len(f.published)), d.dead()
	})
	if err != nil {
		return nil, err
	}
	return f.judge()
}

// A flow is the requests of the others, with what is measured meanwhile.
type flow struct {
	*stage
	plan       fairnessPlan
	dispatcher *process
	stretches  []*stretch
	published  []time.Time // of each request
	pending    int         // acknowledgements that the broker waited for, at most
}

// A stretch is a part of the time.
type stretch struct {
	what     string
	from, to time.Time
	cpu      [4]float64 // seconds of a core used by the dispatcher, the broker, this process, the whole machine

	all, near latencies // of the others, and of those in the heavy account's partition
	heavy     []time.Time
}

// play brings the backlog.
func (f *flow) play(ctx context.Context) error {
	return errors.Join(
		f.stretch("warming up", func() error { return pause(ctx, f.plan.For/4) }),
		f.stretch("before", func() error { return pause(ctx, f.plan.For) }),
		f.stretch("as the backlog comes", func() error {
			return f.publish(ctx, heavyFrom, heavyFrom+f.plan.Backlog, f.plan.Burst, func(i int) (*nats.Msg, error) {
				return encode(sendTo(heavy, i))
			})
		}),
		f.stretch("with the backlog", func() error { return pause(ctx, f.plan.For) }),
	)
}

func (f *flow) stretch(what string, play func() error) error {
	s := &stretch{what: what, from: time.Now()}
	before := f.cpu()
	err := play()
	s.to = time.Now()
	for i, used := range f.cpu() {
		s.cpu[i] = used - before[i]
	}
	f.stretches = append(f.stretches, s)
	return err
}

func (f *flow) cpu() [4]float64 {
	return [4]float64{cpuOf(f.dispatcher.cmd.Process.Pid), cpuOf(f.broker.cmd.Process.Pid), cpuOf(os.Getpid()), cpuOfAll()}
}

// run publishes requests for the others in turns until done.
func (f *flow) run(ctx context.Context, done <-chan struct{}) error {
	return f.publish(ctx, 0, heavyFrom, f.plan.Rate, func(i int) (*nats.Msg, error) {
		select {
		case <-done:
			return nil, nil
		default:
		}
		f.published = append(f.published, time.Now())
		return encode(sendTo(other(i%f.plan.Others), i))
	})
}

// watch looks at the broker's consumers every second until done.
func (f *flow) watch(ctx context.Context, done <-chan struct{}) error {
	requests, err := f.js.Stream(ctx, broker.Requests)
	for err == nil {
		select {
		case <-done:
			return nil
		case <-time.After(time.Second):
		}
		pending := 0
		consumers := requests.ListConsumers(ctx)
		for c := range consumers.Info() {
			pending += c.NumAckPending
		}
		f.pending = max(f.pending, pending)
		err = errors.Join(consumers.Err(), f.dispatcher.dead())
	}
	return err
}

func (f *flow) fail(cancel context.CancelCauseFunc, err error) {
	if err != nil {
		cancel(err)
	}
}

// judge sorts the calls by the stretch in which they were published or, those
// of the heavy account, made.
func (f *flow) judge() (report, error) {
	for _, c := range f.sandbox.Calls(sandbox.Filter{}) {
		if c.Account == heavy.Name {
			if s := f.at(c.At); s != nil {
				s.heavy = append(s.heavy, c.At)
			}
			continue
		}
		i, _ := strconv.Atoi(c.Recipient[2:]) // it is a phone number
		if s := f.at(f.published[i]); s != nil {
			took := c.At.Sub(f.published[i])
			s.all = append(s.all, took)
			if other(i%f.plan.Others).partition() == heavy.partition() {
				s.near = append(s.near, took)
			}
		}
	}
	var r report
	for _, s := range f.stretches[1:] {
		s.describe(&r)
	}
	before, coming, with := f.stretches[1], f.stretches[2], f.stretches[3]
	for _, s := range []*stretch{coming, with} {
		got := float64(s.all.at(0.99)) / float64(before.all.at(0.99))
		r.add("p99 "+s.what+", of that before", fmt.Sprintf("%.2f", got), "2 at most", got <= 2)
	}
	use := float64(len(with.heavy)) / with.to.Sub(with.from).Seconds() / heavyLimit
	r.add("account with the backlog: use of its limit", fmt.Sprintf("%.1f %%", 100*use), "95 % at least", use >= 0.95)
	most := (&record{calls: slices.Concat(coming.heavy, with.heavy)}).most(time.Second)
	r.add("account with the backlog: most calls in any second", most, fmt.Sprintf("%d at most", heavyLimit), most <= heavyLimit)
	peak, err := f.dispatcher.peak()
	r.add("dispatcher memory at most", mib(peak), mib(f.plan.Memory)+" at most", peak <= f.plan.Memory)
	r.add("acknowledgements the broker waited for, at most", f.pending, "0", f.pending == 0)
	return r, err
}

// at returns the stretch in which t lies, or nil.
func (f *flow) at(t time.Time) *stretch {
	for _, s := range f.stretches {
		if !t.Before(s.from) && t.Before(s.to) {
			return s
		}
	}
	return nil
}

func (s *stretch) describe(r *report) {
	seconds := s.to.Sub(s.from).Seconds()
	r.note(s.what+": time, calls per second of the others", fmt.Sprintf("%.0fs, %.0f", seconds, float64(len(s.all))/seconds))
	// Whoever else uses the machine makes everything late: such a run says little.
	busy := func(used float64) string { return fmt.Sprintf("%.2f", used/seconds) }
	r.note(s.what+": cores busy with dispatcher, broker, sandbox and publishers, others", fmt.Sprintf("%s, %s, %s, %s of %d",
		busy(s.cpu[0]), busy(s.cpu[1]), busy(s.cpu[2]), busy(s.cpu[3]-s.cpu[0]-s.cpu[1]-s.cpu[2]), runtime.NumCPU()))
	r.note(s.what+": publication to call, others", s.all)
	if len(s.near) > 0 {
		r.note(s.what+": publication to call, others in the same partition", s.near)
	}
}

type latencies []time.Duration

// at returns what the given share took at most, 0 if there are none.
func (l latencies) at(share float64) time.Duration {
	if len(l) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(l))
	return sorted[min(int(share*float64(len(l))), len(l)-1)]
}

func (l latencies) String() string {
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	return fmt.Sprintf("p50 %.1f ms, p99 %.1f ms, longest %.0f ms", ms(l.at(0.5)), ms(l.at(0.99)), ms(l.at(1)))
}

func mib(bytes int64) string { return fmt.Sprintf("%d MiB", bytes>>20) }
