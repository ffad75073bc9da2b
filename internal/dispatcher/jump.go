package dispatcher

import (
	"maps"

	"github.com/tramhq/tram/internal/broker"
)

// jump takes the feed to the end of the stream, so that a burst for one account
// does not delay the others behind it. The lanes learn how far their requests go; a
// sweep brings them what the feed jumps over, or they read it themselves.
func (in *intake) jump() {
	defer in.jumping.Store(false)
	in.mu.Lock()
	parts, filters := maps.Clone(in.parts), in.filtersLocked()
	in.mu.Unlock()
	if len(parts) == 0 {
		return
	}
	last, upTo, err := in.reader.LastPerSubject(in.ctx, broker.Requests, filters...)
	if err != nil {
		if in.ctx.Err() == nil {
			in.log.Warn("feed does not jump", "error", err)
		}
		return
	}
	known := make(map[int]map[string]uint64)
	for subject, seq := range last {
		if at, err := locate(subject); err == nil {
			if known[at.partition] == nil {
				known[at.partition] = make(map[string]uint64)
			}
			known[at.partition][subject] = seq
		}
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	to := upTo
	for n, p := range in.parts {
		if parts[n] != p { // it has joined since
			to = min(to, p.fed.Load())
		}
	}
	if to <= in.fed {
		return
	}
	var told []*lane
	for n, p := range in.parts {
		if parts[n] == p {
			told = append(told, p.learn(newest{known[n], upTo})...)
		}
	}
	in.told = max(in.told, upTo)
	in.feed.Jump(to + 1)
	if in.sweep == nil {
		in.sweepLocked(in.fed)
	}
	in.fed = to
	for _, l := range told { // now that they know whether there is a sweep
		l.stir()
	}
	in.log.Info("feed jumped", "to_seq", to)
}
