package channels

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// escapings are what text goes through on its way into other text.
var escapings = map[string]func(string) string{
	"JSON":          func(s string) string { return jsonOf(s) },
	"JSON of PHP":   func(s string) string { return strings.ReplaceAll(jsonOf(s), "/", `\/`) },
	"JSON in codes": func(s string) string { return eachByte(s, `\u%04x`) },
	"script":        func(s string) string { return eachByte(s, `\x%02X`) },
	"HTML":          html.EscapeString,
	"HTML decimals": func(s string) string { return eachByte(s, "&#%d;") },
	"HTML codes":    func(s string) string { return eachByte(s, "&#x%X;") },
	"query":         url.QueryEscape,
	"path":          url.PathEscape,
	"URL, all":      func(s string) string { return eachByte(s, "%%%02x") },
}

func jsonOf(s string) string {
	b, _ := json.Marshal(s)
	return string(b[1 : len(b)-1])
}

func eachByte(s, format string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, format, s[i])
	}
	return b.String()
}

// Whatever text went through, up to three times, nothing of it stays, and what is
// around it does as it came.
func TestScrubber_layers(t *testing.T) {
	names := slices.Sorted(maps.Keys(escapings))
	for _, secret := range []string{"tok3nABCDEFGH", `a/b+c=d/e f=="<x>'?1`, `50%41&amp;\u0041"\\x`} {
		s := scrubberOf(secret)
		for _, first := range names {
			for _, second := range names {
				for _, third := range names {
					around := escapings[third](escapings[second](escapings[first]("{\"t\":\"")))
					form := escapings[third](escapings[second](escapings[first](secret)))
					if got := s.text(around + form + around); got != around+redacted+around {
						t.Fatalf("%s as %s, %s, %s: %s became %s", secret, first, second, third, form, got)
					}
				}
			}
		}
	}
}

func TestScrubber_otherForms(t *testing.T) {
	const secret = "tok3n/ABCDEFGH+ijklmnop?>"
	coded := base64.StdEncoding.EncodeToString([]byte("Bearer " + secret))
	s := scrubberOf(secret)
	for _, form := range []string{
		hex.EncodeToString([]byte(secret)), strings.ToUpper(hex.EncodeToString([]byte(secret))),
		strings.ToLower(secret), strings.ToUpper(secret), strings.ToLower(url.QueryEscape(secret)), strings.ToUpper(jsonOf(secret)),
		strings.ReplaceAll(coded, "/", `\/`), url.QueryEscape(coded), strings.ReplaceAll(coded, "/", "&#x2F;"),
	} {
		if got := s.text("<<" + form + ">>"); !strings.Contains(got, redacted) || strings.Contains(got, form) {
			t.Errorf("%s became %s", form, got)
		}
	}
	if got := scrubberOf("0 abcdefgh").text("%00%20abcdefgh"); got != "%0"+redacted {
		t.Errorf("behind half an escape: %s", got)
	}
	if got := scrubberOf("Short1").text("SHORT1 short1"); got != "SHORT1 short1" {
		t.Errorf("a short secret is found in %q", got)
	}
}

// The value of an Authorization header has more in it that is secret than itself.
func TestScrubber_schemes(t *testing.T) {
	basic := func(login string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(login)) }
	for _, tt := range []struct {
		secret string
		found  []string
		not    []string
	}{
		{"Bearer abcdefghijkl", []string{"Bearer abcdefghijkl", "abcdefghijkl", "ABCDEFGHIJKL", url.QueryEscape("x=abcdefghijkl")}, []string{"Bearer"}},
		{"Token token=abc/defghijkl", []string{"token=abc/defghijkl", "abc/defghijkl", `abc\/defghijkl`, "abc%2Fdefghijkl"}, []string{"Token token"}},
		{`Token token="abcdef", app="shop17"`, []string{"abcdef", "shop17"}, []string{"token"}},
		{basic("user:pass/word"), []string{"dXNlcjpwYXNzL3dvcmQ", "user:pass/word", "user%3Apass%2Fword", "pass/word", `pass\/word`}, []string{"Basic", "user"}},
		{basic("k3y-of-17:"), []string{"k3y-of-17:", "k3y-of-17"}, []string{"Basic"}},
		{basic("k3y-of-17:X"), []string{"k3y-of-17:X", "k3y-of-17"}, []string{"X"}},
		{"Key abc", []string{"Key abc"}, []string{"abc", "Key"}},
		{"a/b no-scheme", nil, []string{"no-scheme"}},
	} {
		s := scrubberOf(tt.secret)
		for _, text := range tt.found {
			if got := s.text("<" + text + ">"); !strings.Contains(got, redacted) || strings.Contains(got, text) {
				t.Errorf("%s: %s became %s", tt.secret, text, got)
			}
		}
		for _, text := range tt.not {
			if got := s.text("<" + text + ">"); got != "<"+text+">" {
				t.Errorf("%s: %s became %s", tt.secret, text, got)
			}
		}
	}
}
