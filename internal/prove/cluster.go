package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/tramhq/tram/internal/broker"
)

// A clusterPlan says how often what happens to a cluster.
type clusterPlan struct {
	Times   int           // that each fault happens
	Rate    float64       // sends published per second meanwhile
	Away    time.Duration // how long a node is cut off or frozen
	Only    string        // the one fault to happen; "" is all of them
	Quickly bool          // one fault, once
}

// A clusterRun is the proof in the making: faults happen one after the other
// while sends and reports flow all the time.
type clusterRun struct {
	*crashRun
	plan  clusterPlan
	moved time.Duration // the longest that a process stayed with a node that could not serve it
}

// A fault is something that happens to a cluster.
type fault struct {
	name   string
	happen func(*clusterRun, context.Context) error
}

var faults = []fault{
	{"leader of REQUESTS killed", killLeader(broker.Requests)},
	{"leader of INTENTS killed", killLeader(broker.Intents)},
	{"leader of RESULTS killed", killLeader(broker.Results)},
	{"leader of the owners killed", killLeader("KV_" + broker.OwnersBucket)},
	{"a leader and a dispatcher killed", (*clusterRun).killBoth},
	{"node frozen", (*clusterRun).freezeNode},
	{"node cut off", (*clusterRun).cutOff},
	{"rolling restart of everything", (*clusterRun).restartAll},
}

func (plan clusterPlan) faults() ([]fault, error) {
	if plan.Quickly {
		return []fault{{"a leader and a dispatcher killed", (*clusterRun).killBoth}}, nil
	}
	if plan.Only == "" {
		return faults, nil
	}
	for _, f := range faults {
		if f.name == plan.Only {
			return []fault{f}, nil
		}
	}
	return nil, fmt.Errorf("there is no fault %q", plan.Only)
}

func (plan clusterPlan) scene(seed uint64) scene {
	return scene{Seed: seed, Cluster: true, Partitions: 16, Accounts: crashAccounts, Journal: 2_000_000}
}

// span is what was published while one kind of fault happened.
type span struct {
	fault    string
	from, to int // numbers of sends
	begun    time.Time
	ended    time.Time
}

// proveCluster shows that streams with three replicas lose nothing and double
// nothing, whatever happens to one node at a time.
func proveCluster(ctx context.Context, s *stage, plan clusterPlan) (report, error) {
	all, err := plan.faults()
	if err != nil {
		return nil, err
	}
	run := &clusterRun{crashRun: &crashRun{stage: s}, plan: plan}
	spans, reports, err := run.underLoad(ctx, all)
	if err != nil {
		return nil, fmt.Errorf("%w; the logs are in %s", err, s.keepLogs())
	}
	return run.judge(ctx, spans, reports)
}

// underLoad has every fault happen while sends and reports are published, and
// returns when what was published has come to its end.
func (r *clusterRun) underLoad(ctx context.Context, all []fault) (spans []span, reports *reportLoad, err error) {
	if err := r.cast(nil); err != nil {
		return nil, nil, err
	}
	load, reports := r.load(ctx, r.plan.Rate, crashSend), r.loadReports(ctx, r.plan.Rate/10)
	if err = r.recover(ctx); err == nil {
		spans, err = r.haveAll(ctx, all, load)
	}
	if e := load.stop(); err == nil {
		err = e
	}
	if e := reports.stop(); err == nil {
		err = e
	}
	return spans, reports, err
}

func (r *clusterRun) haveAll(ctx context.Context, all []fault, load *load) (spans []span, err error) {
	for _, f := range all {
		begun := span{fault: f.name, from: load.next(r.stage), begun: time.Now()}
		for i := range r.plan.Times {
			if err := pause(ctx, time.Duration(r.random.IntN(1000))*time.Millisecond); err != nil {
				return nil, err
			}
			at := time.Now()
			if err = f.happen(r, ctx); err == nil {
				err = r.recover(ctx)
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", f.name, err)
			}
			r.log.Info("happened and is over", "fault", f.name, "time", i+1, "took", time.Since(at).Round(time.Millisecond))
		}
		begun.to, begun.ended = load.next(r.stage), time.Now()
		spans = append(spans, begun)
	}
	return spans, nil
}

