package broker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Verify reports everything by which the streams and buckets differ from s,
// each on its own line, or nil. It changes nothing.
func Verify(ctx context.Context, js jetstream.JetStream, s Streams) error {
	if err := checkPayload(js); err != nil {
		return fmt.Errorf("verify streams: %w", err)
	}
	faults, err := Differences(ctx, js, s)
	if err != nil || len(faults) == 0 {
		return err
	}
	return fmt.Errorf("the streams are not as they should be (`tram setup` makes them so):\n  %s", strings.Join(faults, "\n  "))
}

// Differences returns everything by which the streams and buckets differ from s,
// each as "<stream or bucket>: <what>", such as "TRAM_DEAD: missing".
func Differences(ctx context.Context, js jetstream.JetStream, s Streams) (faults []string, err error) {
	if err := s.Validate(); err != nil {
		return nil, fmt.Errorf("verify streams: %w", err)
	}
	s = s.withDefaults()
	for _, want := range s.configs() {
		have, err := streamConfig(ctx, js, want.Name)
		if err != nil {
			return nil, fmt.Errorf("verify stream %s: %w", want.Name, err)
		}
		faults = append(faults, difference(want.Name, &want, have)...)
	}
	for _, want := range s.buckets() {
		have, err := streamConfig(ctx, js, "KV_"+want.Bucket)
		if err != nil {
			return nil, fmt.Errorf("verify bucket %s: %w", want.Bucket, err)
		}
		faults = append(faults, bucketDifference(&want, have)...)
	}
	return faults, nil
}

// electionPatience outlasts an election in a cluster: 4 to 9 seconds each time
// that its servers try.
const electionPatience = 30 * time.Second

// streamConfig returns nil if there is no such stream. It waits for a stream
// whose leader is just being elected, so that a process can be started then.
func streamConfig(ctx context.Context, js jetstream.JetStream, name string) (*jetstream.StreamConfig, error) {
	for end := time.Now().Add(electionPatience); ; {
		st, err := js.Stream(ctx, name)
		switch {
		case errors.Is(err, jetstream.ErrStreamNotFound):
			return nil, nil
		case err == nil:
			return &st.CachedInfo().Config, nil
		case !electing(err) || ctx.Err() != nil || time.Now().After(end):
			return nil, err
		}
		MoveOn(js.Conn(), err)
		select {
		case <-ctx.Done():
		case <-time.After(250 * time.Millisecond):
		}
	}
}

// electing reports whether err may be that of a stream, or of a cluster, that
// has no leader.
func electing(err error) bool {
	const noLeader = 10008 // "JetStream system temporarily unavailable"
	e, ok := errors.AsType[*jetstream.APIError](err)
	return ok && e.ErrorCode == noLeader || errors.Is(err, context.DeadlineExceeded)
}

// A setting is one value that must be as wanted.
type setting struct {
	name       string
	want, have any
}

func compare(stream string, settings []setting) []string {
	var faults []string
	for _, s := range settings {
		if s.want != s.have {
			faults = append(faults, fmt.Sprintf("%s: %s is %v, want %v", stream, s.name, s.have, s.want))
		}
	}
	return faults
}

func difference(name string, want, have *jetstream.StreamConfig) []string {
	if have == nil {
		return []string{name + ": missing"}
	}
	subjects := func(c *jetstream.StreamConfig) string {
		return strings.Join(slices.Sorted(slices.Values(c.Subjects)), " ")
	}
	transform := func(c *jetstream.StreamConfig) string {
		if c.SubjectTransform == nil {
			return "none"
		}
		return c.SubjectTransform.Source + " to " + c.SubjectTransform.Destination
	}
	sources := func(c *jetstream.StreamConfig) string {
		var all []string
		for _, s := range c.Sources {
			all = append(all, s.Name+s.FilterSubject)
			for _, t := range s.SubjectTransforms {
				all = append(all, t.Source+" to "+t.Destination)
			}
		}
		return cmp.Or(strings.Join(all, ", "), "none")
	}
	return compare(name, []setting{
		{"subjects", subjects(want), subjects(have)},
		{"sources", sources(want), sources(have)},
		{"subject transform", transform(want), transform(have)},
		{"retention", want.Retention, have.Retention},
		{"discard", want.Discard, have.Discard},
		{"storage", want.Storage, have.Storage},
		{"replicas", want.Replicas, have.Replicas},
		{"max age", want.MaxAge, have.MaxAge},
		{"max bytes", want.MaxBytes, have.MaxBytes},
		{"max messages", int64(-1), have.MaxMsgs},
		{"max messages per subject", int64(-1), have.MaxMsgsPerSubject},
		{"max message size", want.MaxMsgSize, have.MaxMsgSize},
		{"duplicate window", want.Duplicates, have.Duplicates},
		{"allow direct", want.AllowDirect, have.AllowDirect},
		{"deny delete", want.DenyDelete, have.DenyDelete},
		{"deny purge", want.DenyPurge, have.DenyPurge},
		{"allow rollup", want.AllowRollup, have.AllowRollup},
		{"allow message ttl", want.AllowMsgTTL, have.AllowMsgTTL},
		{"allow message schedules", want.AllowMsgSchedules, have.AllowMsgSchedules},
		{"allow message counter", false, have.AllowMsgCounter},
		{"allow atomic publish", false, have.AllowAtomicPublish},
		{"allow batch publish", false, have.AllowBatchPublish},
		{"no ack", false, have.NoAck},
		{"sealed", false, have.Sealed},
	})
}

func bucketDifference(want *jetstream.KeyValueConfig, have *jetstream.StreamConfig) []string {
	if have == nil {
		return []string{want.Bucket + ": missing"}
	}
	return compare(want.Bucket, []setting{
		{"history", int64(want.History), have.MaxMsgsPerSubject},
		{"storage", want.Storage, have.Storage},
		{"replicas", want.Replicas, have.Replicas},
		{"max age", want.TTL, have.MaxAge},
		{"limit marker ttl", want.LimitMarkerTTL, have.SubjectDeleteMarkerTTL},
	})
}
