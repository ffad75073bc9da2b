package pancake

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// Parse follows providers.md §3c. What it does not know it keeps: a number it
// has no name for becomes a point of unknown unit, anything else a record of
// kind "extra".
func (provider) Parse(a *channels.Account, r *events.Request, s channels.Step, ans *channels.Answer) (*channels.Harvest, error) {
	t, err := newTask(a, r, s)
	if err != nil {
		return nil, fmt.Errorf("read request: %w", err)
	}
	b := readBody(ans.Body)
	if t.editions != nil && noCall(b, ans) {
		return new(channels.Harvest), nil // another step has asked in the other edition
	}
	h, err := t.harvest(b, ans)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", t.what(), err)
	}
	return h.out, nil
}

// harvest reads a good answer. Its errors quote nothing of the answer.
func (t *task) harvest(b *body, ans *channels.Answer) (*harvest, error) {
	if b.err != nil {
		return nil, b.err
	}
	h := &harvest{t: t, atMS: ans.StartedMS, out: new(channels.Harvest), told: map[string]bool{}, success: text(b.fields["success"]) == "true"}
	if err := t.parse(t, b, h); err != nil {
		return nil, err
	}
	if h.lost > 0 && len(h.out.Stats) == 0 && !t.undocumented {
		return nil, errors.New("no row of the answer can be read")
	}
	return h, nil
}

// A harvest gathers what one answer holds.
type harvest struct {
	t    *task
	atMS int64
	out  *channels.Harvest
	told map[string]bool // records by kind and id: a page may show one twice

	success  bool // the answer says so
	lost     int  // rows that cannot be read
	warnings []string
}

// warn tells something about the answer once.
func (h *harvest) warn(warning string) {
	if !slices.Contains(h.warnings, warning) {
		h.warnings = append(h.warnings, warning)
	}
}

func (h *harvest) record(kind, id, path string, object json.RawMessage, attrs map[string]string) {
	if h.told[kind+"\x00"+id] {
		return
	}
	h.told[kind+"\x00"+id] = true
	h.out.Records = append(h.out.Records, events.Record{
		Key:    channels.RecordKey(name, h.t.a.Name, kind, id),
		Report: h.t.what(), Kind: kind, ID: id, Attrs: attrs, Object: string(object), Path: path,
	})
}

// object records an item of a list that should be an object with an id.
func (h *harvest) object(kind, path string, raw json.RawMessage, attrs map[string]string) {
	if id := text(object(raw)["id"]); id != "" {
		h.record(kind, id, path, raw, attrs)
		return
	}
	h.extra(path, raw)
}

// extra records what has no other place. Its id says of which answer it is:
// that of the same request replaces it.
func (h *harvest) extra(path string, raw json.RawMessage) {
	id := h.t.what()
	if !h.t.from.IsZero() {
		id += fmt.Sprintf(" %d-%d", h.t.from.Unix(), h.t.to.Unix())
	}
	if r := h.t.r.Report; r != nil {
		id += strings.TrimSuffix(" "+r.Filters["conversation_id"], " ")
	} else if c := h.t.r.Command; c != nil {
		id += strings.TrimSuffix(" "+c.ConversationID, " ")
	}
	h.record("extra", id+" "+path, path, raw, nil)
}

// rest records the fields of an object that are not among the known ones.
// success and total are about the answer alone, if they are what they should
// be.
func (h *harvest) rest(path string, fields map[string]json.RawMessage, known ...string) {
	for _, f := range slices.Sorted(maps.Keys(fields)) {
		about := path == "" && (f == "success" || f == "total") && text(fields[f]) != ""
		if !about && !slices.Contains(known, f) {
			h.extra(path+channels.Pointer(f), fields[f])
		}
	}
}
