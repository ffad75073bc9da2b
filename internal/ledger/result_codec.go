package ledger

import (
	"errors"
	"maps"
	"slices"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// A result is written for each call, so it is written by hand: by reflection it
// took a tenth of all that a dispatcher does. The bytes are the same.

// EncodeMsgpack writes r as its tags say.
func (r *Result) EncodeMsgpack(enc *msgpack.Encoder) error {
	w := fields{enc: enc}
	w.open(7, r.Cursor != "", r.Answer != nil, r.State != "", r.Evidence != "", r.MessageID != "", len(r.Warnings) > 0,
		r.RetryAtMS != 0, r.Planned, r.SilenceMS != 0, r.Next != "", r.Stats != 0, r.Records != 0, r.Parse, r.Dead != "",
		r.Prev != 0, r.Stack != "", r.Trace != "", r.Resolved, r.Format != 0)
	w.uint("seq", r.Seq)
	w.int("call", int64(r.Call))
	w.int("attempt", int64(r.Attempt))
	w.int("step", int64(r.Step))
	w.optionalText("cursor", r.Cursor)
	w.name("request")
	w.add(r.Request.EncodeMsgpack(enc))
	if r.Answer != nil {
		w.name("answer")
		w.answer(r.Answer)
	}
	w.optionalText("state", string(r.State))
	w.name("why")
	w.why(&r.Why)
	w.optionalText("evidence", string(r.Evidence))
	w.int("at", r.AtMS)
	w.optionalText("message_id", r.MessageID)
	if len(r.Warnings) > 0 {
		w.name("warnings")
		w.add(enc.EncodeArrayLen(len(r.Warnings)))
		for _, text := range r.Warnings {
			w.add(enc.EncodeString(text))
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
	return w.err
}

func (w *fields) answer(a *channels.Answer) {
	w.open(2, a.Status != 0, len(a.Header) > 0, len(a.Body) > 0, a.Failure != "", a.Detail != "", a.Written)
	w.optionalInt("status", int64(a.Status))
	if len(a.Header) > 0 {
		w.name("header")
		w.add(w.enc.EncodeMapLen(len(a.Header)))
		for _, name := range slices.Sorted(maps.Keys(a.Header)) {
			w.add(w.enc.EncodeString(name))
			w.add(w.enc.EncodeString(a.Header[name]))
		}
	}
	if len(a.Body) > 0 {
		w.name("body")
		w.add(w.enc.EncodeBytes(a.Body))
	}
	w.optionalText("failure", string(a.Failure))
	w.optionalText("detail", a.Detail)
	w.optionalTrue("written", a.Written)
	w.int("started_ms", a.StartedMS)
	w.int("took_us", a.TookUS)
}

func (w *fields) why(y *events.Why) {
	w.open(0, y.Class != "", y.Reason != "", y.Detail != "", y.HTTPStatus != 0, y.ProviderCode != "", y.ProviderText != "")
	w.optionalText("class", y.Class)
	w.optionalText("reason", y.Reason)
	w.optionalText("detail", y.Detail)
	w.optionalInt("http_status", int64(y.HTTPStatus))
	w.optionalText("provider_code", y.ProviderCode)
	w.optionalText("provider_text", y.ProviderText)
}

// fields writes maps, and keeps the first error.
type fields struct {
	enc *msgpack.Encoder
	err error
}

func (w *fields) add(err error) {
	if err != nil {
		w.err = errors.Join(w.err, err)
	}
}

// open begins a map of so many fields, and of those that are there.
func (w *fields) open(n int, optional ...bool) {
	for _, there := range optional {
		if there {
			n++
		}
	}
	w.add(w.enc.EncodeMapLen(n))
}

func (w *fields) name(name string) { w.add(w.enc.EncodeString(name)) }

func (w *fields) int(name string, v int64) {
	w.name(name)
	w.add(w.enc.EncodeInt(v))
}

func (w *fields) uint(name string, v uint64) {
	w.name(name)
	w.add(w.enc.EncodeUint(v))
}

func (w *fields) optionalInt(name string, v int64) {
	if v != 0 {
		w.int(name, v)
	}
}

func (w *fields) optionalText(name, v string) {
	if v != "" {
		w.name(name)
		w.add(w.enc.EncodeString(v))
	}
}

func (w *fields) optionalTrue(name string, v bool) {
	if v {
		w.name(name)
		w.add(w.enc.EncodeBool(true))
	}
}
