package events

import (
	"encoding/hex"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/vmihailenco/msgpack/v5"
)

// fullSend has every field of a send.
func fullSend() *Request {
	return &Request{
		Meta: Meta{
			ID: "order-1-otp", Source: "/acme/shop", Time: time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC),
			Traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", Tracestate: "acme=1", AncestorID: "order-7",
		},
		Kind: KindSend, Provider: "caresoft", Account: "main", Class: Urgent,
		Send: &Send{
			Recipient:   Recipient{ByPhone, "0900000001"},
			Content:     Content{Kind: ContentTemplate, TemplateRef: "608", Params: map[string]string{"username": "An", "code": "1"}},
			Sender:      Sender{ID: "oa-1"},
			Attributes:  []Attribute{{"vip", "yes"}},
			Policy:      Policy{"TAG", "transaction", "user_status"},
			OnAmbiguous: Resend,
			OrderKey:    "order-1",
			Timing:      Timing{1795000000000, 1795000600000},
			Context:     Context{"acme", "corr-1", map[string]string{"order": "1"}},
		},
	}
}

func TestDecodeRequest_RoundTrip(t *testing.T) {
	want := fullSend()
	m, err := EncodeRequest(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeRequest(m.Subject, m.Header, m.Data)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got.Send, want.Send)
	}
	if err := got.Validate(); err != nil {
		t.Error(err)
	}
}

// What embeds others in Go stands flat on the wire, and what is empty is not
// there at all.
func TestEncodeRequest_Flat(t *testing.T) {
	r := fullSend()
	r.Send.Sender, r.Send.Policy, r.Send.Metadata, r.Send.Attributes = Sender{}, Policy{}, nil, []Attribute{}
	m, err := EncodeRequest(r)
	if err != nil {
		t.Fatal(err)
	}
	var flat map[string]any
	if err := msgpack.Unmarshal(m.Data, &flat); err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, f := range sendLayout.fields {
		if _, ok := flat[f.name]; ok {
			keys = append(keys, f.name)
			delete(flat, f.name)
		}
	}
	want := []string{"recipient", "content", "on_ambiguous", "order_key", "not_before_ms", "expires_at_ms", "tenant", "correlation_id"}
	if !reflect.DeepEqual(keys, want) || len(flat) != 0 {
		t.Errorf("got %v and %v\nwant %v", keys, flat, want)
	}
}

// A request that is refused still says whose it is, so that the refusal can be
// told.
func TestDecodeRequest_KeepsWhatItCouldRead(t *testing.T) {
	body, err := msgpack.Marshal(map[string]any{
		"recipient": map[string]any{"kind": "phone", "value": 900000001}, "tenant": "acme", "metadata": map[string]any{"order": 1, "step": "paid"},
	})
	if err != nil {
		t.Fatal(err)
	}
	h := nats.Header{HeaderSpecVersion: {"1.0"}, HeaderID: {"1"}, HeaderSource: {"/acme/shop"}, HeaderType: {KindSend.Type()}}
	r, err := DecodeRequest("tram.send.caresoft.main.normal", h, body)
	if err == nil || r == nil || r.Send == nil {
		t.Fatalf("got %+v, error %v", r, err)
	}
	if r.ID != "1" || r.Source != "/acme/shop" || r.Context().Tenant != "acme" || r.Context().Metadata["step"] != "paid" || r.Send.Recipient.Kind != ByPhone {
		t.Errorf("got %+v with %+v", r, r.Send)
	}
	r, err = DecodeRequest("tram.send.caresoft.main.normal", h, []byte{0xc1})
	if err == nil || r == nil || r.Send != nil || r.ID != "1" || r.Account != "main" {
		t.Errorf("got %+v, error %v", r, err)
	}
}

// Neither the value nor a key that may be personal is in an error.
func TestErrors_QuoteNothingPersonal(t *testing.T) {
	const secret = "0912345678"
	for _, body := range []map[string]any{
		{"recipient": map[string]any{"kind": secret, "value": secret + "\n"}, "content": map[string]any{"kind": secret, "text": secret + "\xff"}},
		{"recipient": secret, "metadata": map[string]any{secret: 1}},
		{"on_ambiguous": secret, "content": map[string]any{"kind": "template", "template_ref": " " + secret, "params": map[string]any{secret: "\xff", secret + "\n": ""}}},
		{"order_key": secret + "\n", "attributes": []any{map[string]any{"name": secret + "\n", "value": secret + "\xff"}}},
	} {
		data, err := msgpack.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		h := nats.Header{HeaderSpecVersion: {secret}, HeaderID: {secret + " "}, HeaderSource: {secret + " "}, HeaderType: {secret}, HeaderTime: {secret}, HeaderDataContentType: {secret}}
		r, err := DecodeRequest("tram.send."+secret+"."+secret+"."+secret, h, data)
		contract := Contract{Provider: "caresoft", Account: "main", Sends: []SendForm{{ByPhone, ContentText}}}
		for _, err := range []error{err, r.Validate(), contract.Check(r), UnknownAccount(KindSend, secret, secret, []string{"caresoft.main"})} {
			if err == nil || strings.Contains(err.Error(), secret) {
				t.Errorf("error tells too much or nothing: %v", err)
			}
		}
	}
}

