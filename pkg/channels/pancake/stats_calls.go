package pancake

import (
	"slices"
	"strings"

	"github.com/tramhq/tram/pkg/channels"
)

func (t *task) statistics(kind string) string { return t.page("v1") + "/statistics/" + kind }

func adsCall(t *task) (*channels.Call, error) {
	return t.get(t.statistics("pages_campaigns"), t.instants())
}

func pageStatsCall(t *task) (*channels.Call, error) {
	return t.get(t.statistics("pages"), t.instants())
}

func tagStatsCall(t *task) (*channels.Call, error) {
	return t.get(t.statistics("tags"), t.instants())
}

func engagementCall(t *task) (*channels.Call, error) {
	q := t.dateRange(rangeTime)
	if t.r.Report.Granularity == "hour" {
		q.Set("by_hour", "true")
	}
	if users := t.r.Report.Filters["user_ids"]; users != "" {
		all := ids(users)
		if slices.Contains(all, "") {
			return nil, channels.Refuse(t.r, "filters.user_ids", "must be ids of staff with commas between them")
		}
		q.Set("user_ids", strings.Join(all, ","))
	}
	return t.get(t.statistics("customer_engagements"), q)
}

func staffCall(t *task) (*channels.Call, error) {
	return t.get(t.statistics("users"), t.dateRange(rangeTime))
}

// staffMultiCall is P14. In which zone it reads date_range is not documented:
// it is taken to be that of P13.
func staffMultiCall(t *task) (*channels.Call, error) {
	q := t.dateRange(rangeTime)
	if slices.ContainsFunc(t.r.Report.Pages, func(id string) bool { return strings.Contains(id, ",") }) {
		return nil, channels.Refuse(t.r, "pages", "must be ids of pages, which have no comma")
	}
	q.Set("page_ids", t.pages())
	return t.get("/v1/statistics/user", q)
}

// pages is the list of pages that was asked for, the same for the same set.
func (t *task) pages() string {
	return strings.Join(slices.Compact(slices.Sorted(slices.Values(t.r.Report.Pages))), ",")
}

func newCustomersCall(t *task) (*channels.Call, error) {
	q, rep := t.dateRange(rangeDate), t.r.Report
	group := "day"
	switch {
	case len(rep.GroupBy) > 0 && rep.Granularity == "hour":
		return nil, channels.Refuse(t.r, "group_by", "does not go with granularity hour: Pancake groups by hour or by page")
	case len(rep.GroupBy) > 0:
		group = "page_id"
	case rep.Granularity == "hour":
		group = "hour"
	}
	q.Set("group_by", group)
	return t.get(t.statistics(t.edition()), q)
}
