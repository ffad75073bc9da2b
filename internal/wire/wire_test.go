package wire_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/vmihailenco/msgpack/v5"
	"pgregory.net/rapid"

	"github.com/tramhq/tram/internal/wire"
)

// Any item that is read as anything is read as the codec reads it, with the same
// error when it is something else, and what comes after it is read all the same.
func TestReader_ReadsAsTheCodec(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b bytes.Buffer
		item(t, msgpack.NewEncoder(&b), 0)
		data := append(b.Bytes(), 0x2a)
		for what, read := range map[string]struct {
			codec func(*msgpack.Decoder) (any, error)
			ours  func(*wire.Reader) any
		}{
			"int":    {func(d *msgpack.Decoder) (any, error) { return d.DecodeInt64() }, func(r *wire.Reader) any { return r.Int() }},
			"uint":   {func(d *msgpack.Decoder) (any, error) { return d.DecodeUint64() }, func(r *wire.Reader) any { return r.Uint() }},
			"bool":   {func(d *msgpack.Decoder) (any, error) { return d.DecodeBool() }, func(r *wire.Reader) any { return r.Bool() }},
			"text":   {func(d *msgpack.Decoder) (any, error) { return d.DecodeString() }, func(r *wire.Reader) any { return r.Text() }},
			"shared": {func(d *msgpack.Decoder) (any, error) { return d.DecodeString() }, func(r *wire.Reader) any { r.Share(); return r.Text() }},
			"bytes":  {func(d *msgpack.Decoder) (any, error) { return d.DecodeBytes() }, func(r *wire.Reader) any { return r.Bytes() }},
			"map":    {func(d *msgpack.Decoder) (any, error) { n, err := d.DecodeMapLen(); return max(n, 0), err }, func(r *wire.Reader) any { return r.MapLen() }},
			"list":   {func(d *msgpack.Decoder) (any, error) { n, err := d.DecodeArrayLen(); return max(n, 0), err }, func(r *wire.Reader) any { return r.ListLen() }},
		} {
			r := wire.NewReader(data)
			got := read.ours(&r)
			want, err := read.codec(msgpack.NewDecoder(bytes.NewReader(data)))
			if fmt.Sprintf("%#v", got) != fmt.Sprintf("%#v", want) || fmt.Sprint(r.Err()) != fmt.Sprint(err) {
				t.Fatalf("%x as %s is %#v, error %v; the codec says %#v, error %v", data, what, got, r.Err(), want, err)
			}
			if err == nil && (what == "map" || what == "list") && got != 0 {
				continue // with what is in it
			}
			if next := r.Int(); next != 0x2a {
				t.Fatalf("%x as %s: then comes %d", data, what, next)
			}
		}
	})
}

// The next record does not overwrite the one before, however large they are.
func TestAppend_SharesNoMemory(t *testing.T) {
	for _, n := range []int{100, 70_000, 300_000} {
		write := func(letter string) []byte {
			b, err := wire.Append(nil, func(w *wire.Writer) { w.Bytes(bytes.Repeat([]byte(letter), n)) })
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		first := write("a")
		want := bytes.Clone(first)
		if write("b"); !bytes.Equal(first, want) {
			t.Errorf("%d bytes: another record stands there now", n)
		}
	}
}

// What is not written by the codec is written as it would.
func TestWriter_WritesAsTheCodec(t *testing.T) {
	for _, n := range []int{0, 1, 15, 16, 31, 32, 255, 256, 70_000} {
		text := strings.Repeat("x", n)
		got, err := wire.Append([]byte("before"), func(w *wire.Writer) {
			w.Text(text)
			at := w.BeginMap()
			for range n {
				w.Text("name")
				w.Nil()
			}
			w.EndMap(at, n)
			w.Int(1)
		})
		if err != nil {
			t.Fatal(err)
		}
		var want bytes.Buffer
		want.WriteString("before")
		enc := msgpack.NewEncoder(&want)
		err = errors.Join(enc.EncodeString(text), enc.EncodeMapLen(n))
		for range n {
			err = errors.Join(err, enc.EncodeString("name"), enc.EncodeNil())
		}
		if err = errors.Join(err, enc.EncodeInt(1)); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want.Bytes()) {
			t.Errorf("%d bytes and pairs: %d bytes are written, the codec writes %d", n, len(got), want.Len())
		}
	}
}

func TestWriter_Fails(t *testing.T) {
	first := errors.New("first")
	if _, err := wire.Append(nil, func(w *wire.Writer) { w.Fail(first); w.Fail(errors.New("second")) }); err != first {
		t.Errorf("error %v", err)
	}
	if b, err := wire.Append(nil, func(w *wire.Writer) { w.Bool(true) }); err != nil || !bytes.Equal(b, []byte{0xc3}) {
		t.Errorf("then comes %x, error %v", b, err)
	}
}

// item writes an item of any kind but an extension, in any of its forms.
func item(t *rapid.T, enc *msgpack.Encoder, depth int) {
	n := rapid.Int64().Draw(t, "number")
	forms := []func() error{
		enc.EncodeNil,
		func() error { return enc.EncodeBool(n%2 == 0) },
		func() error { return enc.EncodeInt(n) },
		func() error { return enc.EncodeInt8(int8(n)) },
		func() error { return enc.EncodeInt16(int16(n)) },
		func() error { return enc.EncodeInt32(int32(n)) },
		func() error { return enc.EncodeInt64(n) },
		func() error { return enc.EncodeUint8(uint8(n)) },
		func() error { return enc.EncodeUint16(uint16(n)) },
		func() error { return enc.EncodeUint32(uint32(n)) },
		func() error { return enc.EncodeUint64(uint64(n)) },
		func() error { return enc.EncodeFloat32(float32(n)) },
		func() error { return enc.EncodeFloat64(float64(n)) },
		func() error { return enc.EncodeString(text(t)) },
		func() error { return enc.EncodeBytes([]byte(text(t))) },
		func() error { return items(t, enc, depth, enc.EncodeArrayLen, 1) },
		func() error { return items(t, enc, depth, enc.EncodeMapLen, 2) },
	}
	if err := rapid.SampledFrom(forms).Draw(t, "form")(); err != nil {
		t.Fatal(err)
	}
}

func items(t *rapid.T, enc *msgpack.Encoder, depth int, open func(int) error, each int) error {
	n := rapid.SampledFrom([]int{0, 1, 15, 16}[:max(4-2*depth, 1)]).Draw(t, "items")
	if err := open(n); err != nil {
		return err
	}
	for range n * each {
		item(t, enc, depth+1)
	}
	return nil
}

func text(t *rapid.T) string {
	n := rapid.SampledFrom([]int{0, 1, 31, 32, 255, 256, 65_535, 65_536}).Draw(t, "bytes")
	return string(bytes.Repeat([]byte("x"), n))
}
