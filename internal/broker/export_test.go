package broker

import "time"

// CheckEvery changes how often f asks whether there are messages that do not
// come.
func (f *Feed) CheckEvery(d time.Duration) { f.check = d }

var PlainAck = plainAck
