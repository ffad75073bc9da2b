package ledger

import (
	"github.com/vmihailenco/msgpack/v5"
	"github.com/vmihailenco/msgpack/v5/msgpcode"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// A result is read for each call, so it is read by hand, too.

// DecodeMsgpack reads a map as r's tags say. What it does not know it passes by.
func (r *Result) DecodeMsgpack(dec *msgpack.Decoder) error {
	return eachField(dec, func(name []byte) (err error) {
		switch string(name) {
		case "seq":
			r.Seq, err = dec.DecodeUint64()
		case "call":
			r.Call, err = dec.DecodeInt()
		case "attempt":
			r.Attempt, err = dec.DecodeInt()
		case "step":
			r.Step, err = dec.DecodeInt()
		case "cursor":
			r.Cursor, err = dec.DecodeString()
		case "request":
			err = r.Request.DecodeMsgpack(dec)
		case "answer":
			r.Answer, err = decodeAnswer(dec)
		case "state":
			err = decodeText(dec, &r.State)
		case "why":
			err = decodeWhy(dec, &r.Why)
		case "evidence":
			err = decodeText(dec, &r.Evidence)
		case "at":
			r.AtMS, err = dec.DecodeInt64()
		case "message_id":
			r.MessageID, err = dec.DecodeString()
		case "warnings":
			err = dec.Decode(&r.Warnings)
		case "retry_at":
			r.RetryAtMS, err = dec.DecodeInt64()
		case "planned":
			r.Planned, err = dec.DecodeBool()
		case "silence":
			r.SilenceMS, err = dec.DecodeInt64()
		case "next":
			r.Next, err = dec.DecodeString()
		case "stats":
			r.Stats, err = dec.DecodeInt()
		case "records":
			r.Records, err = dec.DecodeInt()
		case "parse":
			r.Parse, err = dec.DecodeBool()
		case "dead":
			err = decodeText(dec, &r.Dead)
		case "prev":
			r.Prev, err = dec.DecodeUint64()
		case "stack":
			r.Stack, err = dec.DecodeString()
		case "trace":
			r.Trace, err = dec.DecodeString()
		case "resolved":
			r.Resolved, err = dec.DecodeBool()
		case "format":
			r.Format, err = dec.DecodeInt()
		default:
			err = dec.Skip()
		}
		return err
	})
}

func decodeAnswer(dec *msgpack.Decoder) (*channels.Answer, error) {
	if c, err := dec.PeekCode(); err != nil {
		return nil, err
	} else if c == msgpcode.Nil {
		return nil, dec.DecodeNil()
	}
	a := new(channels.Answer)
	return a, eachField(dec, func(name []byte) (err error) {
		switch string(name) {
		case "status":
			a.Status, err = dec.DecodeInt()
		case "header":
			a.Header, err = decodeTexts(dec)
		case "body":
			a.Body, err = dec.DecodeBytes()
		case "failure":
			err = decodeText(dec, &a.Failure)
		case "detail":
			a.Detail, err = dec.DecodeString()
		case "written":
			a.Written, err = dec.DecodeBool()
		case "started_ms":
			a.StartedMS, err = dec.DecodeInt64()
		case "took_us":
			a.TookUS, err = dec.DecodeInt64()
		default:
			err = dec.Skip()
		}
		return err
	})
}

func decodeWhy(dec *msgpack.Decoder, y *events.Why) error {
	return eachField(dec, func(name []byte) (err error) {
		switch string(name) {
		case "class":
			y.Class, err = dec.DecodeString()
		case "reason":
			y.Reason, err = dec.DecodeString()
		case "detail":
			y.Detail, err = dec.DecodeString()
		case "http_status":
			y.HTTPStatus, err = dec.DecodeInt()
		case "provider_code":
			y.ProviderCode, err = dec.DecodeString()
		case "provider_text":
			y.ProviderText, err = dec.DecodeString()
		default:
			err = dec.Skip()
		}
		return err
	})
}

// eachField reads a map, nil being an empty one: read reads the value of each
// name. The name is its own only until it reads.
func eachField(dec *msgpack.Decoder, read func(name []byte) error) error {
	n, err := dec.DecodeMapLen()
	if err != nil {
		return err
	}
	var short [32]byte // for names without a string for each
	for range max(n, 0) {
		size, err := dec.DecodeBytesLen()
		if err != nil {
			return err
		}
		name := short[:]
		if size > len(short) {
			name = make([]byte, size)
		}
		name = name[:max(size, 0)]
		if err := dec.ReadFull(name); err != nil {
			return err
		}
		if err := read(name); err != nil {
			return err
		}
	}
	return nil
}

func decodeText[S ~string](dec *msgpack.Decoder, to *S) error {
	s, err := dec.DecodeString()
	*to = S(s)
	return err
}

func decodeTexts(dec *msgpack.Decoder) (map[string]string, error) {
	n, err := dec.DecodeMapLen()
	if err != nil || n < 0 {
		return nil, err
	}
	m := make(map[string]string, n)
	for range n {
		name, err := dec.DecodeString()
		if err != nil {
			return nil, err
		}
		if m[name], err = dec.DecodeString(); err != nil {
			return nil, err
		}
	}
	return m, nil
}
