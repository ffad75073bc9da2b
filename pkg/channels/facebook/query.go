package facebook

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

const (
	// maxMetrics keeps the URL well below what servers take.
	maxMetrics = 50

	// maxDays is the two years that insights are kept.
	maxDays = 2 * 366
)

// A query is a request in Graph's terms.
type query struct {
	page    string
	foreign bool // another page than the account's
	metrics []string
	period  string
	groupBy []string

	preset  string   // in the place of windows
	windows []window // none where the days are left to Graph

	zone       *time.Location
	zoneSource events.Origin
	warnings   []string
}

// Names are passed on as they are, as long as they cannot be anything else.
var (
	metricForm = regexp.MustCompile(`^[a-z0-9_]{1,100}$`)
	presetForm = regexp.MustCompile(`^[a-z0-9_]{1,50}$`)
)

// faults gathers what is wrong with a request.
type faults []events.Fault

func (f *faults) add(field, format string, args ...any) {
	*f = append(*f, events.Fault{Field: field, Problem: fmt.Sprintf(format, args...)})
}

// newQuery puts a request into Graph's terms. It refuses what the contract
// cannot say: what goes together with what depends on the metric.
func newQuery(a *channels.Account, r *events.Request) (*query, error) {
	if r.Report == nil || r.Report.Report != PageInsights {
		return nil, channels.Refuse(r, "report", "is not one of Facebook's")
	}
	q := &query{
		page:       a.Setting(settingPage, ""),
		period:     periodOf(r.Report.Granularity),
		groupBy:    unique(r.Report.GroupBy),
		metrics:    unique(r.Report.Metrics),
		preset:     r.Report.Range.Preset,
		zoneSource: events.Configured,
	}
	if a.Setting(settingZone, "") == "" {
		q.zoneSource = events.Guessed
	}
	zone := a.Setting(settingZone, defaultZone)
	var err error
	if q.zone, err = channels.Zone(zone); err != nil {
		return nil, fmt.Errorf("read setting zone: %w", err)
	}
	var f faults
	q.readPage(r.Report.Pages, &f)
	q.readRange(r.Report.Range, zone, &f)
	q.checkMetrics(&f)
	q.checkTotal(&f)
	if f != nil {
		return nil, &events.InvalidError{Kind: r.Kind, Faults: f}
	}
	return q, nil
}

func (q *query) readPage(pages []string, f *faults) {
	switch {
	case len(pages) == 0:
	case len(pages) > 1:
		f.add("pages", "takes one page: each has a token, and so an account, of its own")
	case !isSegment(pages[0]):
		f.add("pages[0]", "is no page id")
	default:
		q.foreign = pages[0] != q.page
		q.page = pages[0]
	}
}

// readRange turns a range into days of the insight zone, all of those that it
// touches.
func (q *query) readRange(r events.Range, zone string, f *faults) {
	if q.preset != "" && !presetForm.MatchString(q.preset) {
		f.add("range.preset", "must be a preset such as last_month")
	}
	from, to, err := channels.Span(r, zone)
	if err != nil {
		f.add("range", "%v", err)
		return
	}
	if from.IsZero() || to.IsZero() {
		return
	}
	from, to = from.In(q.zone), to.In(q.zone)
	w := window{dayOf(from), dayOf(to)}
	if w.until.begin(q.zone).Before(to) {
		w.until++
	}
	if w.days() > maxDays {
		f.add("range", "has %d days: Facebook keeps two years, so ask for %d at most", w.days(), maxDays)
		return
	}
	if !w.since.begin(q.zone).Equal(from) || !w.until.begin(q.zone).Equal(to) {
		q.warnings = append(q.warnings, fmt.Sprintf("the range was widened to whole days in %s, from %s to before %s", q.zone, w.since, w.until))
	}
	q.windows = split(w, q.period)
}

func (q *query) checkMetrics(f *faults) {
	if len(q.metrics) > maxMetrics {
		f.add("metrics", "has %d entries, at most %d are allowed", len(q.metrics), maxMetrics)
	}
	for _, name := range q.metrics {
		if !metricForm.MatchString(name) {
			f.add("metrics", "must be names such as page_messages_sent")
			return
		}
		m, known := metricOf(name)
		if !known {
			continue // what it can be split by is Graph's to say
		}
		for _, b := range q.groupBy {
			if !slices.Contains(m.breakdowns, b) {
				f.add("group_by", "%s cannot be split by %s: it takes %s", name, b, cmp.Or(strings.Join(m.breakdowns, ", "), "none"))
			}
		}
	}
}

// checkTotal makes sure that totals over a range are totals over that range.
func (q *query) checkTotal(f *faults) {
	if q.period != total {
		return
	}
	if q.preset == "" && len(q.windows) == 0 {
		f.add("range", "is missing: granularity range needs it, or range.preset")
	}
	if len(q.windows) < 2 {
		return
	}
	for _, name := range q.metrics {
		if m, _ := metricOf(name); m.agg != events.AggSum {
			f.add("range", "is over %d days, which take several calls, and the values of %s do not add up: ask for less, or for granularity day",
				maxWindow, name)
		}
	}
}

// unique returns s without what is in it twice.
func unique(s []string) []string {
	var out []string
	for _, v := range s {
		if !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}
