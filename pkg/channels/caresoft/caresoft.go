// Package caresoft sends Zalo messages through CareSoft and asks it what a
// person can be sent. Rules: providers.md §1.5 and §2.5; calls: C1
// (user-status) and C2 (send-message) of the document S4.
package caresoft

import (
	"errors"
	"net/url"
	"strings"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

const (
	name    = "caresoft"
	baseURL = "https://api.caresoft.vn"

	// UserStatus is the report that asks what one person can be sent: C1.
	UserStatus = "caresoft.zalo_user_status"

	precheck  = "user_status" // policy.precheck
	textLimit = 1000          // S4, send-message table, "Text(1000)": code points

	// stepSend is the cursor of the step that sends, after a pre-check.
	stepSend = "send"
)

// What an account is configured with.
const (
	settingDomain = "domain" // the customer's account name at CareSoft, first in every path; "" where base_url has it
	settingOA     = "oa_id"  // the Zalo OA that sends unless the event names one
	settingZone   = "zone"   // of the times in answers, which have none
	secretToken   = "token"  // one for the domain
	defaultZone   = "Asia/Ho_Chi_Minh"
)

type provider struct{}

// New returns the CareSoft provider.
func New() channels.Provider { return provider{} }

func (provider) Name() string { return name }

func (provider) Traits() channels.Traits {
	return channels.Traits{
		BaseURL:  baseURL,
		Settings: []string{settingDomain, settingOA, settingZone},
		Secrets:  []string{secretToken},
		// Documented are 15 a second and 54,000 an hour for the domain.
		Limits: channels.Limits{PerSecond: 10, PerHour: 54_000},
	}
}

// What the contracts of all accounts share: there may be thousands.
var (
	sends = []events.SendForm{
		{Recipient: events.ByPhone, Content: events.ContentTemplate},
		{Recipient: events.ByPhone, Content: events.ContentText},
		{Recipient: events.ByContactID, Content: events.ContentText},
		{Recipient: events.ByContactID, Content: events.ContentTemplate},
	}
	prechecks   = []string{precheck}
	expectKinds = []string{"consultation", "transaction", "promotion"}
	reports     = []events.ReportForm{{
		Name:   UserStatus,
		Needs:  []string{"recipient"},
		Takes:  []string{"sender.id"}, // S4 stars phone_no alone
		Values: map[string][]string{"recipient.kind": {string(events.ByPhone)}},
	}}
)

func (provider) Contract(a *channels.Account) (events.Contract, error) {
	if err := checkDomain(a); err != nil {
		return events.Contract{}, err
	}
	if _, err := channels.Zone(a.Setting(settingZone, defaultZone)); err != nil {
		return events.Contract{}, errors.New("setting zone is no IANA time zone such as " + defaultZone)
	}
	sender := events.Optional
	if a.Setting(settingOA, "") == "" {
		sender = events.Required
	}
	return events.Contract{
		Provider:        name,
		Account:         a.Name,
		Zone:            a.Setting(settingZone, defaultZone),
		Sends:           sends,
		Reports:         reports,
		Sender:          sender,
		TextLimit:       textLimit,
		NumericTemplate: true,
		Prechecks:       prechecks,
		ExpectKinds:     expectKinds,
	}, nil
}

// checkDomain makes sure that the domain is one part of a path. S4 has nothing
// before it in its URLs, so a base URL may be all that comes before /api.
func checkDomain(a *channels.Account) error {
	switch domain := a.Setting(settingDomain, ""); {
	case domain == "" && (a.BaseURL == "" || a.BaseURL == baseURL):
		return errors.New("setting domain is missing: it is the account name that begins the path of every CareSoft URL, unless base_url ends with it")
	case domain == ".", domain == "..", strings.Contains(domain, "/"):
		return errors.New("setting domain is not the account name that begins the path of every CareSoft URL: it is one part of a path")
	}
	return nil
}

func (provider) Prepare(a *channels.Account, r *events.Request, s channels.Step) (*channels.Call, error) {
	switch {
	case r.Report != nil && r.Report.Report == UserStatus:
		return statusCall(a, r.Report.Recipient.Value, r.Report.Sender.ID)
	case r.Send == nil:
		return nil, channels.Refuse(r, "report", "is not one of CareSoft's")
	case checksNow(r, s):
		return precheckCall(a, r)
	default:
		return sendCall(a, r)
	}
}

// checksNow reports whether step s of a request is the check before its send.
func checksNow(r *events.Request, s channels.Step) bool {
	return r.Send != nil && r.Send.Policy.Precheck == precheck && s.Cursor == ""
}

// senderOA is the OA that a request names, or else the account's.
func senderOA(a *channels.Account, named string) string {
	if named != "" {
		return named
	}
	return a.Setting(settingOA, "")
}

var header = map[string]string{"Content-Type": "application/json", "Accept": "application/json"}

// call is what both operations have in common.
func call(a *channels.Account, operation, path string, body []byte) *channels.Call {
	base := a.BaseURL
	if domain := a.Setting(settingDomain, ""); domain != "" {
		base += "/" + url.PathEscape(domain)
	}
	return &channels.Call{
		Operation: operation,
		Method:    "POST",
		URL:       base + path,
		Header:    header,
		Body:      body,
		Auth:      channels.Credential{In: channels.InBearer, Secret: secretToken},
	}
}
