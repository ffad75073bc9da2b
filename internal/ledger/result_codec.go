package ledger

import (
	"slices"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/tramhq/tram/internal/wire"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// write writes r as its tags say.
func (r *Result) write(w *wire.Writer) {
	f := begin(w)
	f.uint("seq", r.Seq)
	f.int("call", int64(r.Call))
	f.int("attempt", int64(r.Attempt))
	f.int("step", int64(r.Step))
	f.optionalText("cursor", r.Cursor)
	f.name("request")
	r.Request.write(w)
	if r.Answer != nil {
		f.name("answer")
		writeAnswer(w, r.Answer)
	}
	f.optionalText("state", string(r.State))
	f.name("why")
	writeWhy(w, &r.Why)
	f.optionalText("evidence", string(r.Evidence))
	f.int("at", r.AtMS)
	f.optionalText("message_id", r.MessageID)
	if len(r.Warnings) > 0 {
		f.name("warnings")
		w.ListLen(len(r.Warnings))
		for _, text := range r.Warnings {
			w.Text(text)
		}
	}
	f.optionalInt("retry_at", r.RetryAtMS)
	f.optionalTrue("planned", r.Planned)
	f.optionalInt("silence", r.SilenceMS)
	f.optionalText("next", r.Next)
	f.optionalInt("stats", int64(r.Stats))
	f.optionalInt("records", int64(r.Records))
	f.optionalTrue("parse", r.Parse)
	f.optionalText("dead", string(r.Dead))
	if r.Prev != 0 {
		f.uint("prev", r.Prev)
	}
	f.optionalText("stack", r.Stack)
	f.optionalText("trace", r.Trace)
	f.optionalTrue("resolved", r.Resolved)
	f.optionalInt("format", int64(r.Format))
	f.end()
}

func writeAnswer(w *wire.Writer, a *channels.Answer) {
	f := begin(w)
	f.optionalInt("status", int64(a.Status))
	if len(a.Header) > 0 {
		f.name("header")
		names := sortedNames(a.Header, make([]string, 0, 16))
		w.MapLen(len(names))
		for _, name := range names {
			w.Text(name)
			w.Text(a.Header[name])
		}
	}
	if len(a.Body) > 0 {
		f.name("body")
		w.Bytes(a.Body)
	}
	f.optionalText("failure", string(a.Failure))
	f.optionalText("detail", a.Detail)
	f.optionalTrue("written", a.Written)
	f.int("started_ms", a.StartedMS)
	f.int("took_us", a.TookUS)
	f.end()
}

func writeWhy(w *wire.Writer, y *events.Why) {
	f := begin(w)
	f.optionalText("class", y.Class)
	f.optionalText("reason", y.Reason)
	f.optionalText("detail", y.Detail)
	f.optionalInt("http_status", int64(y.HTTPStatus))
	f.optionalText("provider_code", y.ProviderCode)
	f.optionalText("provider_text", y.ProviderText)
	f.end()
}

// EncodeMsgpack writes o for the codec.
func (o *Original) EncodeMsgpack(enc *msgpack.Encoder) error {
	b, err := wire.Append(nil, o.write)
	if err != nil {
		return err
	}
	return enc.Encode(msgpack.RawMessage(b))
}

// write writes o with its header sorted, which the codec does only for maps of
// single strings.
func (o *Original) write(w *wire.Writer) {
	f := begin(w)
	f.text("subject", o.Subject)
	f.name("header")
	writeHeader(w, o.Header)
	f.name("data")
	w.Bytes(o.Data)
	f.int("time", o.TimeMS)
	if o.Seq != 0 {
		f.uint("seq", o.Seq)
	}
	f.end()
}

func writeHeader(w *wire.Writer, h map[string][]string) {
	if len(h) == 0 {
		w.Nil()
		return
	}
	names := sortedNames(h, make([]string, 0, 16))
	w.MapLen(len(names))
	for _, name := range names {
		values := h[name]
		w.Text(name)
		w.ListLen(len(values))
		for _, v := range values {
			w.Text(v)
		}
	}
}

// sortedNames appends the names of h to to, which has room for most headers.
func sortedNames[V any](h map[string]V, to []string) []string {
	for name := range h {
		to = append(to, name)
	}
	slices.Sort(to)
	return to
}
