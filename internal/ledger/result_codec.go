package ledger

import (
	"slices"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/tramhq/tram/internal/wire"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// write writes r as its tags say.
func (r *Result) write(to *wire.Writer) {
	w := fields{to}
	w.open(7, r.Cursor != "", r.Answer != nil, r.State != "", r.Evidence != "", r.MessageID != "", len(r.Warnings) > 0,
		r.RetryAtMS != 0, r.Planned, r.SilenceMS != 0, r.Next != "", r.Stats != 0, r.Records != 0, r.Parse, r.Dead != "",
		r.Prev != 0, r.Stack != "", r.Trace != "", r.Resolved, r.Format != 0)
	w.uint("seq", r.Seq)
	w.int("call", int64(r.Call))
	w.int("attempt", int64(r.Attempt))
	w.int("step", int64(r.Step))
	w.optionalText("cursor", r.Cursor)
	w.Text("request")
	r.Request.write(to)
	if r.Answer != nil {
		w.Text("answer")
		w.answer(r.Answer)
	}
	w.optionalText("state", string(r.State))
	w.Text("why")
	w.why(&r.Why)
	w.optionalText("evidence", string(r.Evidence))
	w.int("at", r.AtMS)
	w.optionalText("message_id", r.MessageID)
	if len(r.Warnings) > 0 {
		w.Text("warnings")
		w.ListLen(len(r.Warnings))
		for _, text := range r.Warnings {
			w.Text(text)
		}
	}
	w.optionalInt("retry_at", r.RetryAtMS)
	w.optionalTrue("planned", r.Planned)
	w.optionalInt("silence", r.SilenceMS)
	w.optionalText("next", r.Next)
	w.optionalInt("stats", int64(r.Stats))
	w.optionalInt("records", int64(r.Records))
	w.optionalTrue("parse", r.Parse)
	w.optionalText("dead", string(r.Dead))
	if r.Prev != 0 {
		w.uint("prev", r.Prev)
	}
	w.optionalText("stack", r.Stack)
	w.optionalText("trace", r.Trace)
	w.optionalTrue("resolved", r.Resolved)
	w.optionalInt("format", int64(r.Format))
}

func (w fields) answer(a *channels.Answer) {
	w.open(2, a.Status != 0, len(a.Header) > 0, len(a.Body) > 0, a.Failure != "", a.Detail != "", a.Written)
	w.optionalInt("status", int64(a.Status))
	if len(a.Header) > 0 {
		w.Text("header")
		names := sortedNames(a.Header, make([]string, 0, 16))
		w.MapLen(len(names))
		for _, name := range names {
			w.Text(name)
			w.Text(a.Header[name])
		}
	}
	if len(a.Body) > 0 {
		w.Text("body")
		w.Bytes(a.Body)
	}
	w.optionalText("failure", string(a.Failure))
	w.optionalText("detail", a.Detail)
	w.optionalTrue("written", a.Written)
	w.int("started_ms", a.StartedMS)
	w.int("took_us", a.TookUS)
}

func (w fields) why(y *events.Why) {
	w.open(0, y.Class != "", y.Reason != "", y.Detail != "", y.HTTPStatus != 0, y.ProviderCode != "", y.ProviderText != "")
	w.optionalText("class", y.Class)
	w.optionalText("reason", y.Reason)
	w.optionalText("detail", y.Detail)
	w.optionalInt("http_status", int64(y.HTTPStatus))
	w.optionalText("provider_code", y.ProviderCode)
	w.optionalText("provider_text", y.ProviderText)
}

// EncodeMsgpack writes o for the codec.
func (o *Original) EncodeMsgpack(enc *msgpack.Encoder) error {
	b, err := wire.Write(o.write)
	if err != nil {
		return err
	}
	return enc.Encode(msgpack.RawMessage(b))
}

// write writes o with its header sorted, which the codec does only for maps of
// single strings.
func (o *Original) write(to *wire.Writer) {
	w := fields{to}
	w.open(4)
	w.text("subject", o.Subject)
	w.Text("header")
	w.header(o.Header)
	w.Text("data")
	w.Bytes(o.Data)
	w.int("time", o.TimeMS)
}

func (w fields) header(h map[string][]string) {
	if len(h) == 0 {
		w.Nil()
		return
	}
	names := sortedNames(h, make([]string, 0, 16))
	w.MapLen(len(names))
	for _, name := range names {
		w.Text(name)
		w.ListLen(len(h[name]))
		for _, v := range h[name] {
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
