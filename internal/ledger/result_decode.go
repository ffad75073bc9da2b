package ledger

import (
	"github.com/vmihailenco/msgpack/v5"

	"github.com/tramhq/tram/internal/wire"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// read reads a map as r's tags say. What it does not know it passes by.
func (r *Result) read(d *wire.Reader) error {
	for range d.MapLen() {
		switch string(d.Bytes()) {
		case "seq":
			r.Seq = d.Uint()
		case "call":
			r.Call = int(d.Int())
		case "attempt":
			r.Attempt = int(d.Int())
		case "step":
			r.Step = int(d.Int())
		case "cursor":
			r.Cursor = d.Text()
		case "request":
			r.Request.read(d)
		case "answer":
			r.Answer = readAnswer(d)
		case "state":
			r.State = events.State(d.Text())
		case "why":
			readWhy(d, &r.Why)
		case "evidence":
			r.Evidence = events.Evidence(d.Text())
		case "at":
			r.AtMS = d.Int()
		case "message_id":
			r.MessageID = d.Text()
		case "warnings":
			r.Warnings = readList(d, readText)
		case "retry_at":
			r.RetryAtMS = d.Int()
		case "planned":
			r.Planned = d.Bool()
		case "silence":
			r.SilenceMS = d.Int()
		case "next":
			r.Next = d.Text()
		case "stats":
			r.Stats = int(d.Int())
		case "records":
			r.Records = int(d.Int())
		case "parse":
			r.Parse = d.Bool()
		case "dead":
			r.Dead = DeadGroup(d.Text())
		case "prev":
			r.Prev = d.Uint()
		case "stack":
			r.Stack = d.Text()
		case "trace":
			r.Trace = d.Text()
		case "resolved":
			r.Resolved = d.Bool()
		case "format":
			r.Format = int(d.Int())
		default:
			d.Skip()
		}
	}
	return d.Err()
}

func readAnswer(d *wire.Reader) *channels.Answer {
	if d.Head().Kind == wire.Nil {
		d.Skip()
		return nil
	}
	a := new(channels.Answer)
	for range d.MapLen() {
		switch string(d.Bytes()) {
		case "status":
			a.Status = int(d.Int())
		case "header":
			a.Header = readTexts(d)
		case "body":
			a.Body = d.Bytes()
		case "failure":
			a.Failure = channels.Failure(d.Text())
		case "detail":
			a.Detail = d.Text()
		case "written":
			a.Written = d.Bool()
		case "started_ms":
			a.StartedMS = d.Int()
		case "took_us":
			a.TookUS = d.Int()
		default:
			d.Skip()
		}
	}
	return a
}

func readWhy(d *wire.Reader, y *events.Why) {
	for range d.MapLen() {
		switch string(d.Bytes()) {
		case "class":
			y.Class = d.Text()
		case "reason":
			y.Reason = d.Text()
		case "detail":
			y.Detail = d.Text()
		case "http_status":
			y.HTTPStatus = int(d.Int())
		case "provider_code":
			y.ProviderCode = d.Text()
		case "provider_text":
			y.ProviderText = d.Text()
		default:
			d.Skip()
		}
	}
}

// DecodeMsgpack reads o for the codec.
func (o *Original) DecodeMsgpack(dec *msgpack.Decoder) error {
	raw, err := dec.DecodeRaw()
	if err != nil {
		return err
	}
	d := wire.NewReader(raw)
	o.read(&d)
	return d.Err()
}

func (o *Original) read(d *wire.Reader) {
	for range d.MapLen() {
		switch string(d.Bytes()) {
		case "subject":
			o.Subject = d.Text()
		case "header":
			o.Header = readHeader(d)
		case "data":
			o.Data = d.Bytes()
		case "time":
			o.TimeMS = d.Int()
		case "seq":
			o.Seq = d.Uint()
		default:
			d.Skip()
		}
	}
}

// readHeader reads a header whose texts share one string, and whose values one
// array.
func readHeader(d *wire.Reader) map[string][]string {
	d.Share()
	n := d.MapLen()
	if n == 0 {
		return nil
	}
	h := make(map[string][]string, n)
	all := make([]string, 0, n)
	for range n {
		name, from := d.Text(), len(all)
		for range d.ListLen() {
			all = append(all, d.Text())
		}
		h[name] = all[from:len(all):len(all)]
	}
	return h
}

// readTexts reads a map whose texts share one string.
func readTexts(d *wire.Reader) map[string]string {
	if d.Head().Kind == wire.Nil {
		d.Skip()
		return nil
	}
	d.Share()
	n := d.MapLen()
	m := make(map[string]string, n)
	for range n {
		name := d.Text()
		m[name] = d.Text()
	}
	return m
}

func readText(to *string, d *wire.Reader) { *to = d.Text() }
