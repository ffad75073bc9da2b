package channels

import (
	"bytes"
	"errors"
	"net/textproto"
	"slices"

	"golang.org/x/net/http/httpguts"
)

// A field is one header of a request, its name in canonical form.
type field struct{ name, value string }

func (r *request) get(name string) string {
	for _, f := range r.header {
		if f.name == name {
			return f.value
		}
	}
	return ""
}

func (r *request) set(name, value string) {
	for i, f := range r.header {
		if f.name == name {
			r.header[i].value = value
			return
		}
	}
	r.header = append(r.header, field{name, value})
}

func (r *request) del(name string) {
	r.header = slices.DeleteFunc(r.header, func(f field) bool { return f.name == name })
}

// header returns the name of the header that the secret is in, if it is in one.
func (c credential) header() string {
	switch c.In {
	case InBearer:
		return "Authorization"
	case InHeader:
		return c.Name
	default:
		return ""
	}
}

// writeHeaders writes the headers but for those that are ours, and the secret's. It
// refuses what would end a line or be no header at all.
func writeHeaders(w *bytes.Buffer, header []field, secret credential) error {
	for _, f := range header {
		if !isHeader(f.name, f.value) {
			return errors.New("a header is not one")
		}
		if !ours(f.name) {
			writeHeader(w, f.name, "", textproto.TrimString(f.value))
		}
	}
	name, value := secret.header(), secret.secret.Reveal()
	switch {
	case name == "":
		return nil
	case !isHeader(name, value):
		return errors.New("the header of the secret is not one")
	case secret.In == InBearer:
		writeHeader(w, name, "Bearer ", value)
	default:
		writeHeader(w, name, "", value)
	}
	return nil
}

func writeHeader(w *bytes.Buffer, name, scheme, value string) {
	w.WriteString(name)
	w.WriteString(": ")
	w.WriteString(scheme)
	w.WriteString(value)
	w.WriteString("\r\n")
}

func isHeader(name, value string) bool {
	return httpguts.ValidHeaderFieldName(name) && httpguts.ValidHeaderFieldValue(value)
}

// ours reports whether a header is written by what the request is.
func ours(name string) bool {
	switch name {
	case "Host", "Content-Length", "Transfer-Encoding", "Trailer", "Connection":
		return true
	default:
		return false
	}
}
