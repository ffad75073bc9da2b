package pancake

import (
	"errors"

	"github.com/tramhq/tram/pkg/events"
)

// P9, ads. All but the budgets are null in the document's only example; that
// spend and its like are in whole units of the currency is Facebook's custom.

var (
	money = metric{unit: events.UnitMoney, agg: events.AggSum}
	price = metric{unit: events.UnitMoney, agg: events.AggAvg}
	// Facebook's budgets are usually in hundredths, so that "3000" may be 30.
	budget = metric{unit: events.UnitMoney, agg: events.AggSnapshot, flag: "scale_unknown"}

	adMetrics = map[string]metric{
		"budget_remaining": budget, "daily_budget": budget, "lifetime_budget": budget,
		"impressions": count, "link_click": count, "messaging_conversation_started_7d": count,
		"messaging_first_reply": count, "post_comments": count, "purchases": count, "reach": unique,
		"spend": money, "purchases_conversion_value": money, "cpc": price, "cpm": price,
		"ctr": ratio, "purchase_roas": ratio,
	}
)

// parseAds reads P9's answer, a list without a wrapper (T-18).
func parseAds(t *task, b *body, h *harvest) error {
	if b.list == nil {
		return errors.New("the answer is no list")
	}
	for i, raw := range b.list {
		fields, path := object(raw), pointer("", i)
		if fields == nil {
			h.unread(path, raw)
			continue
		}
		id := text(fields["ad_id"])
		if id == "" {
			h.extra(path, raw)
			continue
		}
		h.row(row{path: path, fields: fields, metrics: adMetrics, bucket: t.instantBucket(), object: true,
			ids: []string{"account_id", "ad_id", "adset_id"}})
		attrs := map[string]string{}
		for _, f := range []string{"account_id", "adset_id", "name", "status", "currency"} {
			if v := text(fields[f]); v != "" {
				attrs[f] = v
			}
		}
		h.record("ad", id, path, raw, attrs)
	}
	return nil
}
