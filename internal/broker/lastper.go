package broker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"
)

// LastPerSubject returns the last sequence of each subject that matches one of the
// filters. It holds for every message up to sequence upTo; later ones may be in
// it or not.
func (r *Reader) LastPerSubject(ctx context.Context, stream string, filters ...string) (last map[string]uint64, upTo uint64, err error) {
	msgs, end, err := r.batch(ctx, stream, ">", getRequest{MultiLast: filters, MaxBytes: 8 * maxBatchBytes})
	some := errors.Is(err, errTooMany) || err == nil && end.pending > 0
	last = make(map[string]uint64, len(msgs))
	for _, m := range msgs {
		if !slices.ContainsFunc(filters, func(f string) bool { return matches(f, m.Subject) }) {
			err = errNotIntact
		}
		last[m.Subject] = m.Seq
	}
	some = some || errors.Is(err, errNotIntact)
	switch {
	case some && len(filters) > 1:
		return r.lastInHalves(ctx, stream, filters)
	case some, err == nil && len(msgs) == 0: // of none, a replica does not say up to where
		return r.lastOneByOne(ctx, stream, filters)
	case err != nil:
		return nil, 0, err
	}
	return last, end.upTo, nil
}

func (r *Reader) lastInHalves(ctx context.Context, stream string, filters []string) (map[string]uint64, uint64, error) {
	last, upTo, err := r.LastPerSubject(ctx, stream, filters[:len(filters)/2]...)
	if err != nil {
		return nil, 0, err
	}
	more, moreUpTo, err := r.LastPerSubject(ctx, stream, filters[len(filters)/2:]...)
	if err != nil {
		return nil, 0, err
	}
	maps.Copy(last, more)
	return last, min(upTo, moreUpTo), nil
}

// lastOneByOne asks the leader for the subjects, then for the last message of
// each. The server's own way to do that, multi_last, stops at 1,024 subjects.
func (r *Reader) lastOneByOne(ctx context.Context, stream string, filters []string) (map[string]uint64, uint64, error) {
	st, err := r.js.Stream(ctx, stream) // before the subjects: a new one is then beyond upTo
	if err != nil {
		return nil, 0, fmt.Errorf("read %s: %w", stream, err)
	}
	upTo := st.CachedInfo().State.LastSeq
	var mu sync.Mutex
	last := make(map[string]uint64)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(16)
	for _, filter := range filters {
		info, err := st.Info(ctx, jetstream.WithSubjectFilter(filter))
		if err != nil {
			return nil, 0, errors.Join(fmt.Errorf("read %s: %w", stream, err), g.Wait())
		}
		for subject := range info.State.Subjects {
			g.Go(func() error {
				seq, err := r.lastSeq(ctx, stream, subject)
				if err != nil || seq == 0 { // gone since
					return err
				}
				mu.Lock()
				defer mu.Unlock()
				last[subject] = seq
				return nil
			})
		}
	}
	if err := g.Wait(); err != nil {
		return nil, 0, err
	}
	return last, upTo, nil
}

// matches reports whether subject matches filter, by the rules of NATS.
func matches(filter, subject string) bool {
	for {
		f, moreFilter, filterGoesOn := strings.Cut(filter, ".")
		s, moreSubject, subjectGoesOn := strings.Cut(subject, ".")
		if f == ">" {
			return s != ""
		}
		if f != "*" && f != s || filterGoesOn != subjectGoesOn {
			return false
		}
		if !filterGoesOn {
			return true
		}
		filter, subject = moreFilter, moreSubject
	}
}
