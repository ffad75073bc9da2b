package main

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"
	"time"
)

// The processes that a run starts are this program, which here is the test.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && hidden[os.Args[1]] != nil {
		if err := hidden[os.Args[1]](os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// asynq is not among them: it needs Redis.
func TestEveryContenderDoesTheWorkOnce(t *testing.T) {
	b := &bench{dir: t.TempDir()}
	work := scenario{n: 500, inflight: 16, accounts: 3, latency: time.Millisecond}
	twoOfEach, paced := work, work
	twoOfEach.each = 2
	paced.n, paced.rate, paced.latency = 20, 50, 0
	for _, r := range []row{
		{"bare", "bare", work},
		{"bare-std", "bare-std", work},
		{"watermill", "watermill", work},
		{"watermill-mw", "watermill-mw", work},
		{"tram", "tram", work},
		{"tram, two of each", "tram", twoOfEach},
		{"tram, paced", "tram", paced},
	} {
		t.Run(r.label, func(t *testing.T) {
			m, err := b.run(t.Context(), r) // an error if a call was repeated or not made
			if err != nil {
				t.Fatal(err)
			}
			if m.wall <= 0 || m.most < 1 || m.most > int64(16*max(1, r.each)) || m.peak["dispatcher"] < 1<<20 || m.peak["collector"] < 1<<20 {
				t.Errorf("measured %+v", m)
			}
			if r.rate > 0 && len(m.toCall) != r.n || len(m.toDelivery) != len(m.toCall) {
				t.Fatalf("%d latencies to the call, %d to the delivery", len(m.toCall), len(m.toDelivery))
			}
			for i := range m.toCall {
				if m.toCall[i] <= 0 || m.toDelivery[i] <= m.toCall[i] {
					t.Errorf("%s to a call, %s to a delivery", m.toCall[i], m.toDelivery[i])
				}
			}
		})
	}
}

// The codecs write and read the same, so that contenders differ in speed only.
func TestCodecsAgree(t *testing.T) {
	m, err := sendOf(7, 1)
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Data) < 220 || len(m.Data) > 280 {
		t.Errorf("a send has %d bytes, want about 250", len(m.Data))
	}
	var calls []call
	for _, c := range []codec{std{}, fast{}} {
		card, err := c.card(m.Data)
		if err != nil {
			t.Fatal(err)
		}
		body, err := c.call(card)
		if err != nil {
			t.Fatal(err)
		}
		if i, ok := recipientIn(body); !ok || i != 7 || len(body) < 170 || len(body) > 230 {
			t.Errorf("%T: the provider sees recipient %d in %s", c, i, body)
		}
		var decoded call
		if err := json.Unmarshal(body, &decoded); err != nil {
			t.Fatal(err)
		}
		calls = append(calls, decoded)

		result := &Result{ID: "order", Account: account(0), Recipient: card.Recipient, Attempt: 1, Status: 200, Answer: []byte(`{"code":"ok","id":1}`), AtMS: 1}
		for _, reader := range []codec{std{}, fast{}} {
			data, err := c.result(result)
			if err != nil {
				t.Fatal(err)
			}
			d := duty{codec: reader}
			_, notice, err := d.makeNotice(data)
			if err != nil {
				t.Fatal(err)
			}
			if i, ok := recipientOf(notice); !ok || i != 7 {
				t.Errorf("%T, %T: the notice is about recipient %d: %q", c, reader, i, notice)
			}
		}
	}
	if fmt.Sprint(calls[0]) != fmt.Sprint(calls[1]) {
		t.Errorf("the calls differ: %+v", calls)
	}
}
