package channels

import (
	"bytes"
	"testing"
)

// What a call says oddly goes out as net/http would have it, or not at all.
func TestWriteRequest_Odd(t *testing.T) {
	const end = "Accept-Encoding: gzip\r\n\r\n"
	for _, tt := range []struct {
		name string
		call Call
		want string // "" where it is refused
	}{
		{"no method", Call{URL: "http://h/"}, "GET / HTTP/1.1\r\nHost: h\r\nUser-Agent: tram\r\n" + end},
		{"an empty port", Call{URL: "http://h:/"}, "GET / HTTP/1.1\r\nHost: h\r\nUser-Agent: tram\r\n" + end},
		{"an address", Call{URL: "http://[::1]:80/"}, "GET / HTTP/1.1\r\nHost: [::1]:80\r\nUser-Agent: tram\r\n" + end},
		{"headers in any order", Call{URL: "http://h/", Header: map[string]string{"x-b": " 2 ", "x-a": "1", "X-C": "3", "accept": "4"}},
			"GET / HTTP/1.1\r\nHost: h\r\nAccept: 4\r\nUser-Agent: tram\r\nX-A: 1\r\nX-B: 2\r\nX-C: 3\r\n" + end},
		{"a header twice", Call{URL: "http://h/", Header: map[string]string{"x-a": "1", "X-A": "1"}},
			"GET / HTTP/1.1\r\nHost: h\r\nUser-Agent: tram\r\nX-A: 1\r\n" + end},
		{"an empty name of us", Call{URL: "http://h/", Header: map[string]string{"User-Agent": ""}}, "GET / HTTP/1.1\r\nHost: h\r\nUser-Agent: tram\r\n" + end},
		{"our name as a secret", Call{URL: "http://h/", Auth: Credential{In: InHeader, Name: "user-agent", Secret: "token"}},
			"GET / HTTP/1.1\r\nHost: h\r\nuser-agent: " + token + "\r\n" + end},
		{"a header without a name", Call{URL: "http://h/", Header: map[string]string{"": "1"}}, ""},
		{"a length of two lines", Call{URL: "http://h/", Header: map[string]string{"Content-Length": "1\r\nX: y"}}, ""},
	} {
		f := &flight{}
		req, err := newRequest(t.Context(), f, testAccount(""), &tt.call)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		var wire bytes.Buffer
		err = writeRequest(&wire, req, f.credential, false)
		if (err == nil) != (tt.want != "") || err == nil && wire.String() != tt.want {
			t.Errorf("%s: wrote %q, %v, want %q", tt.name, &wire, err, tt.want)
		}
	}
}
