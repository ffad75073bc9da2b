package sandbox

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
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
		inJSON, _ := json.Marshal(map[string]string{"token": v}) // texts always can be
		fmt.Fprintf(&b, "%s\n%s\n%s\n%s\n%s\n%s\n", v, inJSON, url.QueryEscape(v), url.PathEscape(v),
			base64.StdEncoding.EncodeToString([]byte(v)), base64.URLEncoding.EncodeToString([]byte("user:"+v)))
	}
	return b.Bytes()
}
