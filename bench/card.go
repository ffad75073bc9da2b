package main

import (
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tramhq/tram/pkg/events"
)

//go:generate go tool msgp -tests=false -io=false -unexported=false
//msgp:tag msgpack
//msgp:ignore call zalo

// What all contenders do: a Card comes in, a Result is stored, a Notice goes
// out. A Card is the body of a tram send, byte for byte.

// A Card is a send, about 250 bytes.
type Card struct {
	Recipient     Person  `msgpack:"recipient"`
	Content       Content `msgpack:"content"`
	Tenant        string  `msgpack:"tenant"` // the account
	CorrelationID string  `msgpack:"correlation_id"`
}

// A Person is whom it goes to.
type Person struct {
	Kind  string `msgpack:"kind"`
	Value string `msgpack:"value"`
}

// Content is what is said.
type Content struct {
	Kind        string            `msgpack:"kind"`
	TemplateRef string            `msgpack:"template_ref"`
	Params      map[string]string `msgpack:"params"`
}

// A Result is what the provider has answered.
type Result struct {
	ID        string `msgpack:"id"`
	Account   string `msgpack:"account"`
	Recipient Person `msgpack:"recipient"`
	Attempt   int    `msgpack:"attempt"`
	Status    int    `msgpack:"status"`
	Answer    []byte `msgpack:"answer"`
	AtMS      int64  `msgpack:"at_ms"`
}

// A Notice is a delivery, with the fields that tram's has for an accepted send.
type Notice struct {
	Provider  string `msgpack:"provider"`
	Account   string `msgpack:"account"`
	RequestID string `msgpack:"request_id"`
	State     string `msgpack:"state"`
	Final     bool   `msgpack:"final"`
	Attempt   int    `msgpack:"attempt"`
	AtMS      int64  `msgpack:"at_ms"`
	Recipient Person `msgpack:"recipient"`
	Evidence  string `msgpack:"evidence"`
}

// A call is the body of CareSoft's send-message, about 200 bytes.
type call struct {
	Zalo zalo `json:"zalo"`
}

type zalo struct {
	PhoneNo  string            `json:"phone_no"`
	OAID     string            `json:"oa_id"`
	ScriptID int64             `json:"script_id"`
	Params   map[string]string `json:"template_params"`
}

const (
	oa       = "1600190000000000001"
	script   = 8812345
	provider = "caresoft"
	token    = "bench-token"
)

// sendOf is send number i as tram's producers make it; its body is a Card.
func sendOf(i, accounts int) (*nats.Msg, error) {
	r := &events.Request{
		Meta: events.Meta{ID: sendID(i), Source: "/bench", Time: time.Now()}, Kind: events.KindSend,
		Provider: provider, Account: account(i % accounts), Class: events.Normal,
		Send: &events.Send{
			Recipient: events.Recipient{Kind: events.ByPhone, Value: phone(i)},
			Content: events.Content{Kind: events.ContentTemplate, TemplateRef: strconv.Itoa(script), Params: map[string]string{
				"customer_name": "Nguyễn Thị Hồng Nhung", "order_code": sendID(i), "amount": "1.250.000 đ",
			}},
			Context: events.Context{Tenant: account(i % accounts), CorrelationID: sendID(i)},
		},
	}
	if err := r.Validate(); err != nil {
		return nil, err
	}
	return events.EncodeRequest(r)
}

func sendID(i int) string  { return fmt.Sprintf("order-%08d", i) }
func account(i int) string { return fmt.Sprintf("a%04d", i) }
func path(account string) string {
	return "/" + account + "/api/v1/zalo/send-message"
}

// noticeOf makes the notice of a result, or an error if the provider has not
// taken the send: the stub takes all.
func noticeOf(r *Result, code string) (*Notice, error) {
	if r.Status != 200 || code != "ok" {
		return nil, fmt.Errorf("the provider answered %d %s", r.Status, r.Answer)
	}
	return &Notice{
		Provider: provider, Account: r.Account, RequestID: r.ID, State: string(events.StateAccepted), Final: true,
		Attempt: r.Attempt, AtMS: r.AtMS, Recipient: r.Recipient, Evidence: string(events.Strong),
	}, nil
}
