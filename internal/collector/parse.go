package collector

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strconv"

	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// parse reads the answer of r with its provider package. A panic there comes
// back as an error: it costs the answer at hand and nothing else.
func parse(p channels.Provider, a *channels.Account, about events.About, req *events.Request, r *ledger.Result) (h *channels.Harvest, unread *unreadError) {
	switch {
	case p == nil:
		return nil, &unreadError{error: errors.New("this collector does not know the provider"), reason: reasonUnreadableAnswer}
	case r.Answer == nil:
		return nil, &unreadError{error: errors.New("the result has no answer"), reason: reasonUnreadableAnswer}
	case a == nil:
		a = &channels.Account{Provider: about.Provider, Name: about.Account}
	}
	defer func() {
		if v := recover(); v != nil {
			h, unread = nil, &unreadError{error: panicked(v), reason: reasonPanic, stack: ledger.Stack()}
		}
	}()
	h, err := p.Parse(a, req, channels.Step{Number: r.Step, Cursor: r.Cursor}, r.Answer)
	if err != nil {
		return nil, &unreadError{error: err, reason: reasonUnreadableAnswer}
	}
	return cmp.Or(h, &channels.Harvest{}), nil
}

// An unreadError says why the events of an answer could not be found in it.
type unreadError struct {
	error
	reason string
	stack  string // of a panic
}

// panicked says what a provider package panicked with. It quotes only what the
// runtime says: other values may be pieces of the answer.
func panicked(value any) error {
	if err, ok := value.(runtime.Error); ok {
		return fmt.Errorf("the provider package panicked: %w", err)
	}
	return fmt.Errorf("the provider package panicked with a %T", value)
}

// harvest adds the events that the answer holds.
func (t *translation) harvest(h *channels.Harvest) {
	r := t.r
	report, step := t.name(), strconv.Itoa(r.Step)
	fetched := r.Answer.StartedMS + r.Answer.TookUS/1000
	for i := range h.Stats {
		s := &h.Stats[i]
		s.About, s.Report = t.about, cmp.Or(s.Report, report)
		s.Page, s.FetchedMS = r.Step, fetched
		s.Key = channels.StatKey(s.Provider, s.Account, s.Report, s.Metric, s.Bucket, s.Dims)
		msg, err := events.EncodeStat(t.meta(events.KindStat, fetched, step, s.Key, s.Path), s)
		if err != nil {
			t.refuse("the stat of "+s.Path, err)
			continue
		}
		t.msgs = append(t.msgs, msg)
	}
	for i := range h.Records {
		t.record(&h.Records[i], report, step, fetched)
	}
}

// record adds a record. One that is too large is published without its object,
// so that readers learn that it is there; the dead letter has the object.
func (t *translation) record(rec *events.Record, report, step string, fetched int64) {
	rec.About, rec.Report = t.about, cmp.Or(rec.Report, report)
	rec.Page, rec.FetchedMS = t.r.Step, fetched
	rec.Key = cmp.Or(rec.Key, channels.RecordKey(rec.Provider, rec.Account, rec.Kind, rec.ID))
	meta := t.meta(events.KindRecord, fetched, step, rec.Key, rec.Path)
	msg, err := events.EncodeRecord(meta, rec)
	if err != nil {
		t.refuse("the record of "+rec.Path, err)
		rec.About, rec.Object = shortAbout(rec.About), ""
		rec.Attrs = shortAttrs(rec.Attrs)
		if msg, err = events.EncodeRecord(meta, rec); err != nil {
			return
		}
	}
	t.msgs = append(t.msgs, msg)
}

// maxShortAttrs bounds the attributes of a record that was too large whole.
const maxShortAttrs = 100

func shortAttrs(all map[string]string) map[string]string {
	attrs := map[string]string{"truncated": "true"}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if v := all[name]; len(attrs) < maxShortAttrs && len(name)+len(v) <= maxShort {
			attrs[name] = v
		}
	}
	return attrs
}
