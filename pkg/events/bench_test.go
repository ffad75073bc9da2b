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

// benchDelivery is what most sends end with.
func benchDelivery(b *testing.B) (Meta, *Delivery) {
	r, _ := benchSend(b)
	m := Meta{ID: DeterministicID(r.ID), Source: Source, Time: r.Time, Traceparent: r.Traceparent}
	return m, &Delivery{
		About: About{Provider: r.Provider, Account: r.Account, RequestID: r.ID, RequestSource: r.Source, Context: r.Context()},
		State: StateAccepted, Final: true, Attempt: 1, AtMS: 1_763_000_000_128, Recipient: r.Send.Recipient,
		Evidence: Strong, ProviderMessageID: "8f14e45fceea167a5a36dedd4bea2543",
	}
}

func BenchmarkEncodeDelivery(b *testing.B) {
	meta, d := benchDelivery(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := EncodeDelivery(meta, d); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeDelivery(b *testing.B) {
	m, err := EncodeDelivery(benchDelivery(b))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeEvent(m.Subject, m.Header, m.Data); err != nil {
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
