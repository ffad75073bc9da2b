package events_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/tramhq/tram/pkg/events"
)

// A vector is one message and what it means. docs/events.md tells other
// languages how to use the file.
type vector struct {
	Name    string            `json:"name"`
	Note    string            `json:"note,omitempty"`
	Subject string            `json:"subject"`
	Headers map[string]string `json:"headers"`
	BodyHex string            `json:"body_hex"`
	Pad     int               `json:"pad,omitempty"` // zero bytes that follow BodyHex
	Valid   bool              `json:"valid"`
	// Exact says that encoding the meaning gives BodyHex byte for byte; without
	// it the same meaning can be written in another way.
	Exact bool `json:"exact,omitempty"`
	// Contract is the account's, if it is what refuses the request.
	Contract *events.Contract `json:"contract,omitempty"`
	Meaning  meaning          `json:"meaning"`
}

// A meaning is an event if the message is valid, and a reason with the fields
// at fault if it is not.
type meaning struct {
	Kind     events.Kind     `json:"kind,omitempty"`
	Provider string          `json:"provider,omitempty"`
	Account  string          `json:"account,omitempty"`
	Last     string          `json:"last,omitempty"`
	ID       string          `json:"id,omitempty"`
	Source   string          `json:"source,omitempty"`
	Body     json.RawMessage `json:"body,omitempty"`

	Reason string   `json:"reason,omitempty"`
	Fields []string `json:"fields,omitempty"`
	Error  string   `json:"error,omitempty"` // in words
}

const vectorsFile = "testdata/vectors.json"

var writeVectors = flag.Bool("write-vectors", false, "write "+vectorsFile+" anew and fail, so that the change is looked at")

