package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/tramhq/tram/pkg/events"
)

// EncodeIntents returns g as it is stored in INTENTS.
func EncodeIntents(g *IntentGroup) ([]byte, error) { return encode("intents", g) }

// DecodeIntents is the reverse of [EncodeIntents].
func DecodeIntents(data []byte) (*IntentGroup, error) { return decode[IntentGroup]("intents", data) }

// EncodeResult returns r as it is stored in RESULTS. Equal results give equal
// bytes.
func EncodeResult(r *Result) ([]byte, error) { return encode("result", r) }

// DecodeResult is the reverse of [EncodeResult].
func DecodeResult(data []byte) (*Result, error) { return decode[Result]("result", data) }

// EncodeDeadLetter returns d as it is stored in DEAD. Equal letters give equal
// bytes.
func EncodeDeadLetter(d *DeadLetter) ([]byte, error) { return encode("dead letter", d) }

// DecodeDeadLetter is the reverse of [EncodeDeadLetter].
func DecodeDeadLetter(data []byte) (*DeadLetter, error) {
	return decode[DeadLetter]("dead letter", data)
}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// maxPooled keeps one huge record from pinning its buffer for ever.
const maxPooled = 64 << 10

func encode(what string, v any) ([]byte, error) {
	buf := buffers.Get().(*bytes.Buffer)
	enc := msgpack.GetEncoder()
	defer func() {
		msgpack.PutEncoder(enc)
		if buf.Cap() <= maxPooled {
			buf.Reset()
			buffers.Put(buf)
		}
	}()
	enc.Reset(buf)
	enc.UseCompactInts(true)
	enc.SetSortMapKeys(true)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("encode %s: %w", what, err)
	}
	return bytes.Clone(buf.Bytes()), nil
}

// decode checks the shape of data first: the codec believes the lengths that
// stand in it, and a handful of bytes could ask for all memory.
func decode[T any](what string, data []byte) (*T, error) {
	if err := events.CheckShape(data, len(data)); err != nil {
		return nil, fmt.Errorf("decode %s: %w", what, err)
	}
	v := new(T)
	if err := msgpack.Unmarshal(data, v); err != nil {
		return nil, fmt.Errorf("decode %s: %w", what, err)
	}
	if f, ok := any(v).(formatted); ok {
		if err := CheckFormat(f.format()); err != nil {
			return nil, fmt.Errorf("decode %s: %w", what, err)
		}
	}
	return v, nil
}

// EncodeMsgpack writes o with its header sorted, which the codec does only for
// maps of single strings.
func (o *Original) EncodeMsgpack(enc *msgpack.Encoder) error {
	return errors.Join(
		enc.EncodeMapLen(4),
		enc.EncodeString("subject"), enc.EncodeString(o.Subject),
		enc.EncodeString("header"), encodeHeader(enc, o.Header),
		enc.EncodeString("data"), enc.EncodeBytes(o.Data),
		enc.EncodeString("time"), enc.EncodeInt(o.TimeMS),
	)
}

func encodeHeader(enc *msgpack.Encoder, h map[string][]string) error {
	if len(h) == 0 {
		return enc.EncodeNil()
	}
	names := make([]string, 0, 16) // more than nearly all have
	for name := range h {
		names = append(names, name)
	}
	slices.Sort(names)
	err := enc.EncodeMapLen(len(h))
	for _, name := range names {
		err = errors.Join(err, enc.EncodeString(name), enc.EncodeArrayLen(len(h[name])))
		for _, v := range h[name] {
			err = errors.Join(err, enc.EncodeString(v))
		}
	}
	return err
}

// DecodeMsgpack reads what EncodeMsgpack wrote. The header by reflection would
// be the dearest part of reading a result.
func (o *Original) DecodeMsgpack(dec *msgpack.Decoder) error {
	return eachField(dec, func(name []byte) (err error) {
		switch string(name) {
		case "subject":
			o.Subject, err = dec.DecodeString()
		case "header":
			o.Header, err = decodeHeader(dec)
		case "data":
			o.Data, err = dec.DecodeBytes()
		case "time":
			o.TimeMS, err = dec.DecodeInt64()
		default:
			err = dec.Skip()
		}
		return err
	})
}

func decodeHeader(dec *msgpack.Decoder) (map[string][]string, error) {
	n, err := dec.DecodeMapLen()
	if err != nil || n <= 0 {
		return nil, err
	}
	h := make(map[string][]string, n)
	all := make([]string, 0, n) // one array holds the values of all names
	for range n {
		name, err := dec.DecodeString()
		if err != nil {
			return nil, err
		}
		values, err := dec.DecodeArrayLen()
		if err != nil {
			return nil, err
		}
		from := len(all)
		for range max(values, 0) {
			v, err := dec.DecodeString()
			if err != nil {
				return nil, err
			}
			all = append(all, v)
		}
		h[name] = all[from:len(all):len(all)]
	}
	return h, nil
}
