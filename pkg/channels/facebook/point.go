package facebook

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/tramhq/tram/pkg/channels"
)

// A point is one entry of values.
type point struct {
	end    time.Time // zero where there is none
	label  string    // end_time as it stands there
	dims   map[string]string
	leaves []leaf
	faults []error // of what is no leaf and should be
}

// A leaf is one number: value itself, or what lies in it.
type leaf struct {
	keys  []string // from value inwards
	value *string
	raw   string
}

func readPoint(entry map[string]json.RawMessage) point {
	p := point{dims: map[string]string{}}
	for key, raw := range entry {
		switch key {
		case "value":
		case "end_time":
			var err error
			if p.label = text(raw); p.label == "" {
				continue
			}
			if p.end, err = readTime(p.label); err != nil { // a number of no known time says nothing
				return point{faults: []error{err}}
			}
		default:
			if p.dims[key] = text(raw); isNull(raw) {
				p.dims[key] = "null" // which is not an empty name
			}
		}
	}
	if raw, ok := entry["value"]; ok { // else nothing was counted
		p.addLeaves(raw, nil)
	}
	return p
}

// addLeaves adds the numbers of a value. It is one for most metrics, and an
// object for those that are counted apart, such as by country.
func (p *point) addLeaves(raw json.RawMessage, keys []string) {
	switch raw[0] {
	case '{':
		var members map[string]json.RawMessage
		_ = json.Unmarshal(raw, &members) // the whole was JSON
		for _, key := range slices.Sorted(maps.Keys(members)) {
			p.addLeaves(members[key], append(slices.Clone(keys), key))
		}
		return
	case '[':
		var items []json.RawMessage
		_ = json.Unmarshal(raw, &items)
		for i, item := range items {
			p.addLeaves(item, append(slices.Clone(keys), strconv.Itoa(i)))
		}
		return
	}
	if value, ok := channels.Decimal(raw); ok {
		p.leaves = append(p.leaves, leaf{keys, value, string(raw)})
	} else {
		p.faults = append(p.faults, errors.New("a value is no number"))
	}
}

// Instants outside these are no end of a bucket.
const (
	firstUnix = 0
	lastUnix  = 1 << 36 // in the year 4147
)

// readTime reads an end_time: unix seconds, as the document shows, or ISO with
// an offset, as Graph answers (T-10).
func readTime(s string) (time.Time, error) {
	t, err := time.Parse("2006-01-02T15:04:05-0700", s)
	if err != nil {
		t, err = time.Parse(time.RFC3339, s)
	}
	if seconds, ok := channels.Integer(json.RawMessage(s)); ok {
		t, err = time.Unix(seconds, 0), nil
	}
	if err != nil || t.Unix() < firstUnix || t.Unix() > lastUnix {
		return time.Time{}, errors.New("an end_time is neither unix seconds nor such as 2026-01-02T08:00:00+0000")
	}
	return t, nil
}
