package channelstest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// checkHarvest checks what Parse makes of a good answer. keys are those of the
// stats of the case so far.
func (b *bench) checkHarvest(a *channels.Account, r *events.Request, s channels.Step, ans *channels.Answer, ex Exchange, keys map[string]string) {
	h, err := b.parse(a, r, s, ans)
	if err != nil {
		b.failf("parse: %v", err)
		return
	}
	if again, err := b.parse(a, r, s, ans); err != nil || !reflect.DeepEqual(h, again) {
		b.failf("parse is not deterministic")
	}
	if len(h.Stats) != ex.Harvest.Stats || len(h.Records) != ex.Harvest.Records {
		b.failf("harvest has %d stats and %d records, want %d and %d", len(h.Stats), len(h.Records), ex.Harvest.Stats, ex.Harvest.Records)
	}
	b.checkGolden(ex.Harvest, Describe(a, h))
	if r.Kind == events.KindSend {
		if len(h.Stats)+len(h.Records) > 0 {
			b.failf("a send's answer yields stats or records")
		}
		return
	}
	for _, st := range h.Stats {
		b.checkStat(a, r, ans, st, keys)
	}
	for _, rec := range h.Records {
		b.checkRecord(a, r, ans, rec)
	}
	if h.Result != "" && !json.Valid([]byte(h.Result)) {
		b.failf("the result is not JSON: %s", clip(h.Result))
	}
	for _, leaf := range leaves(ans.Body) {
		if !b.covered(leaf, h, ex.Harvest.Left) {
			b.failf("%s (%s) is lost: no stat, no record and not in the envelope", leaf.pointer, clip(leaf.raw))
		}
	}
}

func (b *bench) checkStat(a *channels.Account, r *events.Request, ans *channels.Answer, st events.Stat, keys map[string]string) {
	if st.Metric == "" || st.Unit == "" || st.Agg == "" || r.Report == nil || st.Report != r.Report.Report {
		b.failf("stat %s lacks its metric, unit, agg or report: %+v", st.Path, st)
	}
	raw, ok := lookup(ans.Body, st.Path)
	switch value, number := channels.Decimal(raw); {
	case !ok:
		b.failf("stat %s: nothing is at %s", st.Metric, st.Path)
	case st.Raw != string(raw):
		b.failf("stat %s: raw is %s, the answer has %s", st.Path, clip(st.Raw), clip(string(raw)))
	case !number || !reflect.DeepEqual(st.Value, value):
		b.failf("stat %s: the value is not that of %s", st.Path, clip(string(raw)))
	}
	key := channels.StatKey(b.p.Name(), a.Name, st.Report, st.Metric, st.Bucket, st.Dims)
	if other, twice := keys[key]; twice {
		b.failf("stats %s and %s have the same key: one would replace the other", other, st.Path)
	}
	keys[key] = st.Path
}

func (b *bench) checkRecord(a *channels.Account, r *events.Request, ans *channels.Answer, rec events.Record) {
	if rec.Key != channels.RecordKey(b.p.Name(), a.Name, rec.Kind, rec.ID) {
		b.failf("record %s: the key is not RecordKey's", rec.Path)
	}
	if rec.Kind == "" || rec.ID == "" || !json.Valid([]byte(rec.Object)) || r.Report != nil && rec.Report != r.Report.Report {
		b.failf("record %s lacks its kind, id, report or object: %+v", rec.Path, rec)
	}
	if _, ok := lookup(ans.Body, rec.Path); !ok {
		b.failf("record %s: nothing is there", rec.Path)
	}
}

// covered reports whether leaf is in one of the places where a leaf may be.
func (b *bench) covered(l leaf, h *channels.Harvest, left []string) bool {
	if slices.ContainsFunc(b.s.Envelope, func(pattern string) bool { return matches(pattern, l.pointer) }) ||
		slices.ContainsFunc(left, func(p string) bool { return below(l.pointer, p) }) ||
		slices.ContainsFunc(h.Stats, func(s events.Stat) bool { return s.Path == l.pointer }) {
		return true
	}
	return slices.ContainsFunc(h.Records, func(r events.Record) bool {
		if !below(l.pointer, r.Path) {
			return false
		}
		raw, ok := lookup([]byte(r.Object), strings.TrimPrefix(l.pointer, r.Path))
		return ok && compact(string(raw)) == l.raw
	}) || h.Result != "" && slices.ContainsFunc(leaves([]byte(h.Result)), func(r leaf) bool { return r.raw == l.raw })
}

// Describe writes a harvest as text: one line for a stat, two for a record.
func Describe(a *channels.Account, h *channels.Harvest) string {
	var b strings.Builder
	for _, s := range h.Stats {
		value := "null"
		if s.Value != nil {
			value = *s.Value
		}
		fmt.Fprintf(&b, "stat %s = %s raw %s unit %s", s.Metric, value, s.Raw, s.Unit)
		optional(&b, "currency", s.Currency)
		fmt.Fprintf(&b, " (%s) agg %s", s.UnitSource, s.Agg)
		optional(&b, "alias", s.Alias)
		fmt.Fprintf(&b, " bucket %d..%d at %d", s.Bucket.StartMS, s.Bucket.EndMS, s.Bucket.AtMS)
		optional(&b, "granularity", s.Bucket.Granularity)
		optional(&b, "zone", strings.TrimSpace(s.Bucket.Zone+" "+string(s.Bucket.ZoneSource)))
		optional(&b, "label", s.Bucket.Label)
		fmt.Fprintf(&b, " dims %s flags %s path %s key %s\n", pairs(s.Dims), s.Flags, s.Path,
			channels.StatKey(a.Provider, a.Name, s.Report, s.Metric, s.Bucket, s.Dims))
	}
	for _, r := range h.Records {
		fmt.Fprintf(&b, "record %s %s attrs %s path %s key %s\n  %s\n", r.Kind, r.ID, pairs(r.Attrs), r.Path, r.Key, compact(r.Object))
	}
	if h.Result != "" {
		fmt.Fprintf(&b, "result %s\n", compact(h.Result))
	}
	return b.String()
}

func optional(b *strings.Builder, name, value string) {
	if value != "" {
		fmt.Fprintf(b, " %s %s", name, value)
	}
}

func pairs(m map[string]string) string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(m)) {
		fmt.Fprintf(&b, " %s=%q", k, m[k])
	}
	return "{" + strings.TrimPrefix(b.String(), " ") + "}"
}

func (b *bench) checkGolden(want Harvest, got string) {
	if want.Golden == "" {
		if got != "" {
			b.failf("the exchange has a harvest and names no golden file:\n%s", got)
		}
		return
	}
	if *update {
		if err := os.WriteFile(want.Golden, []byte(got), 0o644); err != nil {
			b.failf("write golden file: %v", err)
		}
		return
	}
	file, err := os.ReadFile(want.Golden)
	if err != nil {
		b.failf("read golden file (go test -update writes it): %v", err)
		return
	}
	if bytes.Equal(file, []byte(got)) {
		return
	}
	gotLines, wantLines := strings.Split(got, "\n"), strings.Split(string(file), "\n")
	for i := range max(len(gotLines), len(wantLines)) {
		g, w := line(gotLines, i), line(wantLines, i)
		if g != w {
			b.failf("harvest differs from %s in line %d\n got %s\nwant %s", want.Golden, i+1, g, w)
			return
		}
	}
}

func line(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "(nothing)"
}
