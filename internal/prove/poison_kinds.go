package main

import (
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/tramhq/tram/pkg/events"
)

const (
	poisonKinds = 14
	getsHTML    = "0610000009" // as the answer to a send
)

// poison is bad request number i.
func (p *poisoning) poison(i int) (*nats.Msg, error) {
	a := other(i % poisonAccounts)
	send := sendTo(a, 0)
	send.ID = "bad-" + strconv.Itoa(i)
	raw := func(change func(*nats.Msg)) (*nats.Msg, error) {
		m, err := encode(send)
		if err == nil {
			change(m)
		}
		return m, err
	}
	to := func(recipient string) (*nats.Msg, error) {
		send.Send.Recipient.Value = recipient
		return encode(send)
	}
	status := func(recipient string) (*nats.Msg, error) {
		p.calls++
		send.Kind, send.Send = events.KindReport, nil
		send.Report = &events.Report{Report: "caresoft.zalo_user_status", Recipient: events.Recipient{Kind: events.ByPhone, Value: recipient}}
		return encode(send)
	}
	switch i % poisonKinds {
	case 0:
		return raw(func(m *nats.Msg) { m.Data = p.mutate(p.seeds[i%len(p.seeds)]) })
	case 1:
		return raw(func(m *nats.Msg) { m.Header.Set(events.HeaderType, events.TypePrefix+"send.v9") })
	case 2:
		return raw(func(m *nats.Msg) { m.Data = append(m.Data, make([]byte, events.MaxBody)...) })
	case 3:
		return raw(func(m *nats.Msg) { m.Header.Add(events.HeaderID, "another") })
	case 4:
		return to(breaksPrepare)
	case 5:
		p.calls++
		return to(breaksJudge)
	case 6:
		p.calls++
		return to(getsHTML)
	case 7:
		return status(breaksParse)
	case 8:
		return status(breaksCollector)
	case 9:
		return status(isUnreadable)
	case 10:
		return raw(func(m *nats.Msg) { m.Header.Del(events.HeaderID) })
	case 11:
		return raw(func(m *nats.Msg) { m.Subject = strings.TrimSuffix(m.Subject, string(send.Class)) + "soon" })
	case 12:
		return raw(func(m *nats.Msg) { m.Subject = strings.Replace(m.Subject, "."+a.Name+".", ".nobody.", 1) })
	}
	send.Send.Recipient.Kind = events.ByMessengerUserID // which this provider does not know
	return encode(send)
}

// panics is how many of the bad requests break the provider package.
func (p *poisoning) panics() (n int) {
	for i := range p.bad {
		if k := i % poisonKinds; k == 4 || k == 5 || k == 7 || k == 8 {
			n++
		}
	}
	return n
}
