package events

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
)

// docs/events.md is the contract for those who do not read Go: it must name
// every field, and its examples must be what they say they are.
func TestDocs(t *testing.T) {
	b, err := os.ReadFile("../../docs/events.md")
	if err != nil {
		t.Fatal(err)
	}
	doc := string(b)

	var named func(prefix string, l *layout)
	named = func(prefix string, l *layout) {
		for _, f := range l.fields {
			path := prefix + f.name
			switch sub := f.layout; {
			case sub.kind == layoutObject:
				named(path+".", sub)
			case sub.kind == layoutList && sub.elem.kind == layoutObject && l != contractLayout:
				named(path+"[].", sub.elem)
			}
			if strings.Contains(doc, "`"+path) || f.kind == layoutObject {
				continue
			}
			if last := strings.TrimPrefix(path, "recipient."); last != path && strings.Contains(doc, "`recipient`") {
				continue
			}
			t.Errorf("%s is not in the document", path)
		}
	}
	layouts := map[string]*layout{
		"send": sendLayout, "report": reportLayout, "command": commandLayout, "cancel": cancelLayout, "delivery": deliveryLayout,
		"stat": statLayout, "record": recordLayout, "outcome": outcomeLayout, "lane": laneLayout, "contract": contractLayout,
	}
	for _, l := range layouts {
		named("", l)
	}

	examples := map[string]int{}
	for _, m := range regexp.MustCompile("(?s)```json (\\w+)\n(.*?)```").FindAllStringSubmatch(doc, -1) {
		kind, text := m[1], m[2]
		examples[kind]++
		v := map[string]any{
			"send": new(Send), "report": new(Report), "command": new(Command), "cancel": new(Cancel), "delivery": new(Delivery),
			"stat": new(Stat), "record": new(Record), "outcome": new(Outcome), "lane": new(Lane), "contract": new(Contract),
		}[kind]
		d := json.NewDecoder(bytes.NewReader([]byte(text)))
		d.DisallowUnknownFields()
		if err := d.Decode(v); err != nil {
			t.Errorf("example of a %s: %v\n%s", kind, err, text)
			continue
		}
		r := &Request{Kind: Kind(kind), Provider: "p", Account: "a", Class: Normal}
		switch v := v.(type) {
		case *Send:
			r.Send = v
		case *Report:
			r.Report = v
		case *Command:
			r.Command = v
		case *Cancel:
			r.ID, r.Source, r.Cancel = "c-1", "/acme/shop", v
		default:
			continue
		}
		if err := r.Validate(); err != nil {
			t.Errorf("example of a %s: %v\n%s", kind, err, text)
		}
	}
	for kind := range layouts {
		if examples[kind] == 0 {
			t.Errorf("no example of a %s", kind)
		}
	}
}
