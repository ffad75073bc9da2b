package channels

import (
	"bytes"
	"html"
	"strings"
	"unicode/utf8"
)

// layers is how many escapings around each other are undone: of a URL in JSON that
// is the text of an HTML page, say, and what looks like one in the secret itself.
const layers = 4

// mayEscape reports whether there is a character that an escape begins with.
func mayEscape(b []byte) bool {
	return bytes.IndexByte(b, '\\') >= 0 || bytes.IndexByte(b, '%') >= 0 || bytes.IndexByte(b, '&') >= 0
}

// undo returns b without its outermost layer of escapes, those of JSON, HTML and
// URLs alike, or nil where it has none. If at is not nil it says where each byte of
// b and its end came from, and undo returns that of the text that it returns.
func undo(b []byte, at []int32) (out []byte, from []int32) {
	if !mayEscape(b) {
		return nil, nil
	}
	done := 0
	for i := 0; i < len(b); i++ {
		if c := b[i]; c != '\\' && c != '%' && c != '&' {
			continue
		}
		var buf [utf8.UTFMax]byte
		plain, n := unescape(buf[:0], b[i:])
		if n == 0 {
			continue
		}
		if out == nil {
			out = make([]byte, 0, len(b))
			from = make([]int32, 0, len(at))
		}
		out = append(append(out, b[done:i]...), plain...)
		if at != nil {
			from = append(from, at[done:i]...)
			for range plain {
				from = append(from, at[i])
			}
		}
		done = i + n
		i = done - 1
	}
	if out == nil {
		return nil, nil
	}
	if at != nil {
		from = append(from, at[done:]...)
	}
	return append(out, b[done:]...), from
}

// maxEntity is the length of the longest entity that counts, such as &CloseCurlyQuote;
const maxEntity = 32

// unescape appends what the escape stands for that b begins with, and returns the
// escape's length; 0 where there is none. It leaves what stands for a control
// character in JSON: no secret has one.
func unescape(to, b []byte) ([]byte, int) {
	switch b[0] {
	case '%':
		if r := unhex(b, 1, 3); r >= 0 {
			return append(to, byte(r)), 3
		}
	case '\\':
		switch {
		case len(b) == 1:
		case b[1] == 'u', b[1] == 'U': // in capitals with all of the text
			if r := unhex(b, 2, 6); r >= 0 {
				return utf8.AppendRune(to, r), 6
			}
		case b[1] == 'x': // in a script
			if r := unhex(b, 2, 4); r >= 0 {
				return utf8.AppendRune(to, r), 4
			}
		case strings.IndexByte(`\/"'`, b[1]) >= 0:
			return append(to, b[1]), 2
		}
	case '&':
		end := 1 + bytes.IndexAny(b[1:min(len(b), maxEntity)], ";&")
		if end > 1 && b[end] == ';' {
			entity := string(b[:end+1])
			if plain := html.UnescapeString(entity); plain != entity {
				return append(to, plain...), end + 1
			}
		}
	}
	return to, 0
}

// unhex reads the hexadecimal digits of b between two indexes, and returns -1 where
// there is something else.
func unhex(b []byte, from, to int) (r rune) {
	if len(b) < to {
		return -1
	}
	for _, c := range b[from:to] {
		digit := strings.IndexByte("0123456789abcdef", c|' ')
		if digit < 0 {
			return -1
		}
		r = r<<4 | rune(digit)
	}
	return r
}
