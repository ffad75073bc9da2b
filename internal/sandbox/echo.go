package sandbox

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"strings"
)

// echo writes what a careless provider or proxy puts into its error pages: the
// request's URL, its headers, and each value of them in the encodings that
// such pages use.
func echo(r *http.Request) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s\n", r.Method, r.URL)
	_ = r.Header.Write(&b) // into memory
	var values []string
	for _, v := range r.URL.Query() {
		values = append(values, v...)
	}
	for _, v := range r.Header {
		values = append(values, v...)
	}
	for _, v := range values {
		b.WriteString(strings.Join(forms(v), "\n") + "\n")
	}
	return b.Bytes()
}

// forms writes v in the encodings of such pages, and in several around each other.
func forms(v string) []string {
	_, rest, _ := strings.Cut(v, " ") // without the scheme
	inJSON := quoted(map[string]string{"token": v})
	return []string{
		v, inJSON, quoted(inJSON), quoted(quoted(inJSON)), strings.ReplaceAll(quoted(inJSON), "/", `\/`), codes(v, `\u%04x`), codes(v, `\\u%04x`),
		html.EscapeString(v), html.EscapeString(inJSON), codes(v, "&#%d;"), codes(v, "&#x%X;"),
		base64.StdEncoding.EncodeToString([]byte(v)), base64.URLEncoding.EncodeToString([]byte("user:" + v)),
		url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(v))), hex.EncodeToString([]byte(rest)), strings.ToUpper(rest), strings.ToLower(rest),
		url.PathEscape(v), html.EscapeString(url.PathEscape(quoted(v))),
		url.QueryEscape(v), url.QueryEscape(url.QueryEscape(v)), url.QueryEscape(url.QueryEscape(url.QueryEscape(v))),
	}
}

// quoted is v as JSON.
func quoted(v any) string {
	b, _ := json.Marshal(v) // texts always can be
	return string(b)
}

// codes writes each character of v by its number.
func codes(v, format string) string {
	var b strings.Builder
	for _, c := range v {
		fmt.Fprintf(&b, format, c)
	}
	return b.String()
}
