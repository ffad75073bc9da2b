// Package momo fetches the message reports of a MoMo business page: call M1 of
// the document S0. Rules: providers.md §1.1 and §2.1, normal form §3c.
package momo

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

const (
	name = "momo"

	// MessagesReport asks how messages to customer segments fared: M1.
	MessagesReport = "momo.messages_report"

	settingPage = "business_page_id"
	settingZone = "zone" // of ranges given as dates
	secretToken = "token"
	defaultZone = "Asia/Ho_Chi_Minh"

	defaultLimit = 20 // S0, limit: "Mặc định 20"
)

type provider struct{}

// New returns the MoMo provider.
func New() channels.Provider { return provider{} }

func (provider) Name() string { return name }

func (provider) Traits() channels.Traits {
	return channels.Traits{
		// The document shows only its test host,
		// https://test-business.momo.vn/api: a default would send tokens to
		// the wrong place.
		BaseURL:  "",
		Settings: []string{settingPage, settingZone},
		Secrets:  []string{secretToken},
		Limits:   channels.Limits{PerSecond: 5}, // none is documented
	}
}

func (provider) Contract(a *channels.Account) (events.Contract, error) {
	if a.Setting(settingPage, "") == "" {
		return events.Contract{}, errors.New("setting business_page_id is missing: it is the id of the MoMo business page")
	}
	if _, err := channels.Zone(a.Setting(settingZone, defaultZone)); err != nil {
		return events.Contract{}, errors.New("setting zone is no IANA time zone such as " + defaultZone)
	}
	return events.Contract{
		Provider: name,
		Account:  a.Name,
		Zone:     a.Setting(settingZone, defaultZone),
		Reports: []events.ReportForm{{
			Name:  MessagesReport,
			Needs: []string{"filters.condition_id"},
			Takes: []string{"range", "range.preset", "filters.filter_type", "page"},
			Values: map[string][]string{
				"range.preset":         {"DAY_AGO_30", "DAY_AGO_60", "DAY_AGO_90", "ALL"},
				"filters.filter_type":  {"CONDITION"},
				"filters.condition_id": {"PAYMENT_NO_FOLLOW", "FOLLOW_NO_PAYMENT", "NO_ACTIVITIES_14", "NO_ACTIVITIES_30", "NO_ACTIVITIES_90"},
			},
		}},
	}, nil
}

// reportBody is the body of M1. Which of its fields are required was lost from
// the document (T-26), so all of them are sent.
type reportBody struct {
	OAID            string       `json:"oa_id"` // the page's id once more, as text (T-30)
	ReportTimeRange string       `json:"report_time_range"`
	Limit           int          `json:"limit"`
	TargetCreatedAt int64        `json:"target_created_at"`
	Filter          reportFilter `json:"filter"`
}

type reportFilter struct {
	FilterType  string `json:"filter_type"`
	ConditionID string `json:"condition_id"`
}

func (provider) Prepare(a *channels.Account, r *events.Request, s channels.Step) (*channels.Call, error) {
	if r.Report == nil || r.Report.Report != MessagesReport {
		return nil, channels.Refuse(r, "report", "is not one of MoMo's")
	}
	w, err := windowOf(a, r)
	if err != nil {
		return nil, err
	}
	at, err := readCursor(s.Cursor)
	if err != nil {
		return nil, err
	}
	if s.Cursor == "" && !w.to.IsZero() {
		at.Target = w.to.UnixMilli() // what is newer is not asked for
	}
	page := a.Setting(settingPage, "")
	body, err := json.Marshal(reportBody{
		OAID:            page,
		ReportTimeRange: w.preset,
		Limit:           at.limit(r),
		TargetCreatedAt: at.Target,
		Filter:          reportFilter{FilterType: "CONDITION", ConditionID: r.Report.Filters["condition_id"]},
	})
	if err != nil {
		return nil, fmt.Errorf("encode body: %w", err)
	}
	return &channels.Call{
		Operation:  MessagesReport,
		Method:     "POST",
		URL:        a.BaseURL + "/v1/business-pages/" + url.PathEscape(page) + "/chat/messages/report",
		Header:     map[string]string{"Content-Type": "application/json", "Accept": "application/json"},
		Body:       body,
		Auth:       channels.Credential{In: channels.InBearer, Secret: secretToken},
		Repeatable: true, // it reads
	}, nil
}
