package ledger

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/vmihailenco/msgpack/v5"
)

// tagged has the fields of a result and none of its methods, so that the codec
// goes by their tags.
type tagged Result

// What is written and read by hand must be what the tags say, with any fields
// set, and one that was added to the struct alone must not go missing.
func TestResultIsWhatItsTagsSay(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 2000 {
		r := new(Result)
		fill(rng, reflect.ValueOf(r).Elem(), []float64{0, 0.2, 0.8, 1}[i%4])
		got, err := EncodeResult(r)
		if err != nil {
			t.Fatal(err)
		}
		var want bytes.Buffer
		enc := msgpack.NewEncoder(&want)
		enc.UseCompactInts(true)
		enc.SetSortMapKeys(true)
		if err := enc.Encode((*tagged)(r)); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want.Bytes()) {
			t.Fatalf("%+v\nis written as %q\nits tags say   %q", r, got, want.Bytes())
		}
		r.Format = min(r.Format, Format)
		if got, err = EncodeResult(r); err != nil {
			t.Fatal(err)
		}
		read, err := DecodeResult(got)
		var tags tagged
		if err := errors.Join(err, msgpack.Unmarshal(got, &tags)); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(read, (*Result)(&tags)) {
			t.Fatalf("%q\nis read as   %+v\nits tags say %+v", got, read, &tags)
		}
	}
}

func TestIntentsAreWhatTheirTagsSay(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 3))
	for i := range 2000 {
		g := new(IntentGroup)
		fill(rng, reflect.ValueOf(g).Elem(), []float64{0, 0.2, 0.8, 1}[i%4])
		g.Format = min(g.Format, Format)
		got, err := EncodeIntents(g)
		if err != nil {
			t.Fatal(err)
		}
		var want bytes.Buffer
		enc := msgpack.NewEncoder(&want)
		enc.UseCompactInts(true)
		if err := enc.Encode(g); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want.Bytes()) {
			t.Fatalf("%+v\nis written as %q\nits tags say   %q", g, got, want.Bytes())
		}
		read, err := DecodeIntents(got)
		var tags IntentGroup
		if err := errors.Join(err, msgpack.Unmarshal(got, &tags)); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(read, &tags) {
			t.Fatalf("%q\nis read as   %+v\nits tags say %+v", got, read, &tags)
		}
	}
}

// fill sets each field with the given likelihood.
func fill(rng *rand.Rand, v reflect.Value, likely float64) {
	if v.Kind() != reflect.Struct && rng.Float64() >= likely {
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for _, field := range v.Fields() {
			fill(rng, field, likely)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(rng, v.Elem(), likely)
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range rng.IntN(4) {
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			fill(rng, key, 1)
			fill(rng, value, 1)
			v.SetMapIndex(key, value)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), rng.IntN(4), 4))
		for i := range v.Len() {
			fill(rng, v.Index(i), 1)
		}
	case reflect.String:
		v.SetString(strings.Repeat("x", 1+rng.IntN(40)))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(rng.Int64() >> rng.IntN(60))
	case reflect.Uint64:
		v.SetUint(rng.Uint64() >> rng.IntN(60))
	case reflect.Uint8:
		v.SetUint(rng.Uint64N(256))
	default:
		panic("no way to fill " + v.Kind().String())
	}
}
