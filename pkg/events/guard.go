package events

import (
	"encoding/binary"
	"fmt"
)

// MaxBody is the largest body of an event, in bytes.
const MaxBody = 256 << 10

// maxDepth bounds how deep maps and lists may be nested, the body itself being
// the first level.
const maxDepth = 32

// CheckShape reports whether b, of at most limit bytes, is exactly one msgpack
// map with text keys in which nothing claims more than there is. It must pass
// before any decoder sees b: a claimed length makes the codec allocate it, and
// nesting makes it recurse, so that five bytes are enough to kill a process. It
// allocates nothing unless it fails. The error is a [*DecodeError].
func CheckShape(b []byte, limit int) error {
	if len(b) > limit {
		return bodyFault(ReasonOversize, "has %d bytes, at most %d are allowed", len(b), limit)
	}
	var (
		open  [maxDepth]struct{ left, isMap uint32 } // items still to come, keys counted too
		depth int
		owed  uint64 = 1 // items still to come at all depths
		i     int        // start of the next item
	)
	if len(b) == 0 {
		return bodyFault(ReasonMalformed, "is empty: must be a map")
	}
	for {
		if i >= len(b) {
			return bodyFault(ReasonMalformed, "ends in the middle")
		}
		h, ok := readHead(b[i:])
		if !ok && b[i] == unusedCode {
			return bodyFault(ReasonMalformed, "is not msgpack at byte %d", i)
		}
		if !ok {
			return bodyFault(ReasonMalformed, "ends in the middle")
		}
		if depth == 0 && h.kind != headMap {
			return bodyFault(ReasonMalformed, "must be a map, not %s", notMap(h.kind, b))
		}
		if depth > 0 {
			in := &open[depth-1]
			if in.isMap == 1 && in.left%2 == 0 && h.kind != headText {
				return bodyFault(ReasonMalformed, "has a map key that is %s at byte %d: keys must be text", h.kind, i)
			}
			in.left--
		}
		owed--
		i += h.size
		rest := uint64(len(b) - i)
		switch h.kind {
		case headList, headMap:
			items, isMap := uint64(h.n), uint32(0)
			if h.kind == headMap {
				items, isMap = 2*items, 1
			}
			if owed += items; owed > rest {
				return bodyFault(ReasonMalformed, "claims more items than it has bytes")
			}
			if items > 0 {
				if depth == maxDepth {
					return bodyFault(ReasonMalformed, "is nested more than %d levels deep", maxDepth)
				}
				open[depth].left, open[depth].isMap = uint32(items), isMap
				depth++
			} else if depth == 0 {
				return trailing(rest)
			}
		default:
			if uint64(h.n) > rest {
				return bodyFault(ReasonMalformed, "claims %d bytes where %d are left", h.n, rest)
			}
			i += int(h.n)
		}
		for open[depth-1].left == 0 {
			if depth--; depth == 0 {
				return trailing(uint64(len(b) - i))
			}
		}
	}
}

// notMap says what stands in the place of the map. JSON is what most first tries
// publish, and as msgpack it would be the number 123.
func notMap(kind headKind, b []byte) string {
	if b[0] == '{' {
		return "JSON: encode it as msgpack"
	}
	return string(kind)
}

func trailing(n uint64) error {
	if n == 0 {
		return nil
	}
	return bodyFault(ReasonMalformed, "has %d bytes after its end", n)
}

func bodyFault(reason, format string, args ...any) error {
	return &DecodeError{reason, []Fault{{"body", fmt.Sprintf(format, args...)}}}
}

// headKind is what a msgpack item is, in the words of errors.
type headKind string

const (
	headNil    headKind = "nil"
	headBool   headKind = "true or false"
	headInt    headKind = "a number"
	headFloat  headKind = "a float"
	headText   headKind = "text"
	headBinary headKind = "binary"
	headExt    headKind = "an extension"
	headList   headKind = "a list"
	headMap    headKind = "a map"
)

// A head is what stands before the contents of a msgpack item.
type head struct {
	kind headKind
	size int    // its own bytes
	n    uint32 // items of a list, pairs of a map, bytes of anything else
}

// unusedCode is the one that begins no msgpack item.
const unusedCode = 0xc1

// readHead reads the head at the start of b, which is not empty. It fails on
// the unused code, and when b ends within the head.
func readHead(b []byte) (h head, ok bool) {
	c := b[0]
	switch {
	case c <= 0x7f || c >= 0xe0:
		return head{headInt, 1, 0}, true
	case c <= 0x8f:
		return head{headMap, 1, uint32(c & 0x0f)}, true
	case c <= 0x9f:
		return head{headList, 1, uint32(c & 0x0f)}, true
	case c <= 0xbf:
		return head{headText, 1, uint32(c & 0x1f)}, true
	}
	f := heads[c]
	h = head{kind: f.kind, size: 1 + f.width, n: f.n}
	if f.kind == "" || len(b) < h.size {
		return h, false
	}
	switch f.width {
	case 1:
		h.n += uint32(b[1])
	case 2:
		h.n += uint32(binary.BigEndian.Uint16(b[1:]))
	case 4:
		n := binary.BigEndian.Uint32(b[1:])
		if h.n += n; h.n < n {
			h.n = n // an extension of 4 GiB: too long either way
		}
	}
	return h, true
}

// heads describes the codes from 0xc0 on that have no number in themselves: how
// many bytes of length follow, and how many bytes of contents come on top of it.
var heads = [0xe0]struct {
	kind  headKind
	width int
	n     uint32
}{
	0xc0: {headNil, 0, 0},
	0xc2: {headBool, 0, 0},
	0xc3: {headBool, 0, 0},
	0xc4: {headBinary, 1, 0},
	0xc5: {headBinary, 2, 0},
	0xc6: {headBinary, 4, 0},
	0xc7: {headExt, 1, 1},
	0xc8: {headExt, 2, 1},
	0xc9: {headExt, 4, 1},
	0xca: {headFloat, 0, 4},
	0xcb: {headFloat, 0, 8},
	0xcc: {headInt, 0, 1},
	0xcd: {headInt, 0, 2},
	0xce: {headInt, 0, 4},
	0xcf: {headInt, 0, 8},
	0xd0: {headInt, 0, 1},
	0xd1: {headInt, 0, 2},
	0xd2: {headInt, 0, 4},
	0xd3: {headInt, 0, 8},
	0xd4: {headExt, 0, 2},
	0xd5: {headExt, 0, 3},
	0xd6: {headExt, 0, 5},
	0xd7: {headExt, 0, 9},
	0xd8: {headExt, 0, 17},
	0xd9: {headText, 1, 0},
	0xda: {headText, 2, 0},
	0xdb: {headText, 4, 0},
	0xdc: {headList, 2, 0},
	0xdd: {headList, 4, 0},
	0xde: {headMap, 2, 0},
	0xdf: {headMap, 4, 0},
}
