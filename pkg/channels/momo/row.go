package momo

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// A row is one message sent to one segment.
type row struct {
	raw        json.RawMessage
	index      int // in json.data
	createdAt  int64
	campaignID string
	segmentID  string
	condition  string
	status     string
	size       json.RawMessage
	reports    map[string]json.RawMessage
	template   json.RawMessage
	message    string // hash of the message, of a row that lacks an id
}

// id tells the rows of one time apart.
func (r *row) id() string {
	id := r.campaignID + "/" + r.segmentID
	if r.message != "" {
		id += "/" + r.message
	}
	return id
}

func readRow(raw json.RawMessage) (row, error) {
	var f struct {
		CreateAt   json.RawMessage            `json:"create_at"`
		CampaignID json.RawMessage            `json:"campaign_id"`
		SegmentID  json.RawMessage            `json:"segment_id"`
		Condition  json.RawMessage            `json:"condition_id"`
		Status     json.RawMessage            `json:"segment_status"`
		Size       json.RawMessage            `json:"segment_size"`
		Reports    map[string]json.RawMessage `json:"reports"`
		Template   json.RawMessage            `json:"template_data"`
	}
	if err := channels.DecodeJSON(raw, &f); err != nil {
		return row{}, err
	}
	at, ok := channels.Integer(f.CreateAt)
	if !ok || at <= 0 {
		return row{}, errors.New("a message has no create_at in unix milliseconds")
	}
	r := row{
		raw: raw, createdAt: at, size: f.Size, reports: f.Reports, template: f.Template,
		campaignID: text(f.CampaignID), segmentID: text(f.SegmentID),
		condition: text(f.Condition), status: text(f.Status),
	}
	if len(f.Template) > 0 && r.idMissing() {
		sum := sha256.Sum256([]byte(cmp.Or(text(f.Template), string(f.Template))))
		r.message = hex.EncodeToString(sum[:6])
	}
	return r, nil
}

// idMissing reports whether r lacks one of its ids, which are undocumented after
// all. Its time and its message, which are documented and stay as they are, tell
// it from others then.
func (r *row) idMissing() bool { return r.campaignID == "" || r.segmentID == "" }

func (r *row) harvest(h *channels.Harvest, a *channels.Account, oa, path string, atMS int64) {
	dims := map[string]string{"oa_id": oa}
	created := strconv.FormatInt(r.createdAt, 10)
	for name, value := range map[string]string{
		"campaign_id": r.campaignID, "segment_id": r.segmentID, "condition_id": r.condition, "message_hash": r.message,
	} {
		if value != "" {
			dims[name] = value
		}
	}
	id := r.id()
	if r.idMissing() {
		dims["create_at"] = created
		id += "/" + created
	}
	point := func(metric, path string, raw json.RawMessage, agg events.Agg) {
		value, ok := channels.Decimal(raw)
		if !ok { // no number: it stands in the record
			return
		}
		h.Stats = append(h.Stats, events.Stat{
			Report: MessagesReport, Metric: metric, Alias: aliases[metric],
			Value: value, Raw: string(raw),
			Unit: events.UnitCount, UnitSource: events.Declared, Agg: agg,
			Bucket: events.Bucket{AtMS: atMS}, Dims: dims, Path: path,
		})
	}
	if r.size != nil {
		point("segment_size", path+"/segment_size", r.size, events.AggSnapshot)
	}
	for _, metric := range slices.Sorted(maps.Keys(r.reports)) {
		point(metric, path+channels.Pointer("reports", metric), r.reports[metric], events.AggCumulative)
	}
	h.Records = append(h.Records, events.Record{
		Key:    channels.RecordKey(name, a.Name, "campaign", id),
		Report: MessagesReport, Kind: "campaign", ID: id,
		Attrs: r.attrs(oa), Object: string(r.raw), Path: path,
	})
}

func (r *row) attrs(oa string) map[string]string {
	attrs := map[string]string{
		"oa_id": oa, "campaign_id": r.campaignID, "segment_id": r.segmentID, "condition_id": r.condition,
		"segment_status": r.status, "create_at_ms": strconv.FormatInt(r.createdAt, 10),
	}
	// The message is JSON inside a JSON string (T-08). It is whole in Object;
	// what can be read of it is told beside.
	var message struct {
		ChatMessage map[string]json.RawMessage `json:"chatMessage"`
	}
	if json.Unmarshal([]byte(text(r.template)), &message) == nil {
		for field, attr := range map[string]string{
			"messageType": "message_type", "title": "title", "content": "content", "url": "url", "button1Title": "button1_title",
		} {
			attrs[attr] = text(message.ChatMessage[field])
		}
	}
	maps.DeleteFunc(attrs, func(_, value string) bool { return value == "" })
	return attrs
}

// text reads a JSON string, number or boolean as text, and anything else as "".
func text(raw json.RawMessage) string {
	var s string
	switch {
	case len(raw) == 0 || raw[0] == '{' || raw[0] == '[' || string(raw) == "null":
		return ""
	case raw[0] == '"':
		_ = json.Unmarshal(raw, &s)
		return s
	}
	return string(raw)
}
