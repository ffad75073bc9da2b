package events

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/vmihailenco/msgpack/v5"
	"pgregory.net/rapid"
)

// What msgpack writes passes, whatever it is.
func TestCheckShape_TakesWhatIsWellFormed(t *testing.T) {
	value := rapid.Deferred(func() *rapid.Generator[any] { return anyValue(0) })
	rapid.Check(t, func(t *rapid.T) {
		doc := rapid.MapOfN(rapid.String(), value, 0, 20).Draw(t, "doc")
		b, err := msgpack.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		if err := CheckShape(b, MaxBody); err != nil {
			t.Fatalf("%x: %v", b, err)
		}
		if len(b) > 1 {
			if cut := b[:rapid.IntRange(0, len(b)-1).Draw(t, "cut")]; CheckShape(cut, MaxBody) == nil {
				t.Fatalf("%x passes, cut off from %x", cut, b)
			}
		}
		if long := append(b, 0xc0); CheckShape(long, MaxBody) == nil {
			t.Fatalf("%x passes", long)
		}
	})
}

func anyValue(depth int) *rapid.Generator[any] {
	gens := []*rapid.Generator[any]{
		rapid.Just[any](nil), rapid.Bool().AsAny(), rapid.Int64().AsAny(), rapid.Uint64().AsAny(), rapid.Float64().AsAny(), rapid.Float32().AsAny(),
		rapid.String().AsAny(), rapid.StringN(30, 300, -1).AsAny(), rapid.SliceOf(rapid.Byte()).AsAny(),
	}
	if depth < 5 {
		next := anyValue(depth + 1)
		gens = append(gens, rapid.SliceOfN(next, 0, 20).AsAny(), rapid.MapOfN(rapid.String(), next, 0, 20).AsAny())
	}
	return rapid.OneOf(gens...)
}

func TestCheckShape_Limits(t *testing.T) {
	nested := func(levels int) []byte { // the body is the first level
		return append(append([]byte{0x81, 0xa1, 'x'}, bytes.Repeat([]byte{0x91}, levels-1)...), 0xc0)
	}
	sized := func(n int) []byte {
		b := append([]byte{0x81, 0xa1, 'x', 0xc6}, make([]byte, n-4)...)
		binary.BigEndian.PutUint32(b[4:], uint32(n-8))
		return b
	}
	for name, c := range map[string]struct {
		body []byte
		want string
	}{
		"empty map":         {[]byte{0x80}, ""},
		"32 levels":         {nested(maxDepth), ""},
		"33 levels":         {nested(maxDepth + 1), "nested more than 32 levels"},
		"32 levels, empty":  {append([]byte{0x81, 0xa1, 'x'}, append(bytes.Repeat([]byte{0x91}, maxDepth-1), 0x90)...), ""},
		"256 KiB":           {sized(MaxBody), ""},
		"256 KiB and 1":     {sized(MaxBody + 1), "at most 262144"},
		"ext of 4 GiB":      {[]byte{0x81, 0xa1, 'x', 0xc9, 0xff, 0xff, 0xff, 0xff, 1}, "claims"},
		"fixed extensions":  {append([]byte{0x81, 0xa1, 'x', 0xd8, 1}, make([]byte, 16)...), ""},
		"items of siblings": {[]byte{0x82, 0xa1, 'x', 0xdc, 0, 2, 0xc0, 0xc0}, "more items"},
	} {
		t.Run(name, func(t *testing.T) {
			err := CheckShape(c.body, MaxBody)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestCheckShape_DoesNotAllocate(t *testing.T) {
	m, err := EncodeRequest(fullSend())
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { _ = CheckShape(m.Data, MaxBody) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
