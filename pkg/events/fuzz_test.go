package events_test

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/tramhq/tram/pkg/events"
)

// seed adds the messages of the vectors.
func seed(f *testing.F, add func(subject, id string, body []byte)) {
	f.Helper()
	for _, v := range readVectors(f) {
		b, err := hex.DecodeString(v.BodyHex)
		if err != nil {
			f.Fatal(err)
		}
		add(v.Subject, v.Headers["ce-id"], b)
	}
}

// What passes the check can be decoded by reflection, without bound on what
// the decoder may allocate, into whatever it is.
func FuzzShape(f *testing.F) {
	seed(f, func(_, _ string, body []byte) { f.Add(body) })
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := events.CheckShape(b, events.MaxBody); err != nil {
			if events.ReasonOf(err) == "" {
				t.Errorf("error without a reason: %v", err)
			}
			return
		}
		d := msgpack.NewDecoder(bytes.NewReader(b))
		if err := d.Skip(); err != nil {
			t.Errorf("%x passes but cannot be skipped: %v", b, err)
		}
		if n, err := d.DecodeRaw(); err == nil {
			t.Errorf("%x passes with %d bytes after its end", b, len(n))
		}
	})
}

func envelope(subject, id string) nats.Header {
	s, _ := events.ParseSubject(subject)
	return nats.Header{"ce-specversion": {"1.0"}, "ce-id": {id}, "ce-source": {"/fuzz"}, "ce-type": {s.Kind.Type()}}
}

// A request that decodes without an error is the same after being encoded, and
// whatever is wrong has a reason and a field.
func FuzzDecodeRequest(f *testing.F) {
	seed(f, func(subject, id string, body []byte) { f.Add(subject, id, body) })
	f.Fuzz(func(t *testing.T, subject, id string, body []byte) {
		r, err := events.DecodeRequest(subject, envelope(subject, id), body)
		if err != nil {
			checkRefusal(t, err)
			return
		}
		if err := r.Validate(); err != nil {
			checkRefusal(t, err)
		}
		if err := caresoft.Check(r); err != nil {
			checkRefusal(t, err)
		}
		m, err := events.EncodeRequest(r)
		if err != nil {
			if checkRefusal(t, err); len(body) < events.MaxBody/2 {
				t.Fatalf("encode what was decoded: %v", err)
			}
			return // what was read in a shorter form: required fields are written even when empty
		}
		again, err := events.DecodeRequest(m.Subject, m.Header, m.Data)
		if err != nil {
			t.Fatalf("decode what was encoded: %v", err)
		}
		m2, err := events.EncodeRequest(again)
		if err != nil || !bytes.Equal(m.Data, m2.Data) || m.Subject != subject || !reflect.DeepEqual(again.Meta, r.Meta) {
			t.Errorf("%x becomes %x, error %v", m.Data, m2.Data, err)
		}
	})
}

func FuzzDecodeEvent(f *testing.F) {
	seed(f, func(subject, id string, body []byte) { f.Add(subject, id, body) })
	f.Fuzz(func(t *testing.T, subject, id string, body []byte) {
		e, err := events.DecodeEvent(subject, envelope(subject, id), body)
		if err != nil {
			checkRefusal(t, err)
			return
		}
		if n := count(e.Delivery != nil, e.Stat != nil, e.Record != nil, e.Outcome != nil, e.Lane != nil); n != 1 {
			t.Errorf("%d bodies", n)
		}
		_ = e.About()
	})
}

func FuzzContract(f *testing.F) {
	b, err := events.EncodeContract(caresoft)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	for _, v := range readVectors(f) {
		if v.Contract != nil {
			if b, err = events.EncodeContract(*v.Contract); err != nil {
				f.Fatal(err)
			}
			f.Add(b)
		}
	}
	r := newSend("1")
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := events.DecodeContract(b)
		if err != nil {
			checkRefusal(t, err)
			return
		}
		if err := c.Check(r); err != nil {
			checkRefusal(t, err)
		}
		out, err := events.EncodeContract(c)
		if err != nil {
			checkRefusal(t, err) // what was read in a shorter form
			return
		}
		again, err := events.DecodeContract(out)
		if err != nil {
			t.Fatalf("decode what was encoded: %v", err)
		}
		if out2, err := events.EncodeContract(again); err != nil || !bytes.Equal(out, out2) {
			t.Errorf("%x becomes %x, error %v", out, out2, err)
		}
	})
}

// checkRefusal makes sure that an error tells what to do about it.
func checkRefusal(t *testing.T, err error) {
	t.Helper()
	if events.ReasonOf(err) == "" {
		t.Errorf("error without a reason: %v", err)
	}
	for _, f := range refusalFaults(err) {
		if f.Field == "" || f.Problem == "" {
			t.Errorf("fault without field or problem: %v", err)
		}
	}
	if n := len(err.Error()); n > 16<<10 {
		t.Errorf("error of %d bytes", n)
	}
}

func count(conds ...bool) (n int) {
	for _, c := range conds {
		if c {
			n++
		}
	}
	return n
}