// recover replaces who was killed, and returns when all nodes are there, all
// replicas are up to date and calls are made: another node may be hurt then.
func (r *clusterRun) recover(ctx context.Context) error {
	for _, n := range r.cluster.nodes {
		if n.ended() {
			if err := r.cluster.start(ctx, n); err != nil {
				return err
			}
		}
	}
	if err := r.crew.tend(); err != nil {
		return err
	}
	err := until(ctx, 2*time.Minute, "the replicas", func() (bool, error) {
		return r.cluster.settled(ctx), r.allAlive()
	})
	if err != nil {
		return err
	}
	goal := r.sandbox.Stats().Calls + 50
	return until(ctx, time.Minute, "calls", func() (bool, error) {
		return r.sandbox.Stats().Calls >= goal, r.allAlive()
	})
}

func (r *clusterRun) allAlive() error {
	return joinFirst(r.cluster.alive(), r.crew.alive())
}

// killLeader kills the node that leads a stream.
func killLeader(stream string) func(*clusterRun, context.Context) error {
	return func(r *clusterRun, ctx context.Context) error {
		n, err := r.cluster.leader(ctx, stream)
		if err != nil {
			return err
		}
		if err := n.kill(); err != nil {
			return err
		}
		return pause(ctx, r.gone())
	}
}

// gone is how long a killed node stays away: until others lead, or not.
func (r *clusterRun) gone() time.Duration {
	if r.plan.Quickly {
		return 0
	}
	return time.Duration(r.random.IntN(10_000)) * time.Millisecond
}

// killBoth kills a dispatcher, and the leader of one of the streams that it
// needs, at the same moment.
func (r *clusterRun) killBoth(ctx context.Context) error {
	streams := []string{broker.Requests, broker.Intents, broker.Results, "KV_" + broker.OwnersBucket}
	n, err := r.cluster.leader(ctx, streams[r.random.IntN(len(streams))])
	if err != nil {
		return err
	}
	m := r.crew.some("dispatcher")
	if err := joinFirst(m.cmd.Process.Kill(), n.kill()); err != nil {
		return err
	}
	<-m.done
	if err := r.crew.tend(); err != nil {
		return err
	}
	return pause(ctx, r.gone())
}

// freezeNode stops the process of a node and lets it go on: it does not answer,
// and its connections stay.
func (r *clusterRun) freezeNode(ctx context.Context) error {
	n := r.someNode()
	if err := n.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	err := r.away(ctx, n)
	return joinFirst(err, n.cmd.Process.Signal(syscall.SIGCONT))
}

// cutOff cuts a node off from the others. Its clients can reach it, and it
// answers their pings.
func (r *clusterRun) cutOff(ctx context.Context) error {
	n, clean := r.someNode(), r.random.IntN(2) == 0
	if err := r.cluster.cut(n, clean); err != nil {
		return err
	}
	err := r.away(ctx, n)
	return joinFirst(err, r.cluster.heal(ctx, n, clean))
}

// away returns when a node that cannot serve has been away for as long as is
// planned, and no process is its client any more.
func (r *clusterRun) away(ctx context.Context, n *node) error {
	begun := time.Now()
	err := until(ctx, 2*time.Minute, "the clients of "+n.name+" to move on", func() (bool, error) {
		for _, m := range r.crew.members {
			if server, err := m.server(); err != nil || server == n.name {
				return false, err
			}
		}
		return true, r.allAlive()
	})
	if err != nil {
		return err
	}
	r.moved = max(r.moved, time.Since(begun))
	return pause(ctx, r.plan.Away-time.Since(begun))
}

// server is the name of the server that a process has connected to last, by its
// log.
func (p *process) server() (name string, err error) {
	log, err := os.ReadFile(p.log.Name())
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(log)) {
		if _, rest, found := strings.Cut(line, " server="); found {
			name, _, _ = strings.Cut(strings.TrimSpace(rest), " ")
		}
	}
	return name, nil
}

// someNode returns any of the nodes.
func (r *clusterRun) someNode() *node {
	return r.cluster.nodes[r.random.IntN(nodes)]
}

// restartAll restarts everything in good order, one after the other.
func (r *clusterRun) restartAll(ctx context.Context) error {
	for _, n := range r.cluster.nodes {
		if err := n.stop(); err != nil {
			return err
		}
		if err := r.recover(ctx); err != nil {
			return err
		}
	}
	for _, m := range r.crew.members {
		if err := m.stop(); err != nil {
			return err
		}
		if err := r.crew.start(m); err != nil {
			return err
		}
		if err := r.recover(ctx); err != nil {
			return err
		}
	}
	return nil
}
