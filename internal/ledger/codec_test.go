package ledger_test

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

func fullResult() *ledger.Result {
	return &ledger.Result{
		Seq: 1 << 40, Call: 3, Attempt: 2, Step: 4, Cursor: "1701059874844",
		Request: ledger.Original{
			Subject: "tram.report.momo.shop.bulk",
			Header: map[string][]string{
				"ce-id": {"r-1"}, "ce-source": {"/billing"}, "ce-type": {"io.github.tramhq.report.v1"}, "x": {"a", "b"},
			},
			Data: []byte{0x80}, TimeMS: 1_763_000_000_000, Seq: 1 << 39,
		},
		Answer: &channels.Answer{
			Status: 200, Header: map[string]string{"retry-after": "3", "content-type": "application/json"},
			Body: []byte(`{"success":true}`), Written: true, StartedMS: 1_763_000_000_100, TookUS: 1500,
		},
		State: events.StateDone, Why: events.Why{Class: "retry", Reason: "busy", HTTPStatus: 503, ProviderCode: "-1"},
		Evidence: events.Strong, AtMS: 1_763_000_000_200, MessageID: "m-1", Warnings: []string{"w"},
		RetryAtMS: 1, Next: "n", Stats: 7, Records: 1, Parse: true, Dead: ledger.DeadAnswer,
		Prev: 1 << 41, Stack: "provider.Parse (parse.go:7)\n", Resolved: true,
	}
}

func fullDeadLetter() *ledger.DeadLetter {
	r := fullResult()
	return &ledger.DeadLetter{
		Group: ledger.DeadUnknown, Seq: r.Seq, Request: r.Request, State: events.StateUnknown,
		Why: r.Why, Attempt: 2, Call: 3, AtMS: r.AtMS, Answer: r.Answer,
		Stack: r.Stack, Attempts: []ledger.Attempt{{Call: 2, Step: 1, AtMS: 5, State: events.StateDeferred}, ledger.AttemptOf(r)}, Missing: "aged out",
	}
}

func TestCodec_RoundTrip(t *testing.T) {
	groups := []*ledger.IntentGroup{
		{},
		{Owner: "d-1", Epoch: 9, AtMS: 5, Calls: []ledger.Intent{{Seq: 1, Call: 1}, {Seq: 1 << 50, Call: 70_000}}},
	}
	for _, want := range groups {
		roundTrip(t, want, ledger.EncodeIntents, ledger.DecodeIntents)
	}
	for _, want := range []*ledger.Result{{}, fullResult()} {
		roundTrip(t, want, ledger.EncodeResult, ledger.DecodeResult)
	}
	for _, want := range []*ledger.DeadLetter{{}, fullDeadLetter()} {
		roundTrip(t, want, ledger.EncodeDeadLetter, ledger.DecodeDeadLetter)
	}
}

func roundTrip[T any](t *testing.T, want *T, encode func(*T) ([]byte, error), decode func([]byte) (*T, error)) {
	t.Helper()
	data, err := encode(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := decode(data)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("round trip:\n got %+v\nwant %+v", got, want)
	}
}

func TestCodec_EqualRecordsGiveEqualBytes(t *testing.T) {
	first, err := ledger.EncodeResult(fullResult())
	if err != nil {
		t.Fatal(err)
	}
	for range 50 { // map order changes from run to run
		again, err := ledger.EncodeResult(fullResult())
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(first, again) {
			t.Fatalf("bytes differ:\n%x\n%x", first, again)
		}
	}
}

func TestCodec_RefusesGarbage(t *testing.T) {
	good, err := ledger.EncodeResult(fullResult())
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string][]byte{
		"empty":                      {},
		"an array that claims 4 G":   {0xdd, 0xff, 0xff, 0xff, 0xff},
		"a map that claims 4 G":      {0xdf, 0xff, 0xff, 0xff, 0xff},
		"bytes that claim 4 G":       {0xc6, 0xff, 0xff, 0xff, 0xff},
		"a million levels":           bytes.Repeat([]byte{0x91}, 1_000_000),
		"trailing bytes":             append(bytes.Clone(good), 0),
		"cut off":                    good[:len(good)-1],
		"text where a number stands": append([]byte{0x81, 0xa3}, "seq\xa1x"...),
	}
	for name, data := range cases {
		t.Run(name, func(t *testing.T) {
			if r, err := ledger.DecodeResult(data); err == nil {
				t.Errorf("decoded to %+v", r)
			} else if !strings.HasPrefix(err.Error(), "decode result: ") {
				t.Errorf("error %q does not say what was decoded", err)
			}
		})
	}
}

func FuzzDecodeIntents(f *testing.F) {
	fuzz(f, &ledger.IntentGroup{Owner: "d", Epoch: 1, AtMS: 2, Calls: []ledger.Intent{{Seq: 3, Call: 4}}},
		ledger.EncodeIntents, ledger.DecodeIntents)
}

func FuzzDecodeResult(f *testing.F) {
	fuzz(f, fullResult(), ledger.EncodeResult, ledger.DecodeResult)
}

func FuzzDecodeDeadLetter(f *testing.F) {
	fuzz(f, fullDeadLetter(), ledger.EncodeDeadLetter, ledger.DecodeDeadLetter)
}

// fuzz checks that whatever is decoded can be encoded, and then stays as it is.
func fuzz[T any](f *testing.F, seed *T, encode func(*T) ([]byte, error), decode func([]byte) (*T, error)) {
	data, err := encode(seed)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte{0xdd, 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{0xdf, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := decode(data)
		if err != nil {
			return
		}
		once, err := encode(v)
		if err != nil {
			t.Fatalf("encode what was decoded: %v", err)
		}
		v, err = decode(once)
		if err != nil {
			t.Fatalf("decode what was encoded: %v", err)
		}
		if twice, err := encode(v); err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("encoding is not stable: %v\n%x\n%x", err, once, twice)
		}
	})
}
