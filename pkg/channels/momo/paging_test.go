package momo_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/channels/channelstest"
	"github.com/tramhq/tram/pkg/channels/momo"
	"github.com/tramhq/tram/pkg/events"
)

// A history is a MoMo that has sent these campaigns. What its document leaves
// open is open here: whether "older than" has the moment itself in it, and
// whether more than 20 can be asked for.
type history struct {
	at        []int64 // create_at, newest first
	inclusive bool
	most      int
	broken    bool // every other row, but not the last, cannot be read
}

func (h history) unreadable(i int) bool { return h.broken && i%2 == 1 && i < len(h.at)-1 }

func (h history) page(target int64, limit int) *channels.Answer {
	var rows []string
	for i, at := range h.at {
		older := target == 0 || at < target || h.inclusive && at == target
		switch {
		case !older || len(rows) == min(limit, h.most):
		case h.unreadable(i):
			rows = append(rows, "null")
		default:
			rows = append(rows, row(fmt.Sprint(i), at))
		}
	}
	return &channels.Answer{Status: 200, Body: []byte(page(rows...).Body), StartedMS: channelstest.NowMS}
}

// Whatever the pages end between, each campaign of the range that can be read comes
// once, and the pages come to an end.
func TestPages_HaveEachCampaignOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := history{inclusive: rapid.Bool().Draw(t, "inclusive"), most: rapid.SampledFrom([]int{20, 90}).Draw(t, "most"), broken: rapid.Bool().Draw(t, "broken")}
		limit := rapid.IntRange(2, 25).Draw(t, "limit")
		// Of as many of one moment as MoMo gives at once the rest cannot be had, so a
		// moment has fewer; a page that is asked for may well have fewer than that.
		for ms := int64(1000 + rapid.IntRange(0, 12).Draw(t, "moments")); ms > 1000; ms -= int64(rapid.IntRange(1, 3).Draw(t, "gap")) {
			for range rapid.IntRange(1, min(h.most, 40)-1).Draw(t, "ties") {
				h.at = append(h.at, ms)
			}
		}
		r := report(events.Range{Preset: "ALL"})
		r.Report.Page.Size = limit
		if rapid.Bool().Draw(t, "with a range") {
			r.Report.Range = events.Range{FromMS: 1005, ToMS: 1020}
		}
		var want []string
		for i, at := range h.at {
			if from, to := r.Report.Range.FromMS, r.Report.Range.ToMS; !h.unreadable(i) && (to == 0 || at >= from && at < to) {
				want = append(want, fmt.Sprintf("c%d/s%[1]d", i))
			}
		}
		got, _, calls := fetch(t, h, &r)
		slices.SortFunc(got, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) })
		if !slices.Equal(got, want) {
			t.Fatalf("got %v, want %v, of %+v", got, want, h)
		}
		if most := 3 + 2*len(h.at); calls > most {
			t.Fatalf("%d calls for %d campaigns", calls, len(h.at))
		}
	})
}

// fetch carries a report out and returns the ids of the campaigns that came.
func fetch(t rapid.TB, h history, r *events.Request) (ids, warnings []string, calls int) {
	p, a := momo.New(), account
	step := channels.Step{Number: 1}
	for {
		call, err := p.Prepare(&a, r, step)
		if err != nil {
			t.Fatal(err)
		}
		var asked struct {
			Limit  int   `json:"limit"`
			Target int64 `json:"target_created_at"`
		}
		if err := json.Unmarshal(call.Body, &asked); err != nil {
			t.Fatal(err)
		}
		ans := h.page(asked.Target, asked.Limit)
		v := p.Judge(&a, r, step, ans)
		harvest, err := p.Parse(&a, r, step, ans)
		if v.Class != channels.OK || err != nil {
			t.Fatalf("page %d: %+v, %v", step.Number, v, err)
		}
		warnings = append(warnings, v.Warnings...)
		for _, rec := range harvest.Records {
			ids = append(ids, rec.ID)
		}
		if calls++; v.Next == "" || calls > 10_000 {
			return ids, warnings, calls
		}
		step = channels.Step{Number: step.Number + 1, Cursor: v.Next}
	}
}

// Where MoMo gives no more at once than 20, and has more of one moment, the rest of
// them cannot be had: the outcome warns of it, and what is older comes all the same.
func TestPages_MoreOfOneMomentThanAnyPage(t *testing.T) {
	for _, inclusive := range []bool{false, true} {
		h := history{inclusive: inclusive, most: 20}
		for i := range 50 {
			at := int64(4000)
			if i >= 25 {
				at = int64(3000 - i)
			}
			h.at = append(h.at, at)
		}
		r := report(events.Range{Preset: "ALL"})
		r.Report.Page.Size = 20
		got, warnings, calls := fetch(t, h, &r)
		if len(got) != 45 || !slices.Contains(got, "c25/s25") || len(warnings) != 1 || calls > 10 {
			t.Errorf("inclusive %t: %d of 50 with %d calls and %q, want 45 and one warning", inclusive, len(got), calls, warnings)
		}
	}
}

// More campaigns of one moment than a cursor holds are passed over, with a
// warning, and not asked for for ever.
func TestPages_TooManyOfOneMoment(t *testing.T) {
	a, r := account, report(events.Range{Preset: "ALL"})
	h := history{most: 1000}
	for range 600 {
		h.at = append(h.at, 4000)
	}
	v := momo.New().Judge(&a, &r, channels.Step{Number: 1}, h.page(0, 1000))
	if v.Class != channels.OK || v.Next != `{"target":4000,"oldest":4000}` || len(v.Warnings) != 1 {
		t.Errorf("verdict %+v", v)
	}
}
