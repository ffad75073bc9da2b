package channels

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"log/slog"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func scrubberOf(secret string) *scrubber { return &scrubber{formsOf(secret)} }

func TestScrubber(t *testing.T) {
	secret := `pa/ss+wo=rd&"<é>`
	c := newTestClient(t, ClientConfig{})
	s := c.scrubber(&Account{Secrets: map[string]Secret{"token": Secret(secret)}})
	inJSON, _ := json.Marshal(secret)
	for name, form := range map[string]string{
		"plain":             secret,
		"query":             url.QueryEscape(secret),
		"query, small hex":  strings.ToLower(url.QueryEscape(secret)),
		"path":              url.PathEscape(secret),
		"JSON":              string(inJSON),
		"JSON as it is":     `"pa/ss+wo=rd&\"<é>"`,
		"JSON of PHP":       `"pa\/ss+wo=rd&\"<é>"`,
		"a URL in a URL":    url.QueryEscape(url.QueryEscape(secret)),
		"HTML":              html.EscapeString(secret),
		"base64":            base64.StdEncoding.EncodeToString([]byte(secret)),
		"base64 for URLs":   base64.RawURLEncoding.EncodeToString([]byte(secret)),
		"base64 of Bearer":  base64.StdEncoding.EncodeToString([]byte("Bearer " + secret)),
		"base64 of a login": base64.StdEncoding.EncodeToString([]byte("user:" + secret + "\n")),
	} {
		if got := s.text("<<" + form + ">>"); !strings.Contains(got, redacted) || strings.Contains(got, form) {
			t.Errorf("%s: %s", name, got)
		}
	}
	if got := s.text("passwords are not secret"); got != "passwords are not secret" {
		t.Errorf("harmless text became %q", got)
	}
}

// Every encoder has its own idea of what is to be escaped: .NET +, Gson = and '.
func TestScrubber_escapedInJSON(t *testing.T) {
	s := scrubberOf("pa/ss+wo=rd'")
	for body, want := range map[string]string{
		`{"a":"<pa/ss\u002Bwo=rd'>","b":"\u00e1"}`:    `{"a":"<` + redacted + `>","b":"\u00e1"}`,
		`{"a":"pa/ss+wo\u003drd\u0027"}`:              `{"a":"` + redacted + `"}`,
		`{"a":"\u0070\u0061\/ss+wo=rd'\u0022"}`:       `{"a":"` + redacted + `\u0022"}`,
		`{"a":"\\\\pa/ss\u002bwo=rd'\\","b":"\u003"}`: `{"a":"\\\\` + redacted + `\\","b":"\u003"}`,
		`{"a":"pa/ss\\u002bwo=rd'","b":"\""}`:         `{"a":"` + redacted + `","b":"\""}`,
		`{"a":"\u003d\u1ea5\u00e1\n"}`:                `{"a":"\u003d\u1ea5\u00e1\n"}`, // as it came
		`\u00`:                                        `\u00`,
	} {
		if got := string(s.bytes([]byte(body))); got != want {
			t.Errorf("%s became %s, want %s", body, got, want)
		}
	}
}

// An answer may break off anywhere, an escape included, and have the secret whole
// before that.
func TestScrubber_brokenInJSON(t *testing.T) {
	s := scrubberOf("secret+token=/0123<456789")
	for _, form := range []string{
		`secret\u002Btoken\u003d\/0123\u003c456789`,
		`secret\\u002Btoken\\u003d\\\/0123\\\\u003c456789`,
		`secret&amp;#43;token%253d&amp;#x2F;0123&lt;456789`,
	} {
		for _, before := range []string{`{"a":"`, `{"b":"` + form + `","a":"`} {
			want := strings.ReplaceAll(before, form, redacted) + redacted
			for n := strings.Index(form, "oken"); n < len(form); n++ {
				if got := string(s.bytes([]byte(before + form[:n]))); got != want {
					t.Errorf("%s%s became %s, want %s", before, form[:n], got, want)
				}
			}
		}
	}
}

