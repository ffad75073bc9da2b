package events

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
)

// NewID returns a random id of 26 characters.
//
// A producer does better to derive its ids from its own business key, such as
// an order number and what is said about it ([DeterministicID] helps): when it
// publishes again after a crash, the relay then sees the same request and not
// a second one.
func NewID() string { return rand.Text() }

// DeterministicID returns the id that stands for parts: 32 hexadecimal digits
// of a SHA-256 in which each part is preceded by its length, so that ("ab",
// "c") and ("a", "bc") differ. The parts cannot be read back from it unless
// they can be guessed.
func DeterministicID(parts ...string) string {
	h := sha256.New()
	var n [8]byte
	for _, p := range parts {
		binary.BigEndian.PutUint64(n[:], uint64(len(p)))
		h.Write(n[:])
		h.Write([]byte(p))
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
