package dispatcher

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/ledger"
)

// errFenced means that another dispatcher has taken the partition over: no
// call of it may start here any more.
var errFenced = errors.New("the partition has a new owner")

// maxGroup bounds the intents of one record, so that a crash leaves at most so
// many calls in doubt beyond those that had really begun.
const maxGroup = 256

// An intentLog stores that calls are about to start before they do. It writes
// one record at a time; what gathers while a record is being stored goes into
// the next one, so groups grow with the load and an idle lane pays one round
// trip. The call that begins a group writes it: nobody is woken for that.
//
// Every record names the sequence of the one before it. A dispatcher that lost
// its partition does not know the new owner's record, so the broker refuses
// its own: that is the fence.
type intentLog struct {
	ctx     context.Context // of the partition: it outlives every single call
	pub     *broker.Publisher
	reader  *broker.Reader
	subject string
	owner   string
	epoch   uint64
	retry   time.Duration // between tries while the broker is away or has no room
	outage  *broker.Outage

	lookahead

	pen  sync.Mutex // held by the one that writes
	mu   sync.Mutex
	last uint64 // sequence of the newest record on subject
	next *intentGroup
	err  error // sticky: the log is closed
}

type intentGroup struct {
	calls []ledger.Intent
	done  chan struct{}
	err   error
}

// claim closes the log to the owner before this one by writing a record that
// it does not know of. When the broker stored that tells its clock.
func (l *intentLog) claim(ctx context.Context) (clock, error) {
	for {
		last, err := l.newest(ctx)
		if err != nil {
			return clock{}, err
		}
		l.last = 0
		if last != nil {
			l.last = last.Seq
		}
		begun := time.Now()
		err = l.write(ctx, nil)
		ended := time.Now()
		if err == nil {
			var mine *broker.Stored
			if mine, err = l.reader.Get(ctx, broker.Intents, l.last); err == nil {
				return readClock(mine.Time, begun, ended), nil
			}
		}
		if !errors.Is(err, errFenced) { // the old owner was still writing: read on
			return clock{}, err
		}
		if err := ctx.Err(); err != nil {
			return clock{}, err
		}
	}
}

// position returns the sequence of the newest record.
func (l *intentLog) position() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

// commit returns once in is stored. After an error the call must not start.
func (l *intentLog) commit(in ledger.Intent) error {
	begun := time.Now()
	l.mu.Lock()
	for l.err == nil && l.next != nil && len(l.next.calls) >= maxGroup {
		full := l.next
		l.mu.Unlock()
		<-full.done
		l.mu.Lock()
	}
	if l.err != nil {
		l.mu.Unlock()
		return l.err
	}
	g, begins := l.next, l.next == nil
	if begins {
		g = &intentGroup{done: make(chan struct{})}
		l.next = g
	}
	g.calls = append(g.calls, in)
	l.mu.Unlock()
	if begins {
		l.store(g)
	} else {
		<-g.done
	}
	l.took(time.Since(begun))
	return g.err
}

// store writes g once the group before it is stored. Until then others join it.
func (l *intentLog) store(g *intentGroup) {
	defer close(g.done)
	l.pen.Lock()
	defer l.pen.Unlock()
	l.mu.Lock()
	l.next, g.err = nil, l.err
	l.mu.Unlock()
	if g.err != nil {
		return
	}
	if g.err = l.write(l.ctx, g.calls); g.err != nil {
		l.close(g.err)
	}
}

// close makes every commit fail from now on.
func (l *intentLog) close(err error) {
	l.mu.Lock()
	if l.err == nil {
		l.err = err
	}
	l.mu.Unlock()
}

// write stores one record, for as long as it takes or until ctx is done.
func (l *intentLog) write(ctx context.Context, calls []ledger.Intent) error {
	data, err := ledger.EncodeIntents(&ledger.IntentGroup{
		Owner: l.owner, Epoch: l.epoch, AtMS: time.Now().UnixMilli(), Calls: calls,
	})
	if err != nil {
		return err
	}
	for {
		seq, err := l.try(ctx, data)
		if err == nil {
			l.outage.Worked()
			l.setLast(seq)
			return nil
		}
		if broker.IsWrongSequence(err) {
			if again, err := l.settle(ctx, data); !again {
				return err
			}
			continue
		}
		// The broker is away, or has no room, or its answer was lost. Another try
		// tells which.
		l.outage.Failed(err)
		select {
		case <-ctx.Done():
			return fmt.Errorf("store intents: %w", context.Cause(ctx))
		case <-time.After(l.retry):
		}
	}
}

// intentTry is how long the broker has to answer one try. An answer that went down
// with its connection never comes, and no call can start meanwhile.
const intentTry = 2 * time.Second

// try publishes a record once, and returns where it is stored.
func (l *intentLog) try(ctx context.Context, data []byte) (seq uint64, err error) {
	m := nats.NewMsg(l.subject)
	m.Data = data
	m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(l.last, 10))
	ack, err := l.pub.Publish(m)
	if err != nil {
		return 0, err
	}
	silence := time.NewTimer(intentTry)
	defer silence.Stop()
	select {
	case <-ack.Done():
		seq, _ = ack.Seq()
		return seq, ack.Err()
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	case <-silence.C:
		return 0, nats.ErrTimeout
	}
}

// settle decides what a refused record means: that an earlier try of the same
// record was stored after all, that the partition has been idle for so long that
// its records have aged out, so that the next one is to be tried as the first,
// or that the partition has a new owner.
func (l *intentLog) settle(ctx context.Context, data []byte) (again bool, err error) {
	newest, err := l.newest(ctx)
	switch {
	case err != nil:
		return false, err
	case newest == nil:
		again = l.last != 0
		l.setLast(0)
	case bytes.Equal(newest.Data, data):
		l.setLast(newest.Seq)
		return false, nil
	}
	if !again {
		err = errFenced
	}
	return again, err
}

func (l *intentLog) setLast(seq uint64) {
	l.mu.Lock()
	l.last = seq
	l.mu.Unlock()
}

// newest reads the newest record from the stream's leader: a lagging replica
// would name a sequence that the leader refuses.
func (l *intentLog) newest(ctx context.Context) (*broker.Stored, error) {
	m, err := l.reader.Last(ctx, broker.Intents, l.subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil
	}
	return m, err
}
