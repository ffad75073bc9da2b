package facebook

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/tramhq/tram/pkg/channels"
)

func TestRedact(t *testing.T) {
	for in, want := range map[string]string{
		`{"next":"https://g.example/insights?access_token=EAAB|x-1_2&since=1"}`:     `{"next":"https://g.example/insights?access_token=[REDACTED]&since=1"}`,
		`{"next":"https:\/\/g.example\/i?since=1&access_token=EAAB%7Cx"}`:           `{"next":"https:\/\/g.example\/i?since=1&access_token=[REDACTED]"}`,
		`{"next":"https://g.example/i?access_token=EAAB\u0026since=1"}`:             `{"next":"https://g.example/i?access_token=[REDACTED]\u0026since=1"}`,
		`{"next":"https://g.example/i?access_token\u003dEA\u007cAB\/x\u0026since"}`: `{"next":"https://g.example/i?access_token\u003d[REDACTED]\u0026since"}`,
		`{"back":"/login?next=%2Fi%3Faccess_token%3DEAAB%26since%3D1&x=2"}`:         `{"back":"/login?next=%2Fi%3Faccess_token%3D[REDACTED]%26since%3D1&x=2"}`,
		`{"back":"/login?next=%253Faccess_token%253dEAAB&x=2"}`:                     `{"back":"/login?next=%253Faccess_token%253d[REDACTED]&x=2"}`,
		`{"next":"?page_access_token=EAAB&appsecret_proof=ab12"}`:                   `{"next":"?page_access_token=[REDACTED]&appsecret_proof=[REDACTED]"}`,
		`{"access_token" : "EA\/AB","name":"x"}`:                                    `{"access_token" : "[REDACTED]","name":"x"}`,
		`{"a":"{\"access_token\":\"EAAB\",\"name\":\"x\"}"}`:                        `{"a":"{\"access_token\":\"[REDACTED]\",\"name\":\"x\"}"}`,
		`{"access_token":"cut o`:                                                    `{"access_token":"[REDACTED]`,
		`{"access_token":null,"note":"access_token is needed"}`:                     `{"access_token":null,"note":"access_token is needed"}`,
		`{"next":"?access_token=&since=1"}`:                                         `{"next":"?access_token=&since=1"}`,
	} {
		got := provider{}.Redact(nil, channels.Step{}, []byte(in))
		if string(got) != want {
			t.Errorf("%s\n got %s\nwant %s", in, got, want)
		}
		if again := (provider{}).Redact(nil, channels.Step{}, got); string(again) != want {
			t.Errorf("redacted again, %s becomes %s", want, again)
		}
	}
}

// TestTokensInPagingLinks has Graph answer with links that hold the account's
// token, in each spelling, and a stranger's. Neither may be in anything that
// is kept.
func TestTokensInPagingLinks(t *testing.T) {
	const canary, stranger = `EAABcanary|7f+3/a=`, "EAACstranger%7Cx-_9"
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token := r.URL.Query().Get("access_token")
		if token != canary {
			t.Errorf("the token came as %q", token)
		}
		w.Header().Set("X-App-Usage", `{"call_count":1,"note":"`+token+`"}`)
		fmt.Fprintf(w, `{"data":[{"name":"page_messages_sent","period":"day","values":[{"value":3,"end_time":"2026-03-08T08:00:00+0000"}],
			"description":"see ?access_token=%[1]s","id":"%[2]s","access_token":"%[4]s"}],
			"paging":{"previous":"https://graph.facebook.com/i?access_token=%[2]s&since=1772784000","back":"/login?next=%%3Faccess_token%%3D%[4]s",
			"next":"https:\/\/graph.facebook.com\/i?since=1772956800\u0026access_token=%[4]s\u0026until=1773043200","raw":"%[3]s"}}`,
			url.QueryEscape(token), token, url.PathEscape(token), stranger)
	}))
	defer srv.Close()
	client, err := channels.NewClient(channels.ClientConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	a := account()
	a.BaseURL = srv.URL
	a.Secrets = map[string]channels.Secret{secretToken: canary}
	r, step := one("page_messages_sent"), channels.Step{Number: 1}
	call, err := provider{}.Prepare(a, r, step)
	if err != nil {
		t.Fatal(err)
	}
	ans := client.Do(t.Context(), a, call)
	ans.Body = provider{}.Redact(r, step, ans.Body)
	v := provider{}.Judge(a, r, step, ans)
	h, err := provider{}.Parse(a, r, step, ans)
	if v.Class != channels.OK || err != nil || len(h.Stats) != 1 || len(h.Records) != 1 {
		t.Fatalf("got %+v, %+v (%v)", v, h, err)
	}
	all := fmt.Sprintf("%s %+v %+v %+v %+v %+v", ans.Body, *ans, v, h.Stats, h.Records, *call)
	for _, part := range []string{"canary", "stranger"} {
		if strings.Contains(all, part) {
			t.Errorf("%s is in %s", part, all)
		}
	}
	if in, err := readInsights(ans.Body, "day"); err != nil || !strings.Contains(in.next, "since=1772956800") {
		t.Errorf("the link's window is gone: %v (%v)", in, err)
	}
}
