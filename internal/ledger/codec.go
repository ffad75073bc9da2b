package ledger

import (
	"bytes"
	"fmt"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/tramhq/tram/internal/wire"
	"github.com/tramhq/tram/pkg/events"
)

// Intents and results are written and read for each call, so that is done by
// hand: by the codec's reflection it took a tenth of all that a dispatcher does.
// The bytes are the same. Dead letters are few.

// EncodeIntents returns g as it is stored in INTENTS.
func EncodeIntents(g *IntentGroup) ([]byte, error) { return wire.Append(nil, g.write) }

// DecodeIntents is the reverse of [EncodeIntents].
func DecodeIntents(data []byte) (*IntentGroup, error) {
	return decode("intents", data, (*IntentGroup).read)
}

// EncodeResult returns r as it is stored in RESULTS. Equal results give equal
// bytes.
func EncodeResult(r *Result) ([]byte, error) { return AppendResult(nil, r) }

// AppendResult appends to to what [EncodeResult] returns.
func AppendResult(to []byte, r *Result) ([]byte, error) { return wire.Append(to, r.write) }

// DecodeResult is the reverse of [EncodeResult]. The result's request and answer
// keep data, of which their bytes are part: it must not change any more.
func DecodeResult(data []byte) (*Result, error) { return decode("result", data, (*Result).read) }

// letterRest is about what a letter has beside the body of its request.
const letterRest = 2 << 10

// EncodeDeadLetter returns d as it is stored in DEAD. Equal letters give equal
// bytes.
func EncodeDeadLetter(d *DeadLetter) ([]byte, error) {
	var buf bytes.Buffer
	buf.Grow(len(d.Request.Data) + letterRest)
	enc := msgpack.NewEncoder(&buf)
	enc.UseCompactInts(true)
	enc.SetSortMapKeys(true)
	if err := enc.Encode(d); err != nil {
		return nil, fmt.Errorf("encode dead letter: %w", err)
	}
	return buf.Bytes(), nil
}

// DecodeDeadLetter is the reverse of [EncodeDeadLetter].
func DecodeDeadLetter(data []byte) (*DeadLetter, error) {
	return decode("dead letter", data, func(d *DeadLetter, _ *wire.Reader) error { return msgpack.Unmarshal(data, d) })
}

// decode checks the shape of data first: whoever reads it believes the lengths
// that stand in it, and a handful of bytes could ask for all memory.
func decode[T any, P interface {
	*T
	formatted
}](what string, data []byte, read func(P, *wire.Reader) error) (P, error) {
	v := P(new(T))
	err := events.CheckShape(data, len(data))
	if err == nil {
		r := wire.NewReader(data)
		err = read(v, &r)
	}
	if err == nil {
		err = CheckFormat(v.format())
	}
	if err != nil {
		return nil, fmt.Errorf("decode %s: %w", what, err)
	}
	return v, nil
}
