package dispatcher

import (
	"errors"
	"time"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// An Observer counts what a dispatcher does. Its methods, and those of its
// meters, return at once.
type Observer interface {
	// Meter returns what counts for an account, every time the same. It is asked
	// for accounts of the configuration alone, and for "" of "", which stands
	// for all others.
	Meter(provider, account string) Meter

	TookOver()    // a partition
	StoreFailed() // a try to store a result, which is tried again
}

// A Meter counts what is done for one account.
type Meter interface {
	Called(Called) // a call was made

	// Stored is a result that was stored: the state in which it leaves its
	// request, "" when that goes on with its next step.
	Stored(state events.State)
}

// Called is a call that was made.
type Called struct {
	Answer channels.Class // what its answer was judged as
	Took   time.Duration

	// The first call of a request has the request's class, and how long the
	// request had waited before it was begun. For all others Class is "".
	Class  events.Class
	Waited time.Duration

	TraceID string // of the sampled trace that it is in, or ""
}

// unobserved counts nothing.
type unobserved struct{}

func (unobserved) Meter(_, _ string) Meter { return unobserved{} }
func (unobserved) TookOver()               {}
func (unobserved) StoreFailed()            {}
func (unobserved) Called(Called)           {}
func (unobserved) Stored(events.State)     {}

// Load is how much of a dispatcher is in use.
type Load struct {
	Partitions  int // open
	InFlight    int // requests being executed
	MaxInFlight int // as configured
}

// Load returns how much of the dispatcher is in use now.
func (d *Dispatcher) Load() Load {
	return Load{Partitions: len(d.partitions()), InFlight: d.crew.inUse(), MaxInFlight: d.cfg.MaxInFlight}
}

var errNoLease = errors.New("has no lease: it cannot be had or renewed at the broker")

// Check reports why no call may be made here at present, or nil. It asks
// nobody.
func (d *Dispatcher) Check() error {
	if !time.Now().Before(d.owner.Deadline()) {
		return errNoLease
	}
	return nil
}

// meter counts for the account of x, or for all that do not exist.
func (x *execution) meter() Meter {
	if x.known == nil {
		return x.p.d.cfg.Observer.Meter("", "")
	}
	return x.known.meter
}
