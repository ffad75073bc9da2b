// Package ahachat sends prepared blocks to the contacts of an AhaChat bot.
// Calls: A1 (users) and A2 (phones) of the document S1, block-broadcast API;
// rules: providers.md §1.2 and §2.2.
//
// No answer of AhaChat is documented, so what is accepted is accepted on weak
// evidence, and what cannot be read is ambiguous.
package ahachat

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

const (
	name        = "ahachat"
	settingBot  = "bot_id"
	settingTag  = "message_tag" // of sends whose policy has none
	secretToken = "token"
	operation   = "ahachat.send"

	// maxURL bounds a call's URL in bytes, without the token. AhaChat documents
	// nothing. nginx and Apache take 8 KB unless told otherwise, Cloudflare 32:
	// what is longer would be refused, or end in a connection that breaks while
	// it is written, which looks as if it might have been sent.
	maxURL = 32 << 10
)

// deadTags are the message tags that the document names. Meta, which AhaChat
// sends through, refuses all four (providers.md §2.2).
var deadTags = []string{"NON_PROMOTIONAL_SUBSCRIPTION", "CONFIRMED_EVENT_UPDATE", "POST_PURCHASE_UPDATE", "ACCOUNT_UPDATE"}

// reserved are the names that the call itself uses. Attributes share the
// query with them, and one of these would hijack it (T-31).
var reserved = []string{"ahachat_*", "phone"}

var header = map[string]string{"Accept": "application/json"}

type provider struct{}

// New returns the AhaChat provider.
func New() channels.Provider { return provider{} }

func (provider) Name() string { return name }

func (provider) Traits() channels.Traits {
	return channels.Traits{
		BaseURL:  "https://ahachat.com",
		Settings: []string{settingBot, settingTag},
		Secrets:  []string{secretToken},
		Limits:   channels.Limits{PerSecond: 5}, // none is documented; until it is measured
	}
}

func (provider) Contract(a *channels.Account) (events.Contract, error) {
	if a.Setting(settingBot, "") == "" {
		return events.Contract{}, errors.New("setting bot_id is missing: it is the id of the bot that sends")
	}
	return events.Contract{
		Provider: name,
		Account:  a.Name,
		Sends: []events.SendForm{
			{Recipient: events.ByMessengerUserID, Content: events.ContentBlock},
			{Recipient: events.ByPhone, Content: events.ContentBlock},
		},
		Attributes:         true,
		ReservedAttributes: reserved,
		MessageTag:         true,
	}, nil
}

// Prepare writes A1 or A2: a POST without a body, all of it in path and query.
func (provider) Prepare(a *channels.Account, r *events.Request, _ channels.Step) (*channels.Call, error) {
	s := r.Send
	if s == nil {
		return nil, channels.Refuse(r, string(r.Kind), "is nothing that AhaChat can be asked for")
	}
	if err := checkAttributes(r); err != nil {
		return nil, err
	}
	c := &channels.Call{
		Operation: operation,
		Method:    "POST",
		URL:       a.BaseURL + "/api/bots/" + url.PathEscape(a.Setting(settingBot, "")),
		Header:    header,
		Auth:      channels.Credential{In: channels.InQuery, Name: "ahachat_token", Secret: secretToken},
	}
	var q query
	if tag := cmp.Or(s.Policy.MessageTag, a.Setting(settingTag, "")); tag != "" { // without one the tag is left out, not empty
		q.add("ahachat_message_tag", tag)
		if slices.Contains(deadTags, tag) {
			c.Warnings = append(c.Warnings, "Meta no longer takes the message tag "+tag)
		}
	}
	q.add("ahachat_block_name", s.Content.BlockName)
	if s.Recipient.Kind == events.ByPhone {
		c.URL += "/phones/send"
		q.add("phone", s.Recipient.Value)
	} else {
		if id := s.Recipient.Value; id == "." || id == ".." { // the only ids that escaping does not make harmless
			return nil, channels.Refuse(r, "recipient.value", "is not a messenger user id")
		}
		c.URL += "/users/" + url.PathEscape(s.Recipient.Value) + "/send"
	}
	for _, at := range s.Attributes {
		q.add(at.Name, at.Value)
	}
	c.URL += "?" + q.String()
	if len(c.URL) > maxURL { // which only attributes can do
		return nil, channels.Refuse(r, "attributes", fmt.Sprintf(
			"make a URL of %d bytes, in which AhaChat takes all of a call, and %d are the most: send fewer or shorter ones", len(c.URL), maxURL))
	}
	return c, nil
}

// checkAttributes refuses names that would reach AhaChat as something else.
// The contract has refused the plain cases; what is left is what servers take
// for the same name.
func checkAttributes(r *events.Request) error {
	seen := map[string]bool{}
	for i, at := range r.Send.Attributes {
		field := fmt.Sprintf("attributes[%d].name", i)
		switch {
		case strings.TrimSpace(at.Name) == "":
			return channels.Refuse(r, field, "is empty")
		case hijacks(at.Name):
			return channels.Refuse(r, field, "is reserved: ahachat_* and phone are part of the call itself")
		case seen[at.Name]:
			return channels.Refuse(r, field, "is there twice")
		}
		seen[at.Name] = true
	}
	return nil
}

var asUnderscore = strings.NewReplacer(".", "_", " ", "_", "[", "_")

// hijacks reports whether a lenient server could read name as one of the
// call's own: PHP takes "ahachat.token" and "ahachat[token" for ahachat_token,
// "phone[0]" for phone, and what stands before a NUL for the whole.
func hijacks(name string) bool {
	name, _, _ = strings.Cut(strings.ToLower(name), "\x00")
	name = strings.TrimSpace(name)
	base, _, _ := strings.Cut(name, "[")
	for _, read := range []string{base, asUnderscore.Replace(name)} {
		if read == "phone" || strings.HasPrefix(read, "ahachat_") {
			return true
		}
	}
	return false
}

// A query is a query string in the order in which it was written, with blanks
// as %20, which every server reads as a blank.
type query struct{ strings.Builder }

func (q *query) add(name, value string) {
	if q.Len() > 0 {
		q.WriteByte('&')
	}
	q.WriteString(escape(name) + "=" + escape(value))
}

func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
