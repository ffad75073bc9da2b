package wire

import "encoding/binary"

// Kind is what a msgpack item is. The zero Kind is none.
type Kind uint8

const (
	_ Kind = iota
	Nil
	Bool
	Int
	Float
	Text
	Binary
	Ext
	List
	Map
)

// String says it in the words of errors.
func (k Kind) String() string {
	return [...]string{"nothing", "nil", "true or false", "a number", "a float", "text", "binary", "an extension", "a list", "a map"}[k]
}

// A Head is what stands before the contents of a msgpack item.
type Head struct {
	Kind Kind
	Size uint8  // its own bytes
	N    uint32 // items of a list, pairs of a map, bytes of anything else
}

// Unused is the code that begins no msgpack item.
const Unused = 0xc1

// ReadHead reads the head at the start of b, which is not empty. Its kind is none
// if b begins with [Unused] or ends within the head.
func ReadHead(b []byte) Head {
	h := heads[b[0]]
	if h.Size > 1 {
		h = h.long(b)
	}
	return h
}

// long reads the bytes of length that follow the code.
func (h Head) long(b []byte) Head {
	if len(b) < int(h.Size) {
		return Head{}
	}
	switch h.Size {
	case 2:
		h.N += uint32(b[1])
	case 3:
		h.N += uint32(binary.BigEndian.Uint16(b[1:]))
	case 5:
		n := binary.BigEndian.Uint32(b[1:])
		if h.N += n; h.N < n {
			h.N = n // an extension of 4 GiB: too long either way
		}
	}
	return h
}

// heads are those of all codes. Where bytes of length follow, N is what comes on
// top of it.
var heads = func() [256]Head {
	all := [256]Head{
		0xc0: {Nil, 1, 0},
		0xc2: {Bool, 1, 0},
		0xc3: {Bool, 1, 0},
		0xc4: {Binary, 2, 0},
		0xc5: {Binary, 3, 0},
		0xc6: {Binary, 5, 0},
		0xc7: {Ext, 2, 1},
		0xc8: {Ext, 3, 1},
		0xc9: {Ext, 5, 1},
		0xca: {Float, 1, 4},
		0xcb: {Float, 1, 8},
		0xcc: {Int, 1, 1},
		0xcd: {Int, 1, 2},
		0xce: {Int, 1, 4},
		0xcf: {Int, 1, 8},
		0xd0: {Int, 1, 1},
		0xd1: {Int, 1, 2},
		0xd2: {Int, 1, 4},
		0xd3: {Int, 1, 8},
		0xd4: {Ext, 1, 2},
		0xd5: {Ext, 1, 3},
		0xd6: {Ext, 1, 5},
		0xd7: {Ext, 1, 9},
		0xd8: {Ext, 1, 17},
		0xd9: {Text, 2, 0},
		0xda: {Text, 3, 0},
		0xdb: {Text, 5, 0},
		0xdc: {List, 3, 0},
		0xdd: {List, 5, 0},
		0xde: {Map, 3, 0},
		0xdf: {Map, 5, 0},
	}
	// The others have a number in themselves.
	for n := range uint32(0x80) {
		all[n] = Head{Int, 1, 0}
	}
	for n := range uint32(16) {
		all[0x80+n], all[0x90+n] = Head{Map, 1, n}, Head{List, 1, n}
	}
	for n := range uint32(32) {
		all[0xa0+n], all[0xe0+n] = Head{Text, 1, n}, Head{Int, 1, 0}
	}
	return all
}()
