package config

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
)

// Size is a number of bytes, written as 512, 64KiB, 8MiB or 2GiB.
type Size int64

var sizeUnits = []struct {
	name  string
	bytes int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}}

// UnmarshalText reads what MarshalText writes.
func (s *Size) UnmarshalText(text []byte) error {
	digits, unit := string(text), int64(1)
	for _, u := range sizeUnits {
		if rest, ok := strings.CutSuffix(digits, u.name); ok {
			digits, unit = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n > math.MaxInt64/unit || n < math.MinInt64/unit {
		return fmt.Errorf("must be a number of bytes such as 1048576, 64KiB, 8MiB or 2GiB, it is %q", text)
	}
	*s = Size(n * unit)
	return nil
}

// String returns s in the largest unit that divides it.
func (s Size) String() string {
	for _, u := range sizeUnits {
		if s != 0 && int64(s)%u.bytes == 0 {
			return strconv.FormatInt(int64(s)/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// MarshalText is String.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Networks are ranges of addresses, written with commas between them:
// 10.1.0.0/16, 192.168.7.1.
type Networks struct{ Prefixes []netip.Prefix }

// UnmarshalText reads what MarshalText writes.
func (n *Networks) UnmarshalText(text []byte) error {
	n.Prefixes = nil
	if len(text) == 0 { // as MarshalText writes none
		return nil
	}
	for part := range strings.SplitSeq(string(text), ",") {
		part = strings.TrimSpace(part)
		p, err := netip.ParsePrefix(part)
		if a, single := netip.ParseAddr(part); single == nil {
			p, err = a.Prefix(a.BitLen())
		}
		if err != nil {
			return fmt.Errorf("must be networks such as 10.1.0.0/16, 192.168.7.1, one of them is %q", part)
		}
		n.Prefixes = append(n.Prefixes, p.Masked())
	}
	return nil
}

// MarshalText is the reverse of UnmarshalText.
func (n Networks) MarshalText() ([]byte, error) {
	var all []string
	for _, p := range n.Prefixes {
		all = append(all, p.String())
	}
	return []byte(strings.Join(all, ", ")), nil
}

// Calls is a number of calls. Writing 0 is refused, because a reader cannot
// know whether it means none at all or as many as you like.
type Calls int

// MarshalYAML writes a limit that does not exist as null.
func (c Calls) MarshalYAML() (any, error) {
	if c == 0 {
		return nil, nil
	}
	return int(c), nil
}

// UnmarshalText reads a positive whole number.
func (c *Calls) UnmarshalText(text []byte) error {
	n, err := strconv.Atoi(string(text))
	switch {
	case err != nil:
		return fmt.Errorf("must be a whole number, it is %q", text)
	case n == 0:
		return errors.New("must not be 0: leave it out for no such limit, and take the account out to stop it")
	case n < 0:
		return fmt.Errorf("must be above 0, it is %d", n)
	}
	*c = Calls(n)
	return nil
}
