// Package facebook fetches the messaging insights of a Facebook page: call F1
// of the document S2. Rules: providers.md §1.3, §1.7.1 and §2.3, normal form
// §3c.
package facebook

import (
	"errors"
	"net/url"
	"regexp"
	"strings"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

const (
	name = "facebook"

	// PageInsights asks how the messages and conversations of a page fared: F1.
	PageInsights = "facebook.page_insights"
)

// What an account is configured with.
const (
	settingPage    = "page_id"       // Instagram messaging: the page linked to the professional account
	settingVersion = "graph_version" // of the Graph API, a segment of the path
	settingZone    = "zone"          // in which the page's days begin
	settingAuth    = "auth"          // where the token travels
	secretToken    = "token"         // page access token

	defaultVersion = "v25.0"               // of 2026-02-18
	defaultZone    = "America/Los_Angeles" // Page Insights guide: days end at midnight Pacific
	authQuery      = "query"               // as the document does
	authHeader     = "header"              // also taken, and out of the way of logs of URLs
)

type provider struct{}

// New returns the Facebook provider. It is a [channels.Redactor].
func New() channels.Provider { return provider{} }

func (provider) Name() string { return name }

func (provider) Traits() channels.Traits {
	return channels.Traits{
		BaseURL:  "https://graph.facebook.com",
		Settings: []string{settingPage, settingVersion, settingZone, settingAuth},
		Secrets:  []string{secretToken},
		// Documented are 4,800 calls in 24 hours for each engaged user, and nobody
		// knows how many a page has: usage headers slow down what is too much for it.
		Limits: channels.Limits{PerSecond: 5},
	}
}

var versionForm = regexp.MustCompile(`^v[0-9]{1,3}\.[0-9]{1,2}$`)

func (provider) Contract(a *channels.Account) (events.Contract, error) {
	auth := a.Setting(settingAuth, authQuery)
	switch _, err := channels.Zone(a.Setting(settingZone, defaultZone)); {
	case a.Setting(settingPage, "") == "":
		return events.Contract{}, errors.New("setting page_id is missing: it is the id of the Facebook page")
	case !isSegment(a.Setting(settingPage, "")):
		return events.Contract{}, errors.New("setting page_id is no page id")
	case !versionForm.MatchString(a.Setting(settingVersion, defaultVersion)):
		return events.Contract{}, errors.New("setting graph_version is no version such as " + defaultVersion)
	case auth != authQuery && auth != authHeader:
		return events.Contract{}, errors.New("setting auth must be query or header")
	case err != nil:
		return events.Contract{}, errors.New("setting zone is no IANA time zone such as " + defaultZone)
	}
	return events.Contract{
		Provider: name,
		Account:  a.Name,
		Zone:     a.Setting(settingZone, defaultZone),
		Reports: []events.ReportForm{{
			Name:  PageInsights,
			Needs: []string{"metrics", "granularity"},
			Takes: []string{"range", "range.preset", "group_by", "pages"},
			Values: map[string][]string{
				"granularity": granularities(),
				"group_by":    breakdowns,
			},
		}},
	}, nil
}

func (provider) Prepare(a *channels.Account, r *events.Request, s channels.Step) (*channels.Call, error) {
	q, err := newQuery(a, r)
	if err != nil {
		return nil, err
	}
	at, err := q.read(s.Cursor)
	if err != nil {
		return nil, channels.Refuse(r, "cursor", err.Error())
	}
	params := url.Values{
		"metric": {strings.Join(q.metricsAt(at), ",")},
		"period": {q.period},
	}
	if len(q.groupBy) > 0 {
		params.Set("breakdown", strings.Join(q.groupBy, ","))
	}
	if q.preset != "" {
		params.Set("date_preset", q.preset)
	}
	if w, ok := q.windowAt(at); ok { // dates, as the table says; its examples have unix times (T-12)
		params.Set("since", w.since.String())
		params.Set("until", w.until.String())
	}
	auth := channels.Credential{In: channels.InQuery, Name: "access_token", Secret: secretToken}
	if a.Setting(settingAuth, authQuery) == authHeader {
		auth = channels.Credential{In: channels.InBearer, Secret: secretToken}
	}
	return &channels.Call{
		Operation: PageInsights,
		Method:    "GET",
		URL: a.BaseURL + "/" + a.Setting(settingVersion, defaultVersion) + "/" + url.PathEscape(q.page) +
			"/insights?" + params.Encode(),
		Header:     map[string]string{"Accept": "application/json"},
		Auth:       auth,
		Repeatable: true, // it reads
		Warnings:   q.warnings,
	}, nil
}

// isSegment reports whether id, once escaped, is one segment of a path.
func isSegment(id string) bool { return id != "" && id != "." && id != ".." }