// The file holds what the table in vectors_table_test.go says.
func TestVectors_File(t *testing.T) {
	var table []vector
	for _, v := range vectorTable(t) {
		v.Meaning = mean(t, v)
		v.Valid = v.Meaning.Reason == ""
		table = append(table, v)
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(table); err != nil {
		t.Fatal(err)
	}
	if *writeVectors {
		if err := os.WriteFile(vectorsFile, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		t.Fatalf("%s is written: look at what changed, then run the test without the flag", vectorsFile)
	}
	file, err := os.ReadFile(vectorsFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(file, b.Bytes()) {
		t.Errorf("%s does not hold what the code does: a change of the wire contract breaks those who speak it", vectorsFile)
	}
}

func readVectors(t testing.TB) []vector {
	t.Helper()
	b, err := os.ReadFile(vectorsFile)
	if err != nil {
		t.Fatal(err)
	}
	var all []vector
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// Each message of the file means what it says there.
func TestVectors_Decode(t *testing.T) {
	for _, v := range readVectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			got, want := mean(t, v), v.Meaning
			if !sameJSON(t, got.Body, want.Body) {
				t.Errorf("got body  %s\nwant body %s", got.Body, want.Body)
			}
			got.Body, want.Body = nil, nil
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
			if v.Valid != (want.Reason == "") {
				t.Error("valid and reason contradict each other")
			}
		})
	}
}

// Each meaning of the file is encoded as it stands there.
func TestVectors_Encode(t *testing.T) {
	for _, v := range readVectors(t) {
		if !v.Valid {
			continue
		}
		t.Run(v.Name, func(t *testing.T) {
			m := encodeMeaning(t, v.Meaning)
			if m.Subject != v.Subject {
				t.Errorf("got subject %s, want %s", m.Subject, v.Subject)
			}
			if v.Exact && hex.EncodeToString(m.Data) != v.BodyHex {
				t.Errorf("got body  %x\nwant body %s", m.Data, v.BodyHex)
			}
			v.BodyHex, v.Subject = hex.EncodeToString(m.Data), m.Subject
			if again := mean(t, v); !sameJSON(t, again.Body, v.Meaning.Body) {
				t.Errorf("got body  %s\nwant body %s", again.Body, v.Meaning.Body)
			}
		})
	}
}

// mean decodes a vector's message as the relay or a downstream service does.
func mean(t testing.TB, v vector) meaning {
	t.Helper()
	body, err := hex.DecodeString(v.BodyHex)
	if err != nil {
		t.Fatal(err)
	}
	body = append(body, make([]byte, v.Pad)...)
	h := nats.Header{}
	for k, val := range v.Headers {
		h[k] = strings.Split(val, "\n") // two values of one header stand on two lines
	}
	s, _ := events.ParseSubject(v.Subject)
	if slices.Contains(events.EventKinds, s.Kind) {
		e, err := events.DecodeEvent(v.Subject, h, body)
		if err != nil {
			return refusal(t, err)
		}
		bodies := map[events.Kind]any{events.KindDelivery: e.Delivery, events.KindStat: e.Stat, events.KindRecord: e.Record, events.KindOutcome: e.Outcome, events.KindLane: e.Lane}
		return meaning{Kind: s.Kind, Provider: s.Provider, Account: s.Account, Last: s.Last, ID: e.ID, Source: e.Source, Body: toJSON(t, bodies[s.Kind])}
	}
	r, err := events.DecodeRequest(v.Subject, h, body)
	switch {
	case err != nil:
	case v.Contract != nil:
		err = v.Contract.Check(r)
	default:
		err = r.Validate()
	}
	if err != nil {
		return refusal(t, err)
	}
	bodies := map[events.Kind]any{events.KindSend: r.Send, events.KindReport: r.Report, events.KindCommand: r.Command, events.KindCancel: r.Cancel}
	return meaning{Kind: s.Kind, Provider: s.Provider, Account: s.Account, Last: s.Last, ID: r.ID, Source: r.Source, Body: toJSON(t, bodies[s.Kind])}
}

func refusal(t testing.TB, err error) meaning {
	t.Helper()
	m := meaning{Reason: events.ReasonOf(err), Error: err.Error()}
	for _, f := range refusalFaults(err) {
		m.Fields = append(m.Fields, f.Field)
	}
	if m.Reason == "" || len(m.Fields) == 0 {
		t.Fatalf("error without a reason or a field: %v", err)
	}
	return m
}

func refusalFaults(err error) []events.Fault {
	if e, ok := errors.AsType[*events.DecodeError](err); ok {
		return e.Faults
	}
	if e, ok := errors.AsType[*events.InvalidError](err); ok {
		return e.Faults
	}
	return nil
}

// encodeMeaning encodes a valid meaning as a producer or the relay does.
func encodeMeaning(t testing.TB, m meaning) *nats.Msg {
	t.Helper()
	meta := events.Meta{ID: m.ID, Source: m.Source}
	r := &events.Request{Meta: meta, Kind: m.Kind, Provider: m.Provider, Account: m.Account, Class: events.Class(m.Last)}
	var msg *nats.Msg
	var err error
	switch m.Kind {
	case events.KindSend:
		r.Send = fromJSON[events.Send](t, m.Body)
		msg, err = events.EncodeRequest(r)
	case events.KindReport:
		r.Report = fromJSON[events.Report](t, m.Body)
		msg, err = events.EncodeRequest(r)
	case events.KindCommand:
		r.Command = fromJSON[events.Command](t, m.Body)
		msg, err = events.EncodeRequest(r)
	case events.KindCancel:
		r.Cancel = fromJSON[events.Cancel](t, m.Body)
		msg, err = events.EncodeRequest(r)
	case events.KindDelivery:
		msg, err = events.EncodeDelivery(meta, fromJSON[events.Delivery](t, m.Body))
	case events.KindStat:
		msg, err = events.EncodeStat(meta, fromJSON[events.Stat](t, m.Body))
	case events.KindRecord:
		msg, err = events.EncodeRecord(meta, fromJSON[events.Record](t, m.Body))
	case events.KindOutcome:
		msg, err = events.EncodeOutcome(meta, fromJSON[events.Outcome](t, m.Body))
	case events.KindLane:
		msg, err = events.EncodeLane(meta, fromJSON[events.Lane](t, m.Body))
	}
	if err != nil {
		t.Fatal(err)
	}
	return msg
}

func toJSON(t testing.TB, v any) json.RawMessage {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSpace(b.Bytes())
}

func fromJSON[T any](t testing.TB, b json.RawMessage) *T {
	t.Helper()
	v := new(T)
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		t.Fatal(err)
	}
	return v
}

func sameJSON(t testing.TB, a, b json.RawMessage) bool {
	t.Helper()
	var x, y any
	for _, p := range []struct {
		b json.RawMessage
		v *any
	}{{a, &x}, {b, &y}} {
		if len(p.b) == 0 {
			continue
		}
		if err := json.Unmarshal(p.b, p.v); err != nil {
			t.Fatal(err)
		}
	}
	return reflect.DeepEqual(x, y)
}
