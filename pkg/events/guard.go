package events

import (
	"fmt"

	"github.com/tramhq/tram/internal/wire"
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
		h := wire.ReadHead(b[i:])
		if h.Size == 0 && b[i] == wire.Unused {
			return bodyFault(ReasonMalformed, "is not msgpack at byte %d", i)
		}
		if h.Size == 0 {
			return bodyFault(ReasonMalformed, "ends in the middle")
		}
		if depth == 0 && h.Kind != wire.Map {
			return bodyFault(ReasonMalformed, "must be a map, not %s", notMap(h.Kind, b))
		}
		if depth > 0 {
			in := &open[depth-1]
			if in.isMap == 1 && in.left%2 == 0 && h.Kind != wire.Text {
				return bodyFault(ReasonMalformed, "has a map key that is %s at byte %d: keys must be text", h.Kind, i)
			}
			in.left--
		}
		owed--
		i += int(h.Size)
		rest := uint64(len(b) - i)
		switch h.Kind {
		case wire.List, wire.Map:
			items, isMap := uint64(h.N), uint32(0)
			if h.Kind == wire.Map {
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
			if uint64(h.N) > rest {
				return bodyFault(ReasonMalformed, "claims %d bytes where %d are left", h.N, rest)
			}
			i += int(h.N)
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
func notMap(kind wire.Kind, b []byte) string {
	if b[0] == '{' {
		return "JSON: encode it as msgpack"
	}
	return kind.String()
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
