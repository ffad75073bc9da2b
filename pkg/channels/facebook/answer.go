package facebook

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/tramhq/tram/pkg/channels"
)

// An insights is F1's answer, read whole: nothing in it can fail later.
type insights struct {
	series []series
	next   string  // link to the following window, its token taken out
	left   []error // for each value that cannot be read
}

// A series is one metric's points.
type series struct {
	name, period string
	object       map[string]json.RawMessage // all of it but the points
	points       []point
}

// readInsights reads the body of a good answer to a call for period. A value that
// cannot be read does not cost the others, unless there are none.
func readInsights(body []byte, period string) (*insights, error) {
	var a struct {
		Data   json.RawMessage `json:"data"`
		Paging json.RawMessage `json:"paging"`
	}
	if err := channels.DecodeJSON(body, &a); err != nil {
		return nil, err
	}
	if a.Data == nil {
		return nil, errors.New("the answer has no data")
	}
	var data []map[string]json.RawMessage
	if err := channels.DecodeJSON(a.Data, &data); err != nil { // null is an empty one
		return nil, errors.New("data is no list of objects")
	}
	var paging struct {
		Next string `json:"next"`
	}
	_ = json.Unmarshal(a.Paging, &paging) // what is no link leads nowhere
	in := &insights{next: paging.Next}
	read := 0
	for i, object := range data {
		s, err := in.readSeries(object, period)
		if err != nil {
			return nil, fmt.Errorf("data[%d]: %w", i, err)
		}
		in.series = append(in.series, s)
		for _, p := range s.points {
			read += len(p.leaves)
		}
	}
	if in.left != nil && read == 0 {
		return nil, in.left[0]
	}
	return in, nil
}

func (in *insights) readSeries(object map[string]json.RawMessage, asked string) (series, error) {
	s := series{name: text(object["name"]), period: cmp.Or(text(object["period"]), asked), object: object}
	if raw := object["period"]; len(raw) > 0 && !isNull(raw) && !isText(raw) {
		return s, errors.New("a metric's period is no text")
	}
	if !isText(object["name"]) || s.name == "" {
		return s, errors.New("a metric has no name")
	}
	var values []map[string]json.RawMessage
	if raw, ok := object["values"]; ok {
		if err := channels.DecodeJSON(raw, &values); err != nil {
			return s, errors.New("values is no list of objects")
		}
		delete(object, "values")
	}
	for i, v := range values {
		p := readPoint(v)
		for _, fault := range p.faults {
			in.left = append(in.left, fmt.Errorf("data[%d].values[%d]: %w", len(in.series), i, fault))
		}
		s.points = append(s.points, p) // without any number, too: its place is part of the path
	}
	return s, nil
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
