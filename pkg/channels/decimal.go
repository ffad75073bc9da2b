package channels

import (
	"bytes"
	"encoding/json"
	"math/big"
	"strconv"
	"strings"
)

// maxExponent bounds the digits that an exponent can make, and those before it.
const maxExponent = 400

// Decimal reads a JSON number, or a string that holds one, as decimal text
// without an exponent: 42, "42" and 4.2e1 are 42. Not one digit is lost, and
// none is added to a number that had no exponent. null is nil. It reports
// false for anything else.
func Decimal(raw json.RawMessage) (*string, bool) {
	s := string(bytes.TrimSpace(raw))
	if s == "null" {
		return nil, true
	}
	if strings.HasPrefix(s, `"`) {
		var inner string
		if json.Unmarshal(raw, &inner) != nil {
			return nil, false
		}
		s = strings.TrimSpace(inner)
	}
	if !json.Valid([]byte(s)) || strings.Trim(s, "+-.0123456789eE") != "" {
		return nil, false
	}
	i := strings.IndexAny(s, "eE")
	if i < 0 {
		return &s, true
	}
	exponent, err := strconv.Atoi(s[i+1:])
	if err != nil || exponent > maxExponent || exponent < -maxExponent || i > maxExponent {
		return nil, false
	}
	n, ok := new(big.Rat).SetString(s)
	if !ok {
		return nil, false
	}
	_, fraction, _ := strings.Cut(s[:i], ".")
	s = n.FloatString(max(0, len(fraction)-exponent))
	return &s, true
}

// Integer reads what [Decimal] reads if it is a whole number: 1.7e3 and 42.0
// are, as some languages write them.
func Integer(raw json.RawMessage) (int64, bool) {
	s, ok := Decimal(raw)
	if !ok || s == nil {
		return 0, false
	}
	whole, fraction, _ := strings.Cut(*s, ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	return n, err == nil && strings.Trim(fraction, "0") == ""
}
