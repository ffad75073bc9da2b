package main

import (
	"bytes"
	"context"
	"fmt"
	"hash/maphash"
	"time"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/pkg/events"
)

const rebuildJob = "rebuilt"

// rebuild makes all events again into a stream of their own, by processes of
// which all but the last are killed while they work.
func (s *stage) rebuild(ctx context.Context, plan replayPlan) (took time.Duration, kills int, err error) {
	began := time.Now()
	for k := 1; ; k++ {
		cmd := s.tram(ctx, "replay", "events", "--config", s.config(), "--job", rebuildJob, "--json", "--rate", fmt.Sprint(plan.Rate))
		var said bytes.Buffer
		cmd.Stderr = &said
		if err := cmd.Start(); err != nil {
			return 0, 0, err
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		if k <= plan.Kills {
			// It dies when it has published its share, wherever that finds it.
			killed, err := s.killAt(ctx, cmd.Process.Kill, ended, uint64(plan.Results*k/(plan.Kills+1)))
			if err != nil {
				return 0, 0, fmt.Errorf("rebuild: %w\n%s", err, &said)
			}
			if killed {
				kills++
				continue
			}
		} else if err := <-ended; err != nil {
			return 0, 0, fmt.Errorf("rebuild: %w\n%s", err, &said)
		}
		return time.Since(began), kills, nil
	}
}

// killAt kills a rebuilding process once so many events are there. It returns
// false if the process had ended by itself, which is well if it had done all.
func (s *stage) killAt(ctx context.Context, kill func() error, ended <-chan error, events uint64) (bool, error) {
	for {
		select {
		case err := <-ended:
			return false, err
		case <-time.After(2 * time.Millisecond):
		}
		n, err := s.count(ctx, broker.ReplayStream(rebuildJob), ">")
		if err == nil && n >= events {
			_ = kill()
			err := <-ended
			return err != nil, nil // it may have ended at this moment
		}
		if ctx.Err() != nil {
			return false, context.Cause(ctx)
		}
	}
}

// sameEvents compares a stream of a replay's own with EVENTS.
func (s *stage) sameEvents(ctx context.Context, stream string) (differ, twice int, err error) {
	seed, sums := maphash.MakeSeed(), map[string]uint64{}
	read := broker.NewReader(s.js)
	err = read.Scan(ctx, broker.Events, broker.Window{}, func(m *broker.Stored) error {
		sums[m.Header.Get(events.HeaderID)] = sumOf(seed, m, "tram.")
		return nil
	})
	if err != nil {
		return 0, 0, err
	}
	seen := map[string]bool{}
	err = read.Scan(ctx, stream, broker.Window{}, func(m *broker.Stored) error {
		id := m.Header.Get(events.HeaderID)
		if seen[id] {
			twice++
		}
		if seen[id] = true; sums[id] != sumOf(seed, m, broker.ReplayPrefix(rebuildJob)) {
			differ++
		}
		return nil
	})
	return differ + len(sums) - len(seen), twice, err
}

// sumOf stands for an event without the marks of how it was published.
func sumOf(seed maphash.Seed, m *broker.Stored, prefix string) uint64 {
	total := maphash.String(seed, m.Subject[len(prefix):]) + maphash.Bytes(seed, m.Data)
	for name, values := range m.Header {
		if name != events.HeaderMsgID && name != events.HeaderReplay {
			total += maphash.String(seed, fmt.Sprint(name, values))
		}
	}
	return total
}
