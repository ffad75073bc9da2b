package pancake_test

import (
	"strings"
	"testing"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/channels/pancake"
	"github.com/tramhq/tram/pkg/events"
)

// requests has one of each kind that is judged differently: a list, one whose
// answer is no object, a command that may be repeated, the one that must not,
// and the list of pages, which has a way of its own to say no.
func requests() map[string]events.Request {
	nov := days("2026-11-19", "2026-11-21")
	return map[string]events.Request{
		"list":   report(pancake.Conversations, events.Report{Range: nov}),
		"ads":    report(pancake.AdsCampaigns, events.Report{Range: nov}),
		"tag":    command(pancake.TagAdd, events.Command{ConversationID: chatID, TagID: "1"}),
		"assign": command(pancake.Assign, events.Command{ConversationID: chatID, AssigneeIDs: []string{"1"}}),
		"read":   command(pancake.MarkRead, events.Command{ConversationID: chatID}),
		"token":  command(pancake.GenerateToken, events.Command{PageID: "1"}),
		"pages":  report(pancake.Pages, events.Report{}),
	}
}

const (
	retry, throttled, auth, permanent, ambiguous = channels.Retry, channels.Throttled, channels.Auth, channels.Permanent, channels.Ambiguous
)

// TestJudge is providers.md §3e, Pancake, and every body of §2.4, over all
// kinds of requests.
func TestJudge(t *testing.T) {
	t.Parallel()
	all := func(c channels.Class) map[string]channels.Class {
		m := map[string]channels.Class{}
		for kind := range requests() {
			m[kind] = c
		}
		return m
	}
	but := func(m map[string]channels.Class, kind string, c channels.Class) map[string]channels.Class {
		m[kind] = c
		return m
	}
	for name, tt := range map[string]struct {
		status int
		header map[string]string
		body   string
		want   map[string]channels.Class
		reason string
		fault  bool
	}{
		"429":                     {429, nil, `{"message":"Too many requests","success":false,"error_code":429}`, all(throttled), "rate_limited", false},
		"429 in the body":         {200, nil, `{"message":"Too many requests","success":false,"error_code":429}`, all(throttled), "rate_limited", false},
		"429 as text":             {200, nil, `{"success":false,"error_code":"429"}`, all(throttled), "rate_limited", false},
		"102":                     {200, nil, `{"success":false,"message":"Invalid access_token","error_code":102}`, all(auth), "unauthorized", false},
		"103":                     {200, nil, `{"success":false,"error_code":103}`, all(auth), "unauthorized", false},
		"105":                     {200, nil, `{"success":false,"error_code":105}`, all(auth), "unauthorized", false},
		"105 with a status":       {400, nil, `{"success":false,"error_code":105}`, all(auth), "unauthorized", false},
		"401":                     {401, nil, `Unauthorized`, all(auth), "unauthorized", false},
		"403":                     {403, nil, `{"success":false}`, all(auth), "forbidden", false},
		"an error occurred":       {200, nil, `{"success":false,"message":"An error occurred. Please try again later."}`, but(all(retry), "token", ambiguous), "transient", true},
		"an error occurred, 500":  {500, nil, `{"success":false,"message":"An error occurred. Please try again later."}`, but(all(retry), "token", ambiguous), "transient", true},
		"500":                     {500, nil, `{"success":false,"message":"boom"}`, but(all(retry), "token", ambiguous), "server_error", true},
		"502 with a page":         {502, nil, `<html>bad gateway</html>`, but(all(retry), "token", ambiguous), "server_error", true},
		"404":                     {404, nil, `{"success":false}`, all(permanent), "not_found", false},
		"400":                     {400, nil, `{"success":false,"message":"bad"}`, all(permanent), "request_refused", false},
		"success false":           {200, nil, `{"success":false,"message":"No","message_code":"E1"}`, but(all(permanent), "pages", auth), "", false},
		"a code and no success":   {200, nil, `{"error_code":900,"data":[],"conversations":[],"id":"1"}`, but(all(permanent), "pages", auth), "", false},
		"a web page":              {200, map[string]string{"content-type": "text/html"}, "<!DOCTYPE html><html></html>", all(permanent), "not_found", false},
		"nothing":                 {200, nil, ``, but(all(retry), "token", ambiguous), "unexpected_answer", false},
		"no parts":                {200, nil, `{}`, but(but(all(retry), "token", ambiguous), "pages", auth), "", false},
		"an object where ads are": {200, nil, `{"success":true}`, map[string]channels.Class{"ads": retry}, "unexpected_answer", false},
	} {
		t.Run(name, func(t *testing.T) {
			for kind, want := range tt.want {
				r := requests()[kind]
				a := present()
				if kind == "token" || kind == "pages" {
					a = &channels.Account{}
				}
				v := pancake.New().Judge(a, &r, channels.Step{Number: 1}, &channels.Answer{Status: tt.status, Header: tt.header, Body: []byte(tt.body)})
				if v.Class != want || tt.reason != "" && v.Reason != tt.reason {
					t.Errorf("%s: %s (%s: %s), want %s (%s)", kind, v.Class, v.Reason, v.Detail, want, tt.reason)
				}
				if v.ProviderFault != tt.fault {
					t.Errorf("%s: provider fault %t", kind, v.ProviderFault)
				}
			}
		})
	}
}

// TestJudge_transport is the timeout of §3e: repeated, but for the one call
// that kills a token.
func TestJudge_transport(t *testing.T) {
	t.Parallel()
	for kind, r := range requests() {
		want := retry
		if kind == "token" {
			want = ambiguous
		}
		a := page()
		v := pancake.New().Judge(a, &r, channels.Step{Number: 1}, &channels.Answer{Failure: channels.FailTimeout, Detail: "late", Written: true})
		if v.Class != want {
			t.Errorf("%s: %s, want %s", kind, v.Class, want)
		}
		call, err := pancake.New().Prepare(a, &r, channels.Step{Number: 1})
		if err != nil || call.Repeatable == (kind == "token") {
			t.Errorf("%s: repeatable %t, %v", kind, call.Repeatable, err)
		}
	}
}

// TestJudge_edition names the setting that may be wrong, or that does not matter.
func TestJudge_edition(t *testing.T) {
	t.Parallel()
	r := requests()["assign"]
	for cursor, want := range map[string]string{"": "setting assign_method may be the wrong one", `{"edition":"GET"}`: "either value of setting assign_method was tried"} {
		v := pancake.New().Judge(present(), &r, channels.Step{Number: 1, Cursor: cursor}, &channels.Answer{Status: 405})
		if v.Class != permanent || !strings.Contains(v.Detail, want) {
			t.Errorf("%s: %s %s, want %s", cursor, v.Class, v.Detail, want)
		}
	}
	for _, cursor := range []string{`{"edition":"v1"}`, `{"edition":"x"}`} {
		if _, err := pancake.New().Prepare(page(), &r, channels.Step{Number: 2, Cursor: cursor}); err == nil {
			t.Errorf("%s is taken for an edition of assignments", cursor)
		}
	}
}

// TestJudge_provider keeps the provider's words.
func TestJudge_provider(t *testing.T) {
	t.Parallel()
	r := requests()["list"]
	v := pancake.New().Judge(page(), &r, channels.Step{Number: 1},
		&channels.Answer{Status: 200, Body: []byte(`{"success":false,"message":"No such tag","message_code":"E1"}`)})
	if v.ProviderText != "No such tag" || v.ProviderCode != "E1" {
		t.Errorf("got %q %q", v.ProviderText, v.ProviderCode)
	}
}
