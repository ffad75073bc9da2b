// Package pancake reads conversations, customers and statistics of a page from
// Pancake, and tags, assigns and marks its conversations: the sixteen calls P1
// to P16 of the document S3, where the vendor's present specification differs
// as that has them. Rules: providers.md §1.4, §1.6, §2.4; normal form §3c;
// failures §3e.
package pancake

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tramhq/tram/pkg/channels"
)

const name = "pancake"

// Reports. The first and StaffMulti are of the user's account, the others of a
// page's.
const (
	Pages         = "pancake.pages"               // P1
	StaffMulti    = "pancake.stats.staff_multi"   // P14
	Conversations = "pancake.conversations"       // P3
	Messages      = "pancake.messages"            // P8
	AdsCampaigns  = "pancake.stats.ads_campaigns" // P9
	Engagement    = "pancake.stats.engagement"    // P10
	PageStats     = "pancake.stats.page"          // P11
	TagStats      = "pancake.stats.tags"          // P12
	Staff         = "pancake.stats.staff"         // P13
	NewCustomers  = "pancake.stats.new_customers" // P15
	PageCustomers = "pancake.page_customers"      // P16
)

// Commands. The first is of the user's account, the others of a page's.
const (
	GenerateToken = "page_token.generate" // P2
	TagAdd        = "conversation.tag.add"
	TagRemove     = "conversation.tag.remove" // both P4
	Assign        = "conversation.assign"     // P5
	MarkRead      = "conversation.mark_read"  // P6
	MarkUnread    = "conversation.mark_unread"
)

// What an account is configured with. One with a page id is that page, with
// the page's token; one without is the Pancake user, with the user's token.
const (
	settingPage = "page_id"
	settingZone = "zone" // of the page: statistics have none of their own

	pageToken = "page_token"
	userToken = "user_token"

	defaultZone = "Asia/Ho_Chi_Minh"
)

// A choice is a setting with a fixed set of values, the default first and, of
// editions, the document's second.
type choice struct {
	setting string
	values  []string
	ofPage  bool // means nothing to a user's account
}

// The defaults are what the vendor's specification of 2026 says where the
// document, an older edition, says otherwise (providers.md §2.4). Nothing
// public shows which of the two new-customers paths answers, so there the same
// rule decides. The unit of response times is that of a measurement, which
// contradicts the specification's milliseconds (T-23).
var (
	conversationsVersion = choice{"conversations_version", []string{"v2", "v1"}, true}
	assignMethod         = choice{"assign_method", []string{"POST", "GET"}, true}
	newCustomersPath     = choice{"new_customers_path", []string{"page_customers", "customers"}, true}
	responseTimeUnit     = choice{"response_time_unit", []string{"seconds", "ms"}, false}

	choices = []choice{conversationsVersion, assignMethod, newCustomersPath, responseTimeUnit}
)

func (c choice) of(a *channels.Account) string { return a.Setting(c.setting, c.values[0]) }

type provider struct{}

// New returns the Pancake provider. It is a [channels.Redactor], because P1
// and P2 answer with tokens, and a [channels.SecretChooser].
func New() channels.Provider { return provider{} }

func (provider) Name() string { return name }

func (provider) Traits() channels.Traits {
	t := channels.Traits{
		BaseURL:  "https://pages.fm/api",
		Settings: []string{settingPage, settingZone},
		Secrets:  []string{pageToken, userToken},
		Limits:   channels.Limits{PerSecond: 5}, // for each page; for users none is documented
	}
	for _, c := range choices {
		t.Settings = append(t.Settings, c.setting)
	}
	return t
}

func (provider) SecretsOf(a *channels.Account) []string {
	if isPage(a) {
		return []string{pageToken}
	}
	return []string{userToken}
}

func isPage(a *channels.Account) bool { return a.Setting(settingPage, "") != "" }

// checkSettings says what is wrong with the settings of a.
func checkSettings(a *channels.Account) error {
	if isPage(a) && !isSegment(a.Setting(settingPage, "")) {
		return errors.New("setting page_id is not the id of a page")
	}
	if _, err := channels.Zone(a.Setting(settingZone, defaultZone)); err != nil {
		return errors.New("setting zone is no IANA time zone such as " + defaultZone)
	}
	for _, c := range choices {
		v := a.Setting(c.setting, "")
		switch {
		case v == "":
		case !slices.Contains(c.values, v):
			return fmt.Errorf("setting %s must be %s", c.setting, strings.Join(c.values, " or "))
		case c.ofPage && !isPage(a):
			return fmt.Errorf("setting %s is about a page: give page_id too, and the page's token", c.setting)
		}
	}
	return nil
}
