package dispatcher

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/pkg/events"
)

// A request that is planned ends now, not at its time.
func TestCancelOfWhatIsPlanned(t *testing.T) {
	r := newRig(t)
	r.start(calm)
	seq := r.sendAt("far", time.Now().Add(100*24*time.Hour))
	other := r.sendAt("near", time.Now().Add(4*time.Second))
	for _, seq := range []uint64{seq, other} {
		r.eventually(func() string {
			if len(r.results()[seq]) == 0 {
				return "not planned"
			}
			return ""
		})
	}
	r.one(r.cancel("shop", "far"), events.StateDone, ReasonTakenBack)
	if end := r.byID("far"); end.State != events.StateCancelled {
		t.Errorf("ended as %s (%s)", end.State, end.Why.Reason)
	}
	if end := r.byID("near"); end.State != events.StateAccepted {
		t.Errorf("the other ended as %s (%s)", end.State, end.Why.Reason)
	}
	r.one(r.cancel("shop", "near"), events.StateFailed, ReasonTooLate)
}

// A request that has come back from LATER and is held stands behind its cancel in
// the stream, but was published before it.
func TestCancelOfWhatHasComeBack(t *testing.T) {
	r := newRig(t)
	stop := r.start(calm)
	far := time.Now().Add(time.Hour)
	seqs := []uint64{r.sendAt("b1", far), r.sendAt("b2", far)}
	for _, seq := range seqs {
		r.eventually(func() string {
			if len(r.results()[seq]) == 0 {
				return "not planned"
			}
			return ""
		})
	}
	stop()
	for _, seq := range seqs { // the server's clock moves on by an hour
		m := r.planned(seq, time.Now())
		last, err := r.read.Last(t.Context(), broker.Later, m.Subject)
		if err != nil {
			t.Fatal(err)
		}
		m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(last.Seq, 10))
		r.b.Publish(m)
	}
	r.control("shop", true, "An", "a test")
	stop = r.takenOver("shop", calm)
	r.eventually(func() string {
		n := 0
		err := r.read.Replay(t.Context(), broker.Requests, "req.>", 1, func(*broker.Stored) error { n++; return nil })
		if err != nil {
			t.Fatal(err)
		}
		if n < 4 {
			return fmt.Sprintf("%d requests in the stream", n)
		}
		return ""
	})
	r.one(r.cancel("shop", "b1"), events.StateDone, ReasonTakenBack)
	stop()
	r.start(calm) // which finds the void where the last one left it
	r.one(r.cancel("shop", "b2"), events.StateDone, ReasonTakenBack)
	r.control("shop", false, "An", "")
	for _, id := range []string{"b1", "b2"} {
		if end := r.byID(id); end.State != events.StateCancelled {
			t.Errorf("%s ended as %s (%s)", id, end.State, end.Why.Reason)
		}
	}
	if n := len(r.desk.made()); n != 0 {
		t.Errorf("%d calls", n)
	}
}
