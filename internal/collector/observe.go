package collector

import "time"

// An Observer counts what a collector does. Its methods return at once.
type Observer interface {
	Read()                 // a result
	Stored(subject string) // an event or dead letter that was published under it
	// Collected is a result of which all events are stored, so long after it was
	// decided by its dispatcher's clock. traceID is "" unless its trace is sampled.
	Collected(age time.Duration, traceID string)
	StoreFailed()           // a try to store one, which is tried again
	Waiting(results uint64) // that have not been read yet by any collector
}

// unobserved counts nothing.
type unobserved struct{}

func (unobserved) Read()                           {}
func (unobserved) Stored(string)                   {}
func (unobserved) Collected(time.Duration, string) {}
func (unobserved) StoreFailed()                    {}
func (unobserved) Waiting(uint64)                  {}
