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
	if len(b) == 0 {
		return bodyFault(ReasonMalformed, "is empty: must be a map")
	}
	type level struct {
		left  uint32 // items still to come, keys counted too
		isMap bool
	}
	var (
		around [maxDepth]level // what the map or list at hand is in
		depth  int
		in            = level{left: 1} // the map or list at hand; the body itself is in one of its own
		owed   uint64 = 1              // items still to come at all depths
		i      int                     // start of the next item
	)
	for {
		if i >= len(b) {
			return bodyFault(ReasonMalformed, "ends in the middle")
		}
		h := wire.ReadHead(b[i:])
		switch {
		case h.Size == 0 && b[i] == wire.Unused:
			return bodyFault(ReasonMalformed, "is not msgpack at byte %d", i)
		case h.Size == 0:
			return bodyFault(ReasonMalformed, "ends in the middle")
		case depth == 0 && h.Kind != wire.Map:
			return bodyFault(ReasonMalformed, "must be a map, not %s", notMap(h.Kind, b))
		case in.isMap && in.left%2 == 0 && h.Kind != wire.Text:
			return bodyFault(ReasonMalformed, "has a map key that is %s at byte %d: keys must be text", h.Kind, i)
		}
		in.left--
		owed--
		i += int(h.Size)
		rest := uint64(len(b) - i)
		switch h.Kind {
		case wire.List, wire.Map:
			items := uint64(h.N)
			if h.Kind == wire.Map {
				items *= 2
			}
			if owed += items; owed > rest {
				return bodyFault(ReasonMalformed, "claims more items than it has bytes")
			}
			if items == 0 {
				break
			}
			if depth == maxDepth {
				return bodyFault(ReasonMalformed, "is nested more than %d levels deep", maxDepth)
			}
			around[depth] = in
			in = level{uint32(items), h.Kind == wire.Map}
			depth++
		default:
			if uint64(h.N) > rest {
				return bodyFault(ReasonMalformed, "claims %d bytes where %d are left", h.N, rest)
			}
			i += int(h.N)
		}
		for in.left == 0 {
			if depth == 0 {
				return trailing(uint64(len(b) - i))
			}
			depth--
			in = around[depth]
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
