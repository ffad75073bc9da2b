package events

import "testing"

// benchSend is a send of about 250 bytes, as most are.
func benchSend(b *testing.B) (*Request, []byte) {
	r := fullSend()
	r.Traceparent, r.Tracestate = "", ""
	r.Send.Attributes, r.Send.Policy, r.Send.OrderKey, r.Send.NotBeforeMS = nil, Policy{}, "", 0
	m, err := EncodeRequest(r)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(len(m.Data)), "bytes")
	return r, m.Data
}

func BenchmarkEncodeRequest(b *testing.B) {
	r, _ := benchSend(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := EncodeRequest(r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeRequest(b *testing.B) {
	r, _ := benchSend(b)
	m, err := EncodeRequest(r)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeRequest(m.Subject, m.Header, m.Data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkValidate(b *testing.B) {
	r, _ := benchSend(b)
	b.ReportAllocs()
	for b.Loop() {
		if err := r.Validate(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCheckShape(b *testing.B) {
	_, data := benchSend(b)
	b.ReportAllocs()
	for b.Loop() {
		if err := CheckShape(data, MaxBody); err != nil {
			b.Fatal(err)
		}
	}
}
