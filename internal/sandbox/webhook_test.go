package sandbox

import (
	"net/http"
	"strings"
	"testing"
)

func TestWebhook(t *testing.T) {
	const path, secret, message = "/webhook/sandbox/messages", "sandbox-webhook-token", `{"to":"0900000001","text":"Xin chào"}`
	f := start(t, Options{})
	send := func(body string) reply { return f.do("POST", path, secret, "application/json", body) }

	r := send(message)
	f.want(r, http.StatusAccepted, `{"id":"`, Accepted)
	if c := f.lastCall(); c.Operation != "webhook.send" || c.Account != "sandbox" || c.Recipient != "0900000001" || c.Content != digest(message) {
		t.Errorf("journal says %+v", c)
	}
	if again := send(message); again.body != r.body || f.Stats().Duplicates != 1 {
		t.Errorf("the same message again: %s and then %s, %d duplicates", r.body, again.body, f.Stats().Duplicates)
	}

	f.want(send(`{"text":"Hi"}`), 422, `"error":"to must be`, Refused)
	f.want(send(`{"to":""}`), 422, `"error":"to must be`, Refused)
	f.want(send(`{"to":900000001}`), 422, `"error":"to must be`, Refused)
	f.want(send(`[]`), 400, `"error":"body must be a JSON object"`, Refused)
	f.want(f.do("POST", path, "wrong", "application/json", message), 401, `"error":"neither`, Refused)
	f.want(f.do("POST", path, secret, "text/plain", message), 415, `"error":"Content-Type`, Refused)
	f.want(f.do("PUT", path, secret, "application/json", message), 405, `"error"`, Refused)
	f.want(f.do("POST", "/webhook/other/messages", secret, "application/json", message), 404, "no such account", Refused)
}

func TestWebhook_secretInAHeaderOfItsOwn(t *testing.T) {
	f := start(t, Options{})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.URL()+"/webhook/sandbox/messages", strings.NewReader(`{"to":"1"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{"X-Api-Key": {"sandbox-webhook-token"}, "Content-Type": {"application/json"}}
	res, err := f.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusAccepted {
		t.Errorf("got %d", res.StatusCode)
	}
}

func TestWebhook_limit(t *testing.T) {
	f := start(t, Options{Accounts: []Account{{Provider: "webhook", ID: "sandbox", Token: "x", PerSecond: 1}}})
	f.do("POST", "/webhook/sandbox/messages", "x", "application/json", `{"to":"1"}`)
	f.want(f.do("POST", "/webhook/sandbox/messages", "x", "application/json", `{"to":"2"}`), 429, "too many requests", Refused)
}
