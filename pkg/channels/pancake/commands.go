package pancake

import (
	"encoding/json"
	"errors"
	"net/url"
	"strconv"
	"strings"

	"github.com/tramhq/tram/pkg/channels"
)

// generateCall is P2. The page's present token dies with it, wherever it is in
// use, so it is never repeated unasked.
func generateCall(t *task) (*channels.Call, error) {
	id := t.r.Command.PageID
	if !isSegment(id) {
		return nil, channels.Refuse(t.r, "page_id", "is not the id of a page")
	}
	return t.make("POST", "/v1/pages/"+url.PathEscape(id)+"/generate_page_access_token", nil, nil), nil
}

// tagCall is P4. Tags are a set, so adding one twice is adding it once.
func tagCall(t *task) (*channels.Call, error) {
	c := t.r.Command
	path, err := t.conversation("conversation_id", c.ConversationID, "tags")
	if err != nil {
		return nil, err
	}
	if !isTag(c.TagID) {
		return nil, channels.Refuse(t.r, "tag_id", "must be a whole number")
	}
	return t.make("POST", path, nil, struct {
		Action string `json:"action"`
		TagID  string `json:"tag_id"` // text here, a number in the answer (§1.6.5)
	}{strings.TrimPrefix(c.Command, "conversation.tag."), c.TagID}), nil
}

// assignCall is P5. Whether the staff it names replace those who are assigned
// or join them is not documented; either way twice is once.
func assignCall(t *task) (*channels.Call, error) {
	c := t.r.Command
	path, err := t.conversation("conversation_id", c.ConversationID, "assign")
	if err != nil {
		return nil, err
	}
	return t.make(t.edition(), path, nil, struct {
		IDs []string `json:"assignee_ids"`
	}{c.AssigneeIDs}), nil
}

// markCall is P6 and P7.
func markCall(t *task) (*channels.Call, error) {
	c := t.r.Command
	path, err := t.conversation("conversation_id", c.ConversationID, strings.TrimPrefix(c.Command, "conversation.mark_"))
	if err != nil {
		return nil, err
	}
	return t.make("POST", path, nil, nil), nil
}

// parseToken tells the fingerprint of the new token and never the token. No
// document shows the answer; two clients find it at the top (§2.4).
func parseToken(t *task, b *body, h *harvest) error {
	mark := told(b.fields["page_access_token"])
	if mark == "" {
		mark = told(within(b.raw, "data", "page_access_token"))
	}
	if mark == "" {
		return errors.New("the answer has no token")
	}
	h.out.Result = encode(struct {
		PageID      string `json:"page_id"`
		Fingerprint string `json:"fingerprint"`
		Generated   bool   `json:"generated"`
	}{t.r.Command.PageID, mark, true})
	return nil
}

func parseTagging(t *task, b *body, h *harvest) error {
	if list(b.fields["data"]) == nil {
		return errors.New("the answer has no list of tags")
	}
	result := struct {
		ConversationID string          `json:"conversation_id"`
		Tags           json.RawMessage `json:"tags"`                   // of the conversation afterwards
		TimestampUS    json.RawMessage `json:"timestamp_us,omitempty"` // unix microseconds (T-20)
		AtMS           int64           `json:"at_ms,omitempty"`
	}{ConversationID: t.r.Command.ConversationID, Tags: b.fields["data"], TimestampUS: b.fields["timestamp"]}
	if us, err := strconv.ParseInt(text(b.fields["timestamp"]), 10, 64); err == nil {
		result.AtMS = us / 1000
	}
	h.out.Result = encode(result)
	h.rest("", b.fields, "data", "timestamp")
	return nil
}

// parseAssignment reads the conversation, which success stands in the middle
// of (S3, conversation assignment). At present it comes without its id.
func parseAssignment(t *task, b *body, h *harvest) error {
	id := text(b.fields["id"])
	if id == "" {
		if text(b.fields["success"]) != "true" && list(b.fields["assignee_ids"]) == nil {
			return errors.New("the answer is no conversation")
		}
		id = t.r.Command.ConversationID
	}
	h.out.Result = encode(struct {
		ConversationID string          `json:"conversation_id"`
		AssigneeIDs    json.RawMessage `json:"assignee_ids,omitempty"`
	}{id, b.fields["assignee_ids"]})
	delete(b.fields, "success")
	if len(b.fields) == 0 || len(b.fields) == 1 && b.fields["assignee_ids"] != nil {
		return nil // nothing that the result does not tell
	}
	h.record("conversation", id, "", json.RawMessage(encode(b.fields)), conversations.attrs(b.fields))
	return nil
}

func parseMark(t *task, b *body, h *harvest) error {
	if text(b.fields["success"]) != "true" {
		return errors.New("the answer does not say success")
	}
	h.out.Result = encode(struct {
		ConversationID string `json:"conversation_id"`
		Read           bool   `json:"read"`
	}{t.r.Command.ConversationID, t.r.Command.Command == MarkRead})
	h.rest("", b.fields)
	return nil
}
