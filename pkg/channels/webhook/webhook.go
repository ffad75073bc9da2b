// Package webhook sends messages through a provider that tram does not know:
// one HTTP call with a JSON body that the account's settings describe, and a
// secret in a header. There is no document to follow, so all that differs
// between such providers is a setting, and what a setting does not say is
// judged by the tables that all providers share. docs/providers/webhook.md is
// the manual.
package webhook

import (
	"maps"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

const (
	name      = "webhook"
	operation = "webhook.send"
)

// What an account is configured with.
const (
	settingPath    = "path"          // behind the base URL
	settingMethod  = "method"        // POST or PUT
	settingHeader  = "header"        // that the secret is the value of
	settingAccepts = "accepts"       // phone:text,phone:template
	settingBody    = "body"          // a JSON document with placeholders
	settingOK      = "ok_status"     // 200-202,204
	settingAnswer  = "answer"        // what must come with it: json or any
	settingID      = "id_pointer"    // to the message id in the answer
	settingRepeat  = "repeat_header" // by which the receiver knows a repetition
	secretToken    = "token"
)

var header = map[string]string{"Content-Type": "application/json", "Accept": "application/json"}

type provider struct{}

// New returns the webhook provider.
func New() channels.Provider { return provider{} }

func (provider) Name() string { return name }

func (provider) Traits() channels.Traits {
	return channels.Traits{
		Settings: []string{settingPath, settingMethod, settingHeader, settingAccepts, settingBody,
			settingOK, settingAnswer, settingID, settingRepeat},
		Secrets: []string{secretToken},
		Limits:  channels.Limits{PerSecond: 10},
	}
}

// Contract derives what the account takes from its body: a field for which
// that has no place is refused rather than silently left out.
func (provider) Contract(a *channels.Account) (events.Contract, error) {
	e, err := readEndpoint(a)
	if err != nil {
		return events.Contract{}, err
	}
	if _, err := readYes(a); err != nil {
		return events.Contract{}, err
	}
	c := events.Contract{
		Provider:   name,
		Account:    a.Name,
		Sends:      e.accepts,
		Attributes: e.body.takes("attributes"),
		MessageTag: e.body.takes("policy.message_tag"),
	}
	if e.body.takes("sender.id") {
		c.Sender = events.Optional
	}
	if e.body.takes("policy.expect_kind") {
		c.ExpectKinds = []string{"consultation", "transaction", "promotion"}
	}
	return c, nil
}

func (provider) Prepare(a *channels.Account, r *events.Request, _ channels.Step) (*channels.Call, error) {
	if r.Send == nil {
		return nil, channels.Refuse(r, "kind", "must be send: a webhook takes nothing else")
	}
	e, err := endpoints.Of(a, readEndpoint)
	if err != nil {
		return nil, err
	}
	body, err := e.body.fill(r)
	if err != nil {
		return nil, err
	}
	header := header
	if e.repeatHeader != "" {
		header = maps.Clone(header)
		// Not the id alone: two sources may have the same one, and the
		// receiver would take the second message for the first.
		header[e.repeatHeader] = events.DeterministicID(r.Source, r.ID)
	}
	return &channels.Call{
		Operation:  operation,
		Method:     e.method,
		URL:        e.url,
		Header:     header,
		Body:       body,
		Auth:       e.auth,
		Repeatable: e.repeatHeader != "",
	}, nil
}

// Parse has nothing to read: the answers to sends hold nothing but their
// verdict.
func (provider) Parse(*channels.Account, *events.Request, channels.Step, *channels.Answer) (*channels.Harvest, error) {
	return &channels.Harvest{}, nil
}
