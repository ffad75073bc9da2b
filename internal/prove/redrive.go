package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/sandbox"
	"github.com/tramhq/tram/pkg/events"
)

type redrivePlan struct {
	Letters int
	Rate    float64       // of the redrive, per second
	Live    float64       // requests per second for all other accounts together
	Others  int           // of these accounts
	For     time.Duration // that they are measured without the redrive, at its start and after each kill
	Kills   int           // of the redriving process
	Slower  float64       // by which their p99 may grow; 0: not judged
}

const (
	buriedAccounts = 20
	buriedFrom     = 60_000_000 // number of the first request that dies
)

// buried is an account whose requests are refused at first.
func buried(i int) account {
	return account{Provider: "ahachat", Name: "buried" + strconv.Itoa(i), Limits: "{per_second: 1000, concurrency: 64}"}
}

func (plan redrivePlan) scene(seed uint64) scene {
	c := scene{Seed: seed, Journal: buriedFrom}
	for i := range plan.Others {
		c.Accounts = append(c.Accounts, other(i))
	}
	for i := range buriedAccounts {
		c.Accounts = append(c.Accounts, buried(i))
	}
	return c
}

// redrive has a provider refuse a great many sends, mends it, and publishes them
// anew while requests for other accounts flow. The redriving process is killed
// and goes on. Each send must arrive once, and the others must hardly notice.
func redrive(ctx context.Context, s *stage, plan redrivePlan) (report, error) {
	d, _, err := s.startBoth()
	if err != nil {
		return nil, err
	}
	letters, err := s.bury(ctx, plan.Letters)
	if err != nil {
		return nil, err
	}
	mended := time.Now()
	// The journal is large. To collect garbage around it must not take the
	// processor from what is measured.
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	f := flow{stage: s, plan: fairnessPlan{Others: plan.Others, Rate: plan.Live}, dispatcher: d}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() { f.fail(cancel, f.run(ctx, done)) })
	err = f.stretch("warming up", func() error { return pause(ctx, plan.For) })
	caught := 0
	for k := 0; k <= plan.Kills && err == nil; k++ {
		// In turns, so that what else changes on the machine changes for both.
		err = errors.Join(
			f.stretch(without, func() error { return pause(ctx, plan.For) }),
			f.stretch(during, func() error {
				working, err := s.redriveOn(ctx, plan, letters, k)
				if working {
					caught++
				}
				return err
			}))
	}
	close(done)
	running.Wait()
	if err != nil {
		return nil, errors.Join(err, context.Cause(ctx))
	}
	err = until(ctx, 2*time.Minute, "the last end", func() (bool, error) {
		open, err := s.open(ctx)
		return open == 0, errors.Join(err, d.dead())
	})
	if err != nil {
		return nil, err
	}
	left, err := s.refused(ctx)
	if err != nil {
		return nil, err
	}
	unknown, err := s.count(ctx, broker.Dead, "tram.dead.unknown.>")
	if err != nil {
		return nil, err
	}

	var r report
	r.note("dead letters, accounts they are of", fmt.Sprintf("%d, %d", letters, buriedAccounts))
	took := f.merged(during).lasted()
	r.note("redriven in, per second", fmt.Sprintf("%s, %.0f", took.Round(time.Second), float64(letters)/took.Seconds()))
	r.note("kills of the redriving process while it worked", caught)
	r.note("processor time of the redriving processes, for a letter", (s.redriving() / time.Duration(letters)).Round(time.Microsecond))
	once, more := f.arrivals(mended, plan.Letters)
	r.note("redriven sends that arrived once", once)
	r.add("that arrived more than once", more, "0", more == 0)
	never := letters - once - more
	r.add("that never arrived", never, fmt.Sprintf("%d at most, which ended as unknown", unknown), never <= int(unknown))
	r.add("dead letters left", left, "0", left == 0)
	r.note("calls that timed out, or whose dispatcher lost its lease: the machine is too busy", unknown)
	before, with := f.merged(without), f.merged(during)
	before.describe(&r)
	with.describe(&r)
	for _, what := range []string{without, during} {
		r.note(what+": p99 of the others, stretch by stretch", f.each(what))
	}
	if plan.Slower > 0 {
		got := float64(with.all.at(0.99)) / float64(before.all.at(0.99))
		r.add("p99 of the others during the redrive, of that without", fmt.Sprintf("%.2f", got), fmt.Sprintf("%.0f at most", plan.Slower), got <= plan.Slower)
	}
	return r, nil
}

