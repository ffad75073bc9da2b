package dispatcher

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/pkg/events"
)

// A partition is the share of the accounts that this dispatcher owns with one
// lease. Nothing in it is shared with another dispatcher, so what its accounts
// spend and how they fare is known here exactly.
type partition struct {
	d      *Dispatcher
	n      int
	log    *slog.Logger
	reader *broker.Reader
	maxAge time.Duration // a request older than this would leave the stream unsent

	// take ends first: no request is begun after it. work ends last: calls
	// under way are cut off by it.
	take, work         context.Context
	stopTake, stopWork context.CancelCauseFunc

	wg      sync.WaitGroup // everything that goes on in the partition
	door    sync.Mutex
	shut    bool // nobody may join wg from outside any more
	clock   clock
	intents *intentLog
	marks   *checkpoints
	cancels *cancels
	voids   uint64 // as [voids] has it, of every lane when it was taken over
	keeper  *keeper
	fed     atomic.Uint64 // the newest request that the intake has handed on or, when it began, has told of
	strays  atomic.Uint64 // the newest stray that was refused
	swept   atomic.Bool   // a sweep brings the lanes what they are behind with

	past *history

	mu    sync.Mutex
	lanes map[laneKey]*lane
}

var (
	errStopping  = errors.New("the dispatcher is stopping")
	errLeaseLost = errors.New("the lease of the partition is lost")
	errGrace     = errors.New("the grace for calls under way is over")
)

// newPartition makes the partition; open takes it over.
func newPartition(d *Dispatcher, n int, epoch uint64) *partition {
	p := &partition{
		d: d, n: n, log: d.log.With("partition", n), reader: d.reader,
		maxAge: d.cfg.MaxAge, lanes: make(map[laneKey]*lane), past: newHistory(),
	}
	p.take, p.stopTake = context.WithCancelCause(context.Background())
	p.work, p.stopWork = context.WithCancelCause(context.Background())
	p.intents = &intentLog{
		ctx: p.work, pub: d.pub, reader: d.reader, subject: broker.IntentSubject(n),
		owner: d.owner.ID(), epoch: epoch, retry: 200 * time.Millisecond,
		outage: d.intending,
	}
	p.marks = &checkpoints{js: d.cfg.JS, reader: d.reader, n: n}
	p.keeper = newKeeper(p, d.cfg.JS.Conn())
	return p
}

// run works what is told of the partition, until no more is taken.
func (p *partition) run() {
	p.wg.Go(p.cancels.run)
	p.wg.Go(p.mark)
	if p.n == strayPartition {
		p.wg.Go(p.refuseStrays)
	}
}

// A newest is the newest request of each subject of a partition, as it is known up
// to a sequence.
type newest struct {
	last map[string]uint64
	upTo uint64
}

// after reports whether any of them comes after seq.
func (n newest) after(seq uint64) bool {
	for _, last := range n.last {
		if last > seq {
			return true
		}
	}
	return false
}

func (p *partition) newest(ctx context.Context) (n newest, err error) {
	n.last, n.upTo, err = p.reader.LastPerSubject(ctx, broker.Requests, broker.PartitionFilter(p.n))
	return n, err
}

// learn tells the lanes of requests that the feed will not bring, and returns those
// that have some.
func (p *partition) learn(n newest) (told []*lane) {
	fed, cancel := p.fed.Load(), uint64(0)
	for subject, seq := range n.last {
		at, err := locate(subject)
		switch {
		case err != nil || seq <= fed:
			continue
		case isCancel(subject):
			cancel = max(cancel, seq)
			continue
		}
		l := p.lane(at.lane)
		for !l.skipTo(at.class, seq, other(subject)) {
			l = p.lane(at.lane)
		}
		told = append(told, l)
	}
	if cancel > 0 { // now that their lanes know of what stands before them
		p.cancels.upTo(n.upTo, cancel)
	}
	return told
}

