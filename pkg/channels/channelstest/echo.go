package channelstest

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// echo answers with everything that the request held, in every form.
func echo(status int) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		secret := secretOf(r)
		w.Header().Set("X-Request-Id", secret+" "+codes(secret, `\u%04x`)+" "+url.QueryEscape(url.QueryEscape(secret)))
		w.Header().Set("Location", "/strayed?"+url.QueryEscape(secret))
		w.WriteHeader(status)
		_, _ = io.WriteString(w, r.URL.String()+"\n"+r.Header.Get("Authorization")+"\n")
		for _, form := range echoForms(secret) {
			_, _ = io.WriteString(w, form+"\n")
		}
	}
}

// echoForms writes a secret as it stands in what providers say about it.
func echoForms(secret string) []string {
	quoted := func(s string) string {
		b, _ := json.Marshal(s)
		return string(b)
	}
	coded := base64.StdEncoding.EncodeToString([]byte(secret))
	return []string{
		secret, quoted(secret), quoted(quoted(secret)), quoted(quoted(quoted(secret))), strings.ReplaceAll(quoted(quoted(secret)), "/", `\/`),
		codes(secret, `\u%04x`), codes(secret, `\\u%04x`),
		html.EscapeString(secret), html.EscapeString(quoted(secret)), codes(secret, "&#%d;"), codes(secret, "&#x%X;"),
		url.PathEscape(secret), url.QueryEscape(secret), url.QueryEscape(url.QueryEscape(url.QueryEscape(secret))),
		coded, base64.URLEncoding.EncodeToString([]byte("Bearer " + secret)), base64.StdEncoding.EncodeToString([]byte("user:" + secret + ":x")),
		url.QueryEscape(coded), hex.EncodeToString([]byte(secret)), strings.ToLower(secret), strings.ToUpper(secret),
	}
}

// codes writes each character of s by its number.
func codes(s, format string) string {
	var b strings.Builder
	for _, c := range s {
		fmt.Fprintf(&b, format, c)
	}
	return b.String()
}

// bare leaves out what the escapes of single characters begin with, which Go and
// JSON escape once more.
var bare = strings.NewReplacer(`\u0026`, "", `\`, "", "&", "")

// leaked returns what of text gives a secret away, or "".
func leaked(text string) string {
	forms := []string{canaryCore, strings.ToLower(canaryCore), strings.ToUpper(canaryCore), hex.EncodeToString([]byte(canaryCore)),
		codes(canaryCore, "u%04x"), codes(canaryCore, "#%d;"), codes(canaryCore, "#x%X;")}
	for shift := range 3 {
		coded := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("\x00", shift) + canaryCore))
		forms = append(forms, coded[4:len(coded)-4])
	}
	for _, text := range []string{text, bare.Replace(text)} {
		for _, form := range forms {
			if i := strings.Index(text, form); i >= 0 {
				return text[max(0, i-40):min(len(text), i+40)]
			}
		}
	}
	return ""
}
