package pancake

import (
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

var (
	orders        = []string{"inserted_at", "updated_at"}
	granularities = []string{"day", "hour"}
	// Several at once give no rows and no error (providers.md §2.4).
	conversationTypes = []string{"INBOX", "COMMENT", "COMMENT_LIVESTREAM", "POST"}
)

func (provider) Contract(a *channels.Account) (events.Contract, error) {
	if err := checkSettings(a); err != nil {
		return events.Contract{}, err
	}
	c := events.Contract{Provider: name, Account: a.Name, Zone: a.Setting(settingZone, defaultZone)}
	if !isPage(a) {
		c.Reports = []events.ReportForm{
			{Name: Pages},
			{Name: StaffMulti, Needs: []string{"range", "pages"}},
		}
		c.Commands = []events.CommandForm{{Name: GenerateToken, Needs: []string{"page_id"}}}
		return c, nil
	}
	c.Reports = []events.ReportForm{
		conversationsForm(a),
		{Name: Messages, Needs: []string{"filters.conversation_id", "filters.customer_id"}, Takes: []string{"page.max_pages"}},
		{Name: PageCustomers, Needs: []string{"range"}, Takes: []string{"order_by", "page"},
			Values: map[string][]string{"order_by": orders}},
		{Name: AdsCampaigns, Needs: []string{"range"}},
		{Name: Engagement, Needs: []string{"range"}, Takes: []string{"granularity", "filters.user_ids", "page.max_pages"},
			Values: map[string][]string{"granularity": granularities}},
		{Name: PageStats, Needs: []string{"range"}, Takes: []string{"page.max_pages"}},
		{Name: TagStats, Needs: []string{"range"}, Takes: []string{"page.max_pages"}},
		{Name: Staff, Needs: []string{"range"}},
		{Name: NewCustomers, Needs: []string{"range"}, Takes: []string{"granularity", "group_by", "page.max_pages"},
			Values: map[string][]string{"granularity": granularities, "group_by": {"page_id"}}},
	}
	for _, n := range []string{TagAdd, TagRemove} {
		c.Commands = append(c.Commands, events.CommandForm{Name: n, Needs: []string{"conversation_id", "tag_id"}})
	}
	c.Commands = append(c.Commands,
		events.CommandForm{Name: Assign, Needs: []string{"conversation_id", "assignee_ids"}},
		events.CommandForm{Name: MarkRead, Needs: []string{"conversation_id"}},
		events.CommandForm{Name: MarkUnread, Needs: []string{"conversation_id"}},
	)
	return c, nil
}

// conversationsForm is P3's, whose present version filters by more.
func conversationsForm(a *channels.Account) events.ReportForm {
	form := events.ReportForm{
		Name:   Conversations,
		Needs:  []string{"range"},
		Takes:  []string{"filters.tags", "order_by", "page.max_pages"},
		Values: map[string][]string{"order_by": orders},
	}
	if conversationsVersion.of(a) == "v2" {
		form.Takes = append(form.Takes, "filters.type", "filters.post_ids", "filters.unread_first")
		form.Values["filters.type"] = conversationTypes
		form.Values["filters.unread_first"] = []string{"true"}
	}
	return form
}
