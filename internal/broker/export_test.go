package broker

import "time"

// CheckEvery changes how often f asks whether there are messages that do not
// come.
func (f *Feed) CheckEvery(d time.Duration) { f.check = d }

var PlainAck = plainAck

// Fail ends the waiting for all acknowledgements.
func (p *Publisher) Fail(err error) { p.fail(err, time.Time{}) }
