package channelstest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// checkCase carries out one case against a server that knows its script.
func (b *bench) checkCase(c Case) {
	a, r := b.account(c), b.request(c)
	contract, err := b.contract(a)
	if err != nil {
		b.failf("contract: %v", err)
		return
	}
	refusal := contract.Check(r)
	if c.Refused != "" {
		b.checkRefusal(c, a, r, refusal)
		return
	}
	if refusal != nil {
		b.failf("the contract refuses the request: %v", refusal)
		return
	}
	srv := newScript()
	defer srv.Close()
	client, err := channels.NewClient(channels.ClientConfig{})
	if err != nil {
		b.failf("client: %v", err)
		return
	}
	defer client.Close()

	a = at(a, srv.URL)
	keys := map[string]string{}
	step := channels.Step{Number: 1}
	for i, ex := range c.Exchanges {
		call, err := b.prepare(a, r, step)
		if err != nil {
			b.failf("step %d: prepare: %v", step.Number, err)
			return
		}
		srv.reply = ex.Reply
		ans := b.redact(r, step, client.Do(context.Background(), a, call))
		if ans.Failure != "" {
			b.failf("step %d: %s: %s", step.Number, ans.Failure, ans.Detail)
			return
		}
		b.checkWire(a, call, ex.Want, srv.got)
		ans.StartedMS, ans.TookUS = NowMS, 1000
		v := b.judge(a, r, step, ans)
		b.checkVerdict(v, ex.Verdict)
		if v.Class == channels.OK {
			b.checkHarvest(a, r, step, ans, ex, keys)
		}
		if rest := len(c.Exchanges) - i - 1; rest > 0 && (v.Class != channels.OK || v.Next == "") {
			b.failf("step %d is the last one, and %d scripted exchanges are not used", step.Number, rest)
			return
		}
		step = channels.Step{Number: step.Number + 1, Cursor: v.Next}
	}
	if len(c.Exchanges) == 0 {
		b.failf("the case has no exchanges and is not refused")
	}
}

func (b *bench) checkRefusal(c Case, a *channels.Account, r *events.Request, refusal error) {
	if refusal == nil {
		_, refusal = b.prepare(a, r, channels.Step{Number: 1})
	}
	invalid, ok := errors.AsType[*events.InvalidError](refusal)
	if !ok {
		b.failf("want a refusal of %s, got %v", c.Refused, refusal)
		return
	}
	for _, f := range invalid.Faults {
		if f.Field == c.Refused {
			return
		}
	}
	b.failf("want a refusal of %s, got %v", c.Refused, invalid)
}

func (b *bench) checkVerdict(got, want channels.Verdict) {
	b.sound("verdict", got)
	detail := got.Detail
	got.Detail, want.Detail = "", ""
	if !reflect.DeepEqual(got, want) {
		b.failf("verdict\n got %+v (%s)\nwant %+v", got, detail, want)
	}
}

// A received is an HTTP request as it came.
type received struct {
	method, path, query string
	header              http.Header
	body                string
}

func (b *bench) checkWire(a *channels.Account, call *channels.Call, want Wire, got *received) {
	if got == nil {
		b.failf("nothing reached the provider")
		return
	}
	if want.Method == "" {
		want.Method = "POST"
	}
	b.checkSecretPlace(a, call.Auth, got)
	same := func(what, got, want string) {
		if got != want {
			b.failf("%s\n got %s\nwant %s", what, got, want)
		}
	}
	same("method", got.method, want.Method)
	same("path", got.path, want.Path)
	same("query", got.query, want.Query)
	same("body", compact(got.body), compact(want.Body))
	for name, value := range want.Header {
		same("header "+name, got.header.Get(name), value)
	}
	if call.Operation == "" {
		b.failf("the call has no operation")
	}
	if len(call.Warnings)+len(want.Warnings) > 0 && !reflect.DeepEqual(call.Warnings, want.Warnings) {
		b.failf("warnings\n got %q\nwant %q", call.Warnings, want.Warnings)
	}
}

// checkSecretPlace finds the secret where auth puts it, takes it out there, and
// finds none elsewhere.
func (b *bench) checkSecretPlace(a *channels.Account, auth channels.Credential, got *received) {
	secret := a.Secrets[auth.Secret].Reveal()
	switch auth.In {
	case channels.InBearer, channels.InHeader:
		name, value := auth.Name, secret
		if auth.In == channels.InBearer {
			name, value = "Authorization", "Bearer "+secret
		}
		if got.header.Get(name) != value {
			b.failf("header %s is not the secret %s", name, auth.Secret)
		}
		got.header.Del(name)
	case channels.InQuery:
		pair := url.QueryEscape(auth.Name) + "=" + url.QueryEscape(secret)
		rest, ok := strings.CutSuffix(got.query, pair)
		if !ok {
			b.failf("the query does not have the secret %s as %s", auth.Secret, auth.Name)
		}
		got.query = strings.TrimSuffix(rest, "&")
	}
	var header strings.Builder
	_ = got.header.Write(&header)
	if at := leaked(got.path + "\n" + got.query + "\n" + header.String() + "\n" + got.body); at != "" {
		b.failf("a secret is where it should not be: %s", at)
	}
}

// compact returns JSON without its white space, and anything else as it is.
func compact(s string) string {
	var b bytes.Buffer
	if json.Compact(&b, []byte(s)) != nil {
		return s
	}
	return b.String()
}

// A script is a server that gives the reply that is set and keeps the request
// that it came for.
type script struct {
	*httptest.Server
	reply Reply
	got   *received
}

func newScript() *script {
	s := new(script)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.got = &received{r.Method, r.URL.EscapedPath(), r.URL.RawQuery, r.Header, string(body)}
		for name, value := range s.reply.Header {
			w.Header().Set(name, value)
		}
		w.WriteHeader(s.reply.answer().Status)
		_, _ = io.WriteString(w, s.reply.Body)
	}))
	return s
}