// bury makes dead letters: a provider refuses n sends. It returns how many there
// are: on a machine that is too busy, some calls may time out instead.
func (s *stage) bury(ctx context.Context, n int) (letters int, err error) {
	fault, err := s.sandbox.AddFault(sandbox.Fault{Provider: "ahachat", Status: 400, Body: `{"success":false,"message":"the page is not published"}`})
	if err != nil {
		return 0, err
	}
	defer s.sandbox.RemoveFault(fault)
	err = s.publish(ctx, buriedFrom, buriedFrom+n, 0, func(i int) (*nats.Msg, error) {
		return encode(sendTo(buried(i%buriedAccounts), i))
	})
	if err != nil {
		return 0, err
	}
	err = until(ctx, 10*time.Minute, "the dead letters", func() (bool, error) {
		all, err := s.count(ctx, broker.Dead, ">")
		return all >= uint64(n), errors.Join(err, alive(s.running...))
	})
	if err != nil {
		return 0, err
	}
	refused, err := s.refused(ctx)
	return int(refused), err
}

// open is how many requests have no final delivery yet.
func (s *stage) open(ctx context.Context) (uint64, error) {
	requests, err := s.count(ctx, broker.Requests, ">")
	if err != nil {
		return 0, err
	}
	for _, state := range []events.State{events.StateAccepted, events.StateFailed, events.StateUnknown} {
		n, err := s.count(ctx, broker.Events, "tram.delivery.*.*."+string(state))
		if err != nil {
			return 0, err
		}
		requests -= n
	}
	return requests, nil
}

// refused is how many of the dead letters are left that bury has made.
func (s *stage) refused(ctx context.Context) (uint64, error) {
	return s.count(ctx, broker.Dead, "tram.dead.refused.>")
}

const (
	without = "without the redrive"
	during  = "during the redrive"
)

// redriveOn redrives dead letters, or goes on with that, until part k of the
// plan is done, and then kills the process that does it. It reports whether that
// was still at work. The last part runs to its end.
func (s *stage) redriveOn(ctx context.Context, plan redrivePlan, letters, k int) (working bool, err error) {
	args := []string{"dead", "redrive", "--json", "-s", s.url()}
	if k == 0 {
		args = append(args, "--all", "--rate", strconv.FormatFloat(plan.Rate, 'f', -1, 64))
	} else {
		args = append(args, "--resume")
	}
	p, err := s.launch("redrive", exec.Command(filepath.Join(s.programs, "tram"), args...))
	if err != nil {
		return false, err
	}
	if k == plan.Kills {
		<-p.done
		if p.err != nil {
			return false, p.dead()
		}
		return false, nil
	}
	goal := uint64(letters - letters*(k+1)/(plan.Kills+1))
	err = until(ctx, time.Hour, "the redrive", func() (bool, error) {
		left, err := s.refused(ctx)
		if err != nil || left <= goal {
			return true, err
		}
		// To look all the time would load the broker, in this part of the time alone.
		return false, errors.Join(pause(ctx, plan.For/50), p.dead())
	})
	if err != nil {
		return false, err
	}
	time.Sleep(time.Duration(s.random.IntN(100)) * time.Millisecond) // somewhere in its work
	select {
	case <-p.done:
	default:
		working = true
	}
	return working, p.kill()
}

// redriving is the processor time that redriving processes took. They have ended.
func (s *stage) redriving() (used time.Duration) {
	for _, p := range s.running {
		if filepath.Base(p.cmd.Path) == "tram" {
			used += p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime()
		}
	}
	return used
}

// merged is all stretches of a name as one.
func (f *flow) merged(what string) *stretch {
	all := &stretch{what: what}
	for _, s := range f.stretches {
		if s.what != what {
			continue
		}
		if all.from.IsZero() {
			all.from, all.to = s.from, s.from
		}
		all.to = all.to.Add(s.to.Sub(s.from))
		all.all = append(all.all, s.all...)
		for i := range s.cpu {
			all.cpu[i] += s.cpu[i]
		}
	}
	return all
}

// each is the p99 of each stretch of a name. One that differs from all others
// tells of the machine.
func (f *flow) each(what string) string {
	var all []string
	for _, s := range f.stretches {
		if s.what == what {
			all = append(all, fmt.Sprintf("%.1f ms", float64(s.all.at(0.99))/float64(time.Millisecond)))
		}
	}
	return strings.Join(all, ", ")
}

func (s *stretch) lasted() time.Duration { return s.to.Sub(s.from) }

// arrivals counts how many of the sends that had died have arrived since, and
// how many more than once. It sorts the others' calls into the stretches.
func (f *flow) arrivals(since time.Time, sends int) (once, more int) {
	arrived := make([]int, sends)
	for _, c := range f.sandbox.Calls(sandbox.Filter{}) {
		i, _ := strconv.Atoi(c.Recipient[2:]) // it is a phone number
		if c.Provider == "ahachat" {
			if c.At.After(since) {
				arrived[i-buriedFrom]++
			}
		} else if s := f.at(f.published[i]); s != nil {
			s.all = append(s.all, c.At.Sub(f.published[i]))
		}
	}
	for _, n := range arrived {
		switch {
		case n == 1:
			once++
		case n > 1:
			more++
		}
	}
	return once, more
}