// An address is where a request belongs.
type address struct {
	partition int
	lane      laneKey
	class     int
}

// locate finds where a stored request belongs by its subject.
func locate(subject string) (address, error) {
	s, err := broker.ParseStored(subject)
	if err != nil {
		return address{}, err
	}
	at := address{s.Partition, laneKey{provider: s.Provider, account: s.Account}, slices.Index(events.Classes, s.Class)}
	if at.class < 0 {
		at.lane.oddClass, at.class = string(s.Class), 0
	}
	return at, nil
}

// lane returns the lane of an account, made on first use.
func (p *partition) lane(key laneKey) *lane {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.lanes[key]
	if l == nil {
		// All requests that the feed has handed on belong to lanes that are
		// here, or have ended.
		var acct *account
		if k := p.d.known(key); k != nil {
			acct = newAccount(k, p.d.controls.of(key), p.log)
		}
		l = newLane(p, key, acct, p.fed.Load())
		l.voids.past = p.voids
		p.lanes[key] = l
	}
	return l
}

// all returns the lanes that there are.
func (p *partition) all() []*lane {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Values(p.lanes))
}

// begin makes an entry of a request that a lane has read, as owners before us
// left it. It returns nil when they ended it, and for a cancel.
func (p *partition) begin(m *broker.Stored, class int) *entry {
	if isCancel(m.Subject) {
		return nil
	}
	e := newEntry(m, class)
	if h := p.past.meet(m.Seq); h != nil {
		if h.ended() {
			return nil
		}
		h.restore(e, p.d.cfg.CallTimeout+doubtMargin, p.clock)
	}
	return e
}

// enter joins what goes on in the partition, if it still takes requests. Who was
// let in says p.wg.Done.
func (p *partition) enter() bool {
	p.door.Lock()
	defer p.door.Unlock()
	if p.shut || p.take.Err() != nil {
		return false
	}
	p.wg.Add(1)
	return true
}

// wait returns when nothing goes on in the partition, which takes no more.
func (p *partition) wait() {
	p.door.Lock()
	p.shut = true
	p.door.Unlock()
	p.wg.Wait()
}

// left reports whether somebody else may have the partition. One that stops is
// still its owner.
func (p *partition) left() bool {
	ours := p.take.Err() == nil || errors.Is(context.Cause(p.take), errStopping)
	return !ours || !time.Now().Before(p.d.owner.Deadline())
}

// mayCall reports whether the lease holds long enough to start a call.
func (p *partition) mayCall() bool {
	return p.take.Err() == nil && time.Now().Before(p.d.owner.Deadline())
}

// fail gives the partition up after an error that leaves its state unknown
// here. Whoever takes it over, maybe this dispatcher, reads it from the logs.
func (p *partition) fail(err error) {
	if p.take.Err() == nil {
		p.log.Warn("partition given up", "error", err)
	}
	p.stopTake(err)
	p.keeper.close()
	p.d.owner.GiveUp(p.n, p.intents.epoch)
}

// close stops taking requests, lets calls under way finish within the grace,
// writes a last checkpoint unless ctx is done, which says that the lease is
// lost, and returns when nothing of the partition runs.
func (p *partition) close(ctx context.Context, grace time.Duration) error {
	p.stopTake(errStopping)
	p.keeper.close()
	cut := time.AfterFunc(grace, func() { p.stopWork(errGrace) })
	p.wait()
	cut.Stop()
	p.stopWork(errStopping)
	if context.Cause(p.take) != errStopping { // given up before: this is not its true state
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return p.checkpoint(ctx)
}

// drop starts nothing more. Calls under way finish and their results are
// stored, for that is what happened; nothing else is written.
func (p *partition) drop() {
	p.stopTake(errLeaseLost)
	p.keeper.close()
	p.intents.close(errLeaseLost)
	time.AfterFunc(p.d.cfg.CallTimeout, func() { p.stopWork(errLeaseLost) })
}