func TestScrubber_broken(t *testing.T) {
	const secret = "secret+token/0123456789"
	s := scrubberOf(secret)
	for _, form := range []string{secret, url.QueryEscape(secret), base64.StdEncoding.EncodeToString([]byte(secret))} {
		least := minTail + 2*strings.Count(form, "%2B") // which is one character
		for n := least; n < len(form)-2; n++ {          // base64's last characters depend on what follows
			if got := string(s.bytes([]byte("<<" + form[:n]))); got != "<<"+redacted {
				t.Errorf("%s: got %s", form[:n], got)
			}
		}
	}
	for _, whole := range []string{"", "secret", "secret+token", "secret+tok en", "secret+token and more", "secret+tsecret+t"} {
		want := strings.TrimSuffix(whole, "secret+t")
		if want != whole {
			want += redacted
		}
		if whole == "secret+token" {
			want = redacted
		}
		if got := string(s.bytes([]byte(whole))); got != want {
			t.Errorf("%q: got %q, want %q", whole, got, want)
		}
	}
}

func TestScrubber_AnySecretInAnyForm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.StringMatching(`[ -~]{8,40}`).Draw(t, "secret")
		before, after := rapid.StringMatching(`[ -~]{0,9}`).Draw(t, "before"), rapid.StringMatching(`[ -~]{0,9}`).Draw(t, "after")
		s := scrubberOf(secret)
		for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret)} {
			if got := s.text(before + form + after); !strings.Contains(got, redacted) {
				t.Fatalf("%q stays in %q", secret, got)
			}
		}
		for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.RawURLEncoding} {
			if got := s.text(enc.EncodeToString([]byte(before + secret + after))); !strings.Contains(got, redacted) {
				t.Fatalf("base64 of %q stays in %q", secret, got)
			}
		}
	})
}

func TestScrubber_SeveralSecrets(t *testing.T) {
	c := newTestClient(t, ClientConfig{})
	s := c.scrubber(&Account{Secrets: map[string]Secret{"user": "abcdef", "page": "abcdefghi", "tiny": "ok"}})
	if got := s.text("abcdefghi, abcdef, ok"); got != redacted+", "+redacted+", ok" {
		t.Errorf("got %s", got)
	}
	// What is known of a secret stays with the secret, so a new one is found.
	a := &Account{Secrets: map[string]Secret{"token": "first-secret"}}
	c.scrubber(a)
	a.Secrets["token"] = "second-secret"
	if got := c.scrubber(a).text("second-secret"); got != redacted {
		t.Errorf("after a rotation: %s", got)
	}
}

func TestSecret_PrintsAsNothing(t *testing.T) {
	a := Account{Secrets: map[string]Secret{"token": "s3cr3t"}}
	inJSON, _ := json.Marshal(a)
	var logged strings.Builder
	slog.New(slog.NewTextHandler(&logged, nil)).Info("x", "secret", a.Secrets["token"], "account", a)
	for _, text := range []string{fmt.Sprintf("%v %+v %#v %s %q %x", a, a, a, a, a, a), string(inJSON), logged.String()} {
		if strings.Contains(text, "s3cr3t") || strings.Contains(text, hex.EncodeToString([]byte("s3cr3t"))) {
			t.Errorf("it prints as %s", text)
		}
	}
}

// Secrets come and go for as long as a process lives.
func TestScrubbers_Bounded(t *testing.T) {
	all := new(scrubbers)
	for i := range 3*maxScrubbers + 1 {
		all.of(Secret([]byte{byte(i >> 16), byte(i >> 8), byte(i)}))
	}
	n := 0
	for range all.known.Range {
		n++
	}
	if n == 0 || n > maxScrubbers {
		t.Errorf("%d are kept, at most %d may be", n, maxScrubbers)
	}
}
