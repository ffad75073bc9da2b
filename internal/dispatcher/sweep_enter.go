package dispatcher

import (
	"maps"
	"slices"

	"github.com/tramhq/tram/internal/broker"
)

// An entrant is a partition that has come, with so many lanes that are behind. They
// lack nothing up to from, and know of requests up to known; the feed brings the
// partition what comes after upTo.
type entrant struct {
	p                 *partition
	lanes             int
	from, known, upTo uint64
}

// entrant looks what the lanes are behind with. Those that are far behind the others
// read alone.
func (p *partition) entrant() entrant {
	e := entrant{p: p, from: p.fed.Load(), upTo: p.fed.Load()}
	var heads []uint64
	for _, l := range p.all() {
		for _, b := range l.behind() {
			heads, e.known = append(heads, b.from), max(e.known, b.upTo)
		}
	}
	if e.lanes = len(heads); e.lanes == 0 {
		return e
	}
	slices.Sort(heads)
	median := heads[len(heads)/2]
	e.from = heads[slices.IndexFunc(heads, func(head uint64) bool { return head+sweepFar >= median })]
	for _, l := range p.all() {
		l.missUpTo(e.from)
	}
	return e
}

// admit lets those enter that have come, and returns what to read. The sweep goes
// back to where they are, if that is not too far.
func (s *sweep) admit() (filter string) {
	s.in.mu.Lock()
	defer s.in.mu.Unlock()
	for _, e := range s.entering {
		s.next = min(s.next, e.upTo+1)
		if far := uint64(sweepFar * min(e.lanes, sweepBack)); e.from+far >= s.next {
			s.next = min(s.next, e.from+1)
			continue
		}
		for _, l := range e.p.all() {
			l.missUpTo(s.next - 1)
			l.stir()
		}
	}
	s.entering = nil
	s.parts = maps.Clone(s.in.parts)
	if len(s.parts) == 1 {
		for n := range s.parts {
			return broker.PartitionFilter(n)
		}
	}
	return broker.AllRequests
}

func (s *sweep) entered() bool {
	s.in.mu.Lock()
	defer s.in.mu.Unlock()
	return len(s.entering) > 0
}
