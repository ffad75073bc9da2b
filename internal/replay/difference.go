package replay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/mask"
	"github.com/tramhq/tram/pkg/events"
)

// A Difference is one event that is made otherwise than it is stored.
type Difference struct {
	What    string  `json:"what"` // changed, missing or stale
	ID      string  `json:"id"`   // ce-id
	Subject string  `json:"subject"`
	Result  uint64  `json:"result,omitempty"` // sequence in RESULTS, of what is made
	Event   uint64  `json:"event,omitempty"`  // sequence in EVENTS, of what is stored
	Fields  []Field `json:"fields"`           // that differ, personal data masked
}

// A Field is the value of a header or of a field of the body, as JSON; "" where
// there is none.
type Field struct {
	Name   string `json:"name"`
	Stored string `json:"stored,omitempty"`
	Made   string `json:"made,omitempty"`
}

// show reads the events of all again, and says what differs. Those that have
// left their streams since stay as they are.
func (d *diff) show(ctx context.Context, read *broker.Reader, all []Difference) error {
	masker := mask.New(nil)
	for i := range all {
		v := &all[i]
		var stored, made map[string]string
		if v.Event != 0 {
			m, err := read.Get(ctx, broker.Events, v.Event)
			if err == nil {
				v.Subject, stored = m.Subject, fields(masker, m.Header, m.Data)
			} else if !errors.Is(err, jetstream.ErrMsgNotFound) {
				return err
			}
		}
		if v.Result != 0 {
			m, err := read.Get(ctx, broker.Results, v.Result)
			if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
				return err
			}
			if err == nil {
				if e := d.again(m, v.ID); e != nil {
					v.Subject, made = e.Subject, fields(masker, e.Header, e.Data)
				}
			}
		}
		v.Fields = compareFields(stored, made)
	}
	d.found.First = all
	return nil
}

// again makes the event of a result that has an id.
func (d *diff) again(m *broker.Stored, id string) *nats.Msg {
	for _, e := range d.Maker.events(m, &d.Choose, new(batch)) {
		if e.Header.Get(events.HeaderID) == id {
			return e
		}
	}
	return nil
}

// fields are the headers and the fields of the body of an event, masked.
func fields(masker *mask.Masker, h nats.Header, body []byte) map[string]string {
	all := map[string]string{}
	for name, values := range masker.Headers(h) {
		if name != events.HeaderMsgID && name != events.HeaderReplay {
			all[name] = strings.Join(values, ", ")
		}
	}
	tree, err := mask.Decode(body)
	if err != nil {
		all["body"] = fmt.Sprintf("%d bytes that are no msgpack", len(body))
		return all
	}
	flatten(all, "", mask.View(masker.Tree(tree)))
	return all
}

// flatten writes the leaves of a tree under their paths.
func flatten(all map[string]string, path string, v any) {
	tree, ok := v.(map[string]any)
	if !ok {
		text, _ := json.Marshal(v) // of what msgpack holds all but NaN can be written
		all[path] = string(text)
		return
	}
	for name, inner := range tree {
		flatten(all, strings.TrimPrefix(path+"."+name, "."), inner)
	}
}

func compareFields(stored, made map[string]string) []Field {
	names := map[string]bool{}
	for _, side := range []map[string]string{stored, made} {
		for name := range side {
			names[name] = true
		}
	}
	var all []Field
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if stored[name] != made[name] {
			all = append(all, Field{name, stored[name], made[name]})
		}
	}
	return all
}
