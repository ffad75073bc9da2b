package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/collector"
)

// Streams looks whether the streams and buckets are there, as `tram setup` makes
// them by want, have their leaders and replicas, and have room. Unless want is
// known to be what is wanted, differences from it are only worth a word.
func Streams(ctx context.Context, js jetstream.JetStream, want broker.Streams, known bool) []Finding {
	f := findings{check: CheckStreams}
	asked, cancel := context.WithTimeout(ctx, 2*answerTimeout)
	defer cancel()
	differences, err := broker.Differences(asked, js, want)
	if err != nil {
		f.add(Fail, "", "see whether the servers have a quorum, and what the user may do", "the streams do not answer: %v", err)
		return f.all
	}
	for _, d := range differences {
		stream, what, _ := strings.Cut(d, ": ")
		switch {
		case strings.HasSuffix(d, ": missing"):
			f.add(Fail, stream, "tram setup", "it does not exist")
		case known:
			f.add(Fail, stream, "tram setup with the configuration of the dispatchers", "%s", what)
		default:
			f.add(Warn, stream, "--config compares with your settings instead of the defaults", "%s", what)
		}
	}
	for _, name := range broker.Names() {
		asked, cancel := context.WithTimeout(ctx, answerTimeout)
		s, err := js.Stream(asked, name)
		cancel()
		if err != nil {
			continue // it is missing, and said so above
		}
		f.stream(s.CachedInfo())
	}
	return f.done("%d streams and buckets are as tram setup makes them, and have room", len(broker.Names()))
}

// stream looks at the replicas of a stream, and how full it is.
func (f *findings) stream(info *jetstream.StreamInfo) {
	name := info.Config.Name
	if c := info.Cluster; c != nil {
		if c.Leader == "" {
			f.add(Fail, name, "start its servers: a majority of the replicas must run", "it has no leader")
		}
		for _, r := range c.Replicas {
			switch {
			case r.Offline:
				f.add(Warn, name, "start that server again", "the replica on %s is offline", r.Name)
			case !r.Current && r.Lag > 0:
				f.add(Warn, name, "wait, and look again; then see the log of that server", "the replica on %s is %d messages behind", r.Name, r.Lag)
			}
		}
	}
	if limit := float64(info.Config.MaxBytes); limit > 0 {
		if used := float64(info.State.Bytes); full(used, limit) != OK {
			f.add(full(used, limit), name, "raise its max_bytes and run tram setup, or lower its max_age: a full stream refuses what comes",
				"%s of %s are used", bytes(used), bytes(limit))
		}
	}
}

// lagWorthAWord is how many messages a reader may be behind.
const lagWorthAWord = 10_000

// Consumers looks whether collectors read the results, and how far those have come
// that read events under names of their own.
func Consumers(ctx context.Context, js jetstream.JetStream) []Finding {
	f := findings{check: CheckConsumers}
	ctx, cancel := context.WithTimeout(ctx, 4*answerTimeout)
	defer cancel()
	cons, err := js.Consumer(ctx, broker.Results, collector.Durable)
	switch {
	case errors.Is(err, jetstream.ErrConsumerNotFound), errors.Is(err, jetstream.ErrStreamNotFound):
		f.add(Warn, collector.Durable, "start a collector: results are kept until one runs", "no collector has ever run")
	case err != nil:
		f.add(Fail, collector.Durable, "see what the user may do", "it does not answer: %v", err)
	default:
		info := cons.CachedInfo()
		unread := int(info.NumPending) + info.NumAckPending
		switch {
		case unread > 0 && info.NumWaiting == 0 && info.NumAckPending == 0:
			f.add(Fail, collector.Durable, "start a collector, or see the log of the one that should run", "results wait that no collector reads: %d", unread)
		case unread > lagWorthAWord:
			f.add(Warn, collector.Durable, "start more collectors, or see whether events can be stored", "%d results wait", unread)
		}
	}
	n, err := f.downstream(ctx, js)
	if err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
		f.add(Warn, broker.Events, "let the user publish to $JS.API.CONSUMER.LIST.TRAM_EVENTS", "it cannot be told who reads events: %v", err)
	}
	return f.done("the collectors keep up, and so do the services that read events: %d", n)
}

// downstream looks at each durable consumer of events, and returns how many there
// are.
func (f *findings) downstream(ctx context.Context, js jetstream.JetStream) (n int, err error) {
	s, err := js.Stream(ctx, broker.Events)
	if err != nil {
		return 0, err
	}
	keeps, read := s.CachedInfo().Config.MaxAge, broker.NewReader(js)
	list := s.ListConsumers(ctx)
	for info := range list.Info() {
		if info.Config.Durable == "" {
			continue
		}
		if n++; info.NumPending == 0 {
			continue
		}
		next, err := read.Get(ctx, broker.Events, max(info.AckFloor.Stream, s.CachedInfo().State.FirstSeq-1)+1)
		if err != nil {
			continue // it has just been read, or has left
		}
		f.behind(info.Name, info.NumPending, time.Since(next.Time), keeps)
	}
	return n, list.Err()
}

// behind looks at a service for which so many events wait, the oldest of that age.
func (f *findings) behind(name string, waiting uint64, age, keeps time.Duration) {
	switch grade := full(age.Seconds(), keeps.Seconds()); {
	case keeps > 0 && grade != OK:
		f.add(grade, name, "let it read, or raise streams.events.max_age: what it has not read is about to be lost",
			"the oldest of %d events that it has not read is %v old, and events are kept for %v", waiting, age.Round(time.Minute), keeps)
	case waiting > lagWorthAWord:
		f.add(Warn, name, "see why the service does not keep up", "%d events wait for it", waiting)
	}
}

// bytes writes a number of bytes in the unit that fits.
func bytes(n float64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	i := 0
	for ; n >= 1024 && i < len(units)-1; i++ {
		n /= 1024
	}
	return cmp.Or(strings.TrimSuffix(fmt.Sprintf("%.1f", n), ".0"), "0") + " " + units[i]
}
