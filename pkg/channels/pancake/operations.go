package pancake

import (
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// An operation is one call of the document.
type operation struct {
	user bool // takes the user's token, not the page's
	once bool // doing it twice is not doing it once
	// tokens says that answers hold tokens, which are taken out of them.
	tokens bool

	cut   func(*events.Report) cut // of the reports that have a range
	call  func(*task) (*channels.Call, error)
	next  func(*task, *body) (next, warning string) // of the reports that have pages
	parse func(*task, *body, *harvest) error

	// undocumented says that any object is a good answer: S3 shows none.
	undocumented bool

	editions *choice // the setting that names the form of the call
}

// The longest ranges of one call.
const (
	// S3, conversations: "khoảng thời gian bé hơn bằng 1 tháng", at most a
	// month, and four weeks are that whichever month is meant. Answers with a
	// row for each hour are cut the same way, to stay small.
	fourWeeks = 28
	// Labels of days without a year are told apart within a year (§1.6.4).
	oneYear = 365
)

func always(c cut) func(*events.Report) cut { return func(*events.Report) cut { return c } }

// byGranularity cuts reports that are by day unless the request says hour.
func byGranularity(r *events.Report) cut {
	if r.Granularity == "hour" {
		return cut{edge: "hour", days: fourWeeks}
	}
	return cut{edge: "day", days: oneYear}
}

var operations = map[string]*operation{
	Pages: {user: true, tokens: true, call: pagesCall, parse: parsePages},
	Conversations: {cut: always(cut{days: fourWeeks}), call: conversationsCall,
		next: conversations.next, parse: conversations.parse, editions: &conversationsVersion},
	Messages:      {call: messagesCall, next: messages.next, parse: messages.parse},
	PageCustomers: {cut: always(cut{}), call: pageCustomersCall, next: customers.next, parse: customers.parse},

	// Ads, staff and their totals are unique counts and means over the range,
	// which do not add up: they are never cut.
	AdsCampaigns: {cut: always(cut{}), call: adsCall, parse: parseAds},
	Staff:        {cut: always(cut{edge: "hour"}), call: staffCall, parse: parseStaff},
	StaffMulti:   {user: true, cut: always(cut{edge: "hour"}), call: staffMultiCall, parse: parseStaff},
	Engagement:   {cut: byGranularity, call: engagementCall, parse: parseEngagement},
	PageStats:    {cut: always(cut{edge: "hour", days: fourWeeks}), call: pageStatsCall, parse: parsePageStats, undocumented: true},
	TagStats:     {cut: always(cut{edge: "day", days: oneYear}), call: tagStatsCall, parse: parseTags, undocumented: true},
	NewCustomers: {cut: byGranularity, call: newCustomersCall, parse: parseNewCustomers, editions: &newCustomersPath},

	GenerateToken: {user: true, once: true, tokens: true, call: generateCall, parse: parseToken},
	TagAdd:        {call: tagCall, parse: parseTagging},
	TagRemove:     {call: tagCall, parse: parseTagging},
	Assign:        {call: assignCall, parse: parseAssignment, editions: &assignMethod},
	MarkRead:      {call: markCall, parse: parseMark},
	MarkUnread:    {call: markCall, parse: parseMark},
}

// operationOf returns the one that carries r out, nil if there is none.
func operationOf(r *events.Request) *operation {
	switch {
	case r.Report != nil:
		return operations[r.Report.Report]
	case r.Command != nil:
		return operations[r.Command.Command]
	}
	return nil
}
