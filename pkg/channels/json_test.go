package channels

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestDecodeJSON(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for in, ok := range map[string]bool{
		`{"a":1}`:                              true,
		" {\"a\":1}\r\n\t ":                    true,
		`{"a":1}{"a":2}`:                       false,
		`{"a":1} x`:                            false,
		``:                                     false,
		`{"a":`:                                false,
		`<html>`:                               false,
		deep(64):                               true,
		deep(65):                               false,
		strings.Repeat("[", 1_000_000):         false,
		strings.Repeat(`{"a":`, 1_000_000):     false,
		`"` + strings.Repeat("[", 1000) + `"`:  true,
		`"\"` + strings.Repeat("{", 99) + `"`:  true,
		`"\\` + `",` + strings.Repeat("{", 99): false,
	} {
		var v any
		if err := DecodeJSON([]byte(in), &v); (err == nil) != ok {
			t.Errorf("%.40q: %v", in, err)
		}
	}
	var v any
	if err := DecodeJSON([]byte(`{"id":9007199254740993}`), &v); err != nil || v.(map[string]any)["id"] != json.Number("9007199254740993") {
		t.Errorf("a large id became %v, %v", v, err)
	}
	var typed struct {
		A int `json:"a"`
	}
	if err := DecodeJSON([]byte(`{"a":"0981234567"}`), &typed); err == nil || strings.Contains(err.Error(), "098") {
		t.Errorf("a wrong type: %v", err)
	}
}

// Whatever way a type is read, it is read as a decoder would, what does not fit
// and what is broken included.
func TestDecodeJSON_AsADecoder(t *testing.T) {
	type tree struct {
		A    string           `json:"a"`
		B    *int             `json:"b"`
		List []map[string]int `json:"list"`
		Next *tree            `json:"next"`
	}
	type loose struct {
		A    any               `json:"a"`
		Next map[string][3]any `json:"next"`
	}
	for _, in := range []string{
		`{"a":"x","b":1}`, `{"a":"x","b":1} <br>`, `{"a":"x"}{"a":"y"}`, `{"a":"x","b":"y"}`, `{"a":"x","b":"y"}]`, `{"a":"x",`, ``, ` `, `null`, `5`, `5 6`, `"x"`,
		`{"list":[{"x":1},{"y":2}]}`, `{"list":[{"x":1},{"y":"z"}]}`, `{"next":{"next":{"a":"x","b":7}}}`, `{"next":{"a":[1,2.50,"z"]}}`,
		`{"a":12345678901234567890}`, `{"a":"x","a":"y"}`, `[1,2]`, `{"A":"x"}`, "{\"a\":\"\xff\"}", `{"a":"\u1ea1\ud800"}`, "\ufeff{}",
	} {
		for _, v := range []func() any{
			func() any { return new(tree) }, func() any { return new(loose) }, func() any { return new(any) },
			func() any { return new(map[string]json.RawMessage) }, func() any { return new([]json.Number) }, func() any { return new(*tree) },
		} {
			got, want := v(), v()
			err := DecodeJSON([]byte(in), got)
			dec := json.NewDecoder(strings.NewReader(in))
			dec.UseNumber()
			wantErr := misfit(dec.Decode(want))
			if wantErr == nil && strings.TrimSpace(in[dec.InputOffset():]) != "" {
				wantErr = errors.New("the answer goes on behind its JSON")
			}
			if fmt.Sprint(err) != fmt.Sprint(wantErr) || !reflect.DeepEqual(got, want) {
				t.Errorf("%q as %T: %v, %v, want %v, %v", in, got, got, err, want, wantErr)
			}
		}
	}
	if err := DecodeJSON([]byte(`{}`), nil); err == nil {
		t.Error("it reads into nothing")
	}
}

func TestEncodeJSON(t *testing.T) {
	if b, err := EncodeJSON(map[string]string{"b": "<a&b>\n", "a": "\u2028"}); err != nil || string(b) != `{"a":"\u2028","b":"<a&b>\n"}` {
		t.Errorf("%s, %v", b, err)
	}
	if b, err := EncodeJSON(func() {}); err == nil {
		t.Errorf("a function is %s", b)
	}
}

func TestDecimal(t *testing.T) {
	for in, want := range map[string]string{
		`0`: "0", `-0`: "-0", `42`: "42", `"42"`: "42", `" 42 "`: "42", `1.50`: "1.50", `-3.0`: "-3.0",
		`1e3`: "1000", `25e-2`: "0.25", `1.25E1`: "12.5", `-1.5e+2`: "-150", `1e-3`: "0.001",
		`12345678901234567890.123456789`: "12345678901234567890.123456789",
		`123456789012345678901e1`:        "1234567890123456789010",
	} {
		if got, ok := Decimal(json.RawMessage(in)); !ok || got == nil || *got != want {
			t.Errorf("%s: %v %t, want %s", in, got, ok, want)
		}
	}
	if got, ok := Decimal(json.RawMessage("null")); !ok || got != nil {
		t.Errorf("null: %v %t", got, ok)
	}
	for _, in := range []string{``, `""`, `"x"`, `"null"`, `true`, `{}`, `[]`, `[1]`, `+1`, `01`, `.5`, `"1 2"`, `"0x1f"`, `"NaN"`, `"1_000"`, `1e401`, `1e-401`, `1e999999999999`, `"1`} {
		if got, ok := Decimal(json.RawMessage(in)); ok {
			t.Errorf("%s passes as %v", in, got)
		}
	}
}

func TestInteger(t *testing.T) {
	for in, want := range map[string]int64{
		`0`: 0, `-7`: -7, `" 42 "`: 42, `42.00`: 42, `1.701059874844E12`: 1701059874844, `"1701059874844.0"`: 1701059874844,
	} {
		if got, ok := Integer(json.RawMessage(in)); !ok || got != want {
			t.Errorf("%s: %d %t, want %d", in, got, ok, want)
		}
	}
	for _, in := range []string{``, `null`, `""`, `"x"`, `true`, `[]`, `0.5`, `15e-1`, `9223372036854775808`, `1e300`} {
		if got, ok := Integer(json.RawMessage(in)); ok {
			t.Errorf("%s passes as %d", in, got)
		}
	}
}

// What had no exponent keeps every digit and gets none.
func TestDecimal_KeepsNumbersAsTheyStand(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.StringMatching(`-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,40})?`).Draw(t, "number")
		for _, raw := range []string{in, `"` + in + `"`} {
			if got, ok := Decimal(json.RawMessage(raw)); !ok || *got != in {
				t.Fatalf("%s became %v", raw, got)
			}
		}
	})
}

func TestPointer(t *testing.T) {
	if got := Pointer("data", "0", "a/b~c"); got != "/data/0/a~1b~0c" {
		t.Error(got)
	}
}

func FuzzDecodeJSON(f *testing.F) {
	for _, s := range []string{`{"a":[1,"x",null]}`, `[[[[`, `"\u0000"`, `1e5`, "\xff"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var v any
		if err := DecodeJSON(data, &v); err == nil && !json.Valid(data) {
			t.Errorf("%q is taken for JSON", data)
		}
		_, _ = Decimal(data)
	})
}
