package facebook

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/tramhq/tram/pkg/channels"
)

// An insights is F1's answer, read whole: nothing in it can fail later.
type insights struct {
	series []series
	next   string // link to the following window, its token taken out
}

// A series is one metric's points.
type series struct {
	name, period string
	object       map[string]json.RawMessage // all of it but the points
	points       []point
}

// A point is one entry of values.
type point struct {
	end    time.Time // zero where there is none
	label  string    // end_time as it stands there
	dims   map[string]string
	leaves []leaf
}

// A leaf is one number: value itself, or what lies in it.
type leaf struct {
	keys  []string // from value inwards
	value *string
	raw   string
}

// readInsights reads the body of a good answer.
func readInsights(body []byte) (*insights, error) {
	var a struct {
		Data   []map[string]json.RawMessage `json:"data"`
		Paging struct {
			Next string `json:"next"`
		} `json:"paging"`
	}
	if err := channels.DecodeJSON(body, &a); err != nil {
		return nil, err
	}
	if a.Data == nil {
		return nil, errors.New("the answer has no data")
	}
	in := &insights{next: a.Paging.Next}
	for i, object := range a.Data {
		s, err := readSeries(object)
		if err != nil {
			return nil, fmt.Errorf("data[%d]: %w", i, err)
		}
		in.series = append(in.series, s)
	}
	return in, nil
}

func readSeries(object map[string]json.RawMessage) (series, error) {
	s := series{name: text(object["name"]), period: text(object["period"]), object: object}
	if !isText(object["name"]) || !isText(object["period"]) || s.name == "" {
		return s, errors.New("a metric has no name or no period")
	}
	var values []map[string]json.RawMessage
	if raw, ok := object["values"]; ok {
		if err := channels.DecodeJSON(raw, &values); err != nil {
			return s, errors.New("values is no list of objects")
		}
		delete(object, "values")
	}
	for i, v := range values {
		p, err := readPoint(v)
		if err != nil {
			return s, fmt.Errorf("values[%d]: %w", i, err)
		}
		s.points = append(s.points, p)
	}
	return s, nil
}

func readPoint(entry map[string]json.RawMessage) (point, error) {
	p := point{dims: map[string]string{}}
	for key, raw := range entry {
		switch key {
		case "value":
		case "end_time":
			var err error
			if p.label = text(raw); p.label == "" {
				continue
			}
			if p.end, err = readTime(p.label); err != nil {
				return p, err
			}
		default:
			if p.dims[key] = text(raw); isNull(raw) {
				p.dims[key] = "null" // which is not an empty name
			}
		}
	}
	if raw, ok := entry["value"]; ok { // else nothing was counted
		return p, p.addLeaves(raw, nil)
	}
	return p, nil
}

// addLeaves adds the numbers of a value. It is one for most metrics, and an
// object for those that are counted apart, such as by country.
func (p *point) addLeaves(raw json.RawMessage, keys []string) error {
	switch raw[0] {
	case '{':
		var members map[string]json.RawMessage
		if err := channels.DecodeJSON(raw, &members); err != nil {
			return err
		}
		for _, key := range slices.Sorted(maps.Keys(members)) {
			if err := p.addLeaves(members[key], append(slices.Clone(keys), key)); err != nil {
				return err
			}
		}
		return nil
	case '[':
		var items []json.RawMessage
		if err := channels.DecodeJSON(raw, &items); err != nil {
			return err
		}
		for i, item := range items {
			if err := p.addLeaves(item, append(slices.Clone(keys), strconv.Itoa(i))); err != nil {
				return err
			}
		}
		return nil
	}
	value, ok := channels.Decimal(raw)
	if !ok {
		return errors.New("a value is no number")
	}
	p.leaves = append(p.leaves, leaf{keys, value, string(raw)})
	return nil
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
	if err != nil {
		var seconds int64
		if seconds, err = strconv.ParseInt(s, 10, 64); err == nil {
			t = time.Unix(seconds, 0)
		}
	}
	if err != nil || t.Unix() < firstUnix || t.Unix() > lastUnix {
		return time.Time{}, errors.New("an end_time is neither unix seconds nor such as 2026-01-02T08:00:00+0000")
	}
	return t, nil
}

// nextDay returns the day in zone z on which the following window begins, by
// the since of its link. Nothing else of the link is used: Graph puts the
// token into it.
func (in *insights) nextDay(z *time.Location) (day, bool) {
	u, err := url.Parse(in.next)
	if err != nil {
		return 0, false
	}
	since := u.Query().Get("since")
	if d, err := time.Parse(time.DateOnly, since); err == nil {
		return dayOf(d), true
	}
	t, err := readTime(since)
	return dayOf(t.In(z)), err == nil
}

// text reads a JSON string as its text, null as "", and anything else as it
// stands.
func text(raw json.RawMessage) string {
	var s string
	switch {
	case len(raw) == 0 || isNull(raw):
		return ""
	case isText(raw):
		_ = json.Unmarshal(raw, &s)
		return s
	}
	return string(raw)
}

func isNull(raw json.RawMessage) bool { return string(raw) == "null" }

func isText(raw json.RawMessage) bool { return len(raw) > 0 && raw[0] == '"' }