func TestEncodeRequest_Refuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Request)
		want   string
	}{
		"no id":                 {func(r *Request) { r.ID = "" }, "ce-id"},
		"a line break":          {func(r *Request) { r.Source = "/a\r\nx: y" }, "ce-source"},
		"a line break in trace": {func(r *Request) { r.Tracestate = "a\r\nx: y" }, "tracestate"},
		"a dot in the account":  {func(r *Request) { r.Account = "main.second" }, "account"},
		"a wildcard":            {func(r *Request) { r.Provider = ">" }, "provider"},
		"no class":              {func(r *Request) { r.Class = "" }, "class"},
		"no body":               {func(r *Request) { r.Send = nil }, "kind"},
		"two bodies":            {func(r *Request) { r.Report = new(Report) }, "kind"},
		"the body of another":   {func(r *Request) { r.Kind = KindReport }, "kind"},
	} {
		t.Run(name, func(t *testing.T) {
			r := fullSend()
			c.change(r)
			_, err := EncodeRequest(r)
			if ReasonOf(err) != ReasonInvalid || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want a fault of %s", err, c.want)
			}
		})
	}
	if _, err := EncodeStat(Meta{ID: "1", Source: Source}, &Stat{About: About{Provider: "momo", Account: "main"}}); ReasonOf(err) != ReasonInvalid {
		t.Errorf("a stat without a report: %v", err)
	}
}

func TestSubjects(t *testing.T) {
	about := About{Provider: "momo", Account: "main"}
	for want, got := range map[string]Subject{
		"tram.send.caresoft.main.urgent":           fullSend().Subject(),
		"tram.delivery.momo.main.accepted":         (&Delivery{About: about, State: StateAccepted}).Subject(),
		"tram.stat.momo.main.momo_messages_report": (&Stat{About: about, Report: "momo.messages_report"}).Subject(),
		"tram.record.momo.main.chi_n_d_ch":         (&Record{About: about, Kind: "chiến dịch"}).Subject(),
		"tram.outcome.momo.main.done":              (&Outcome{About: about, State: StateDone}).Subject(),
	} {
		if got.String() != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if back, err := ParseSubject(want); err != nil || back != got {
			t.Errorf("parse %s: %+v, %v", want, back, err)
		}
	}
}

func TestDeterministicID(t *testing.T) {
	// Computed with Python's hashlib: what it gives must never change.
	if got := DeterministicID("order", "1001"); got != "28042fd763aa3f4e31ab8d056e7e5bcc" {
		t.Errorf("got %s", got)
	}
	seen := map[string][]string{}
	for _, parts := range [][]string{nil, {""}, {"", ""}, {"a", "bc"}, {"ab", "c"}, {"abc"}, {"abc", ""}} {
		id := DeterministicID(parts...)
		if raw, err := hex.DecodeString(id); err != nil || len(raw) != 16 {
			t.Errorf("%q is not 32 hexadecimal digits", id)
		}
		if other, ok := seen[id]; ok {
			t.Errorf("%q and %q have the same id", parts, other)
		}
		seen[id] = parts
	}
	if a, b := NewID(), NewID(); a == b || len(a) != 26 {
		t.Errorf("got %s and %s", a, b)
	}
}

// The contract's types have the same names in JSON, for documents and tools.
func TestLayout_NamesAreThoseOfJSON(t *testing.T) {
	var visit func(reflect.Type)
	visit = func(typ reflect.Type) {
		for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice || typ.Kind() == reflect.Map {
			typ = typ.Elem()
		}
		if typ.Kind() != reflect.Struct {
			return
		}
		for f := range typ.Fields() {
			wire, _, _ := strings.Cut(f.Tag.Get("msgpack"), ",")
			if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != wire {
				t.Errorf("%s.%s is %q in msgpack and %q in JSON", typ, f.Name, wire, name)
			}
			visit(f.Type)
		}
	}
	for _, l := range []*layout{sendLayout, reportLayout, commandLayout, deliveryLayout, statLayout, recordLayout, outcomeLayout, contractLayout} {
		visit(l.typ)
	}
}

func TestUnknownAccount_ListsSome(t *testing.T) {
	var known []string
	for i := range 30 {
		known = append(known, fmt.Sprintf("caresoft.a%02d", i))
	}
	got := UnknownAccount(KindSend, "caresoft", "b", known).Error()
	if !strings.HasPrefix(got, "invalid send: account: caresoft has no b: there is a00, a01,") || !strings.HasSuffix(got, "a19 and 10 more") {
		t.Errorf("got %s", got)
	}
	if got := UnknownAccount("", "caresoft", "b", nil).Error(); got != "invalid request: provider: caresoft is not configured" {
		t.Errorf("got %s", got)
	}
}
