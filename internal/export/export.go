// Package export writes windows of streams as JSON lines, personal data masked,
// and reads them back into a broker for tests.
package export

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/mask"
)

// A Row is one stored message.
type Row struct {
	Stream  string              `json:"stream"`
	Seq     uint64              `json:"seq"`
	Time    time.Time           `json:"time"` // when it was stored
	Subject string              `json:"subject"`
	Headers map[string][]string `json:"headers,omitempty"`
	Masked  bool                `json:"masked,omitempty"`
	Body    []byte              `json:"body"` // base64: what an import stores

	// Data is the body for people, decoded: the request in a result and JSON in
	// an answer, too.
	Data any `json:"data,omitempty"`
}

// Write writes a window of a stream, one JSON line for each message, and calls
// tell after each with its sequence. It masks by masker unless that is nil.
func Write(ctx context.Context, js jetstream.JetStream, stream string, w broker.Window, masker *mask.Masker, to io.Writer, tell func(seq uint64)) error {
	out := bufio.NewWriterSize(to, 1<<16)
	lines := json.NewEncoder(out)
	lines.SetEscapeHTML(false)
	err := broker.NewReader(js).Scan(ctx, stream, w, func(m *broker.Stored) error {
		if err := lines.Encode(row(stream, m, masker)); err != nil {
			return fmt.Errorf("write row: %w", err)
		}
		tell(m.Seq)
		return nil
	})
	if flushed := out.Flush(); err == nil && flushed != nil {
		err = fmt.Errorf("write rows: %w", flushed)
	}
	return err
}

func row(stream string, m *broker.Stored, masker *mask.Masker) *Row {
	r := &Row{Stream: stream, Seq: m.Seq, Time: m.Time.UTC(), Subject: m.Subject, Headers: m.Header, Body: m.Data}
	if masker != nil {
		r.Masked, r.Headers, r.Body = true, masker.Headers(m.Header), masker.Body(m.Data)
	}
	if tree, err := mask.Decode(r.Body); err == nil {
		r.Data = mask.View(tree)
	} else if json.Valid(r.Body) {
		r.Data = json.RawMessage(r.Body)
	}
	return r
}
