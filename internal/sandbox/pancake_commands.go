package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// generate is P2: a new token for the page, with which the old one dies.
func (c *pancakeCall) generate() (any, error) {
	p := c.world.pages[c.vars["page"]]
	if p == nil {
		return nil, errors.New("you must be administrator of the page")
	}
	token := fmt.Sprintf("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.%s.%d",
		strings.ReplaceAll(pancakeUUID(p.id, fmt.Sprint(p.generated)), "-", ""), p.generated+1)
	c.apply = func() {
		p.dead = append(p.dead, p.token)
		p.token = token
		p.generated++
	}
	return fields{"success": true, "page_access_token": token}, nil
}

// body reads the call's body, which must have these fields and no other.
func (c *pancakeCall) bodyOf(names ...string) (object, error) {
	if !isJSON(c.Header.Get("Content-Type")) {
		return nil, errors.New("Content-Type must be application/json")
	}
	o, err := parseObject(c.request.body, names...)
	if err != nil {
		return nil, fmt.Errorf("body %w", err)
	}
	return o, nil
}

// tag is P4. Its answer has the tags after it, and when it was in microseconds.
func (c *pancakeCall) tag() (any, error) {
	ch, err := c.chat()
	if err != nil {
		return nil, err
	}
	o, err := c.bodyOf("action", "tag_id")
	if err != nil {
		return nil, err
	}
	action, err := o.text("action")
	if err != nil || action != "add" && action != "remove" {
		return nil, errors.New("action must be add or remove")
	}
	text, err := o.text("tag_id")
	if err != nil {
		return nil, err
	}
	id, err := strconv.Atoi(text)
	if err != nil || pancakeTag(id) == "" {
		return nil, errors.New("tag_id is not that of a tag")
	}
	tags := slices.DeleteFunc(slices.Clone(ch.tags), func(t int) bool { return t == id })
	if action == "add" {
		tags = append(tags, id)
	}
	slices.Sort(tags)
	c.apply = func() { ch.tags = tags }
	return fields{"success": true, "data": slices.Concat([]int{}, tags), "timestamp": c.at.UnixMicro()}, nil
}

// assign is P5, by the method of the account's edition. It answers with the
// conversation itself, success in the middle of it.
func (c *pancakeCall) assign() (any, error) {
	if method := map[bool]string{true: "GET", false: "POST"}[c.documented()]; c.Method != method {
		return nil, errNoPath
	}
	ch, err := c.chat()
	if err != nil {
		return nil, err
	}
	o, err := c.bodyOf("assignee_ids")
	if err != nil {
		return nil, err
	}
	var staff []string
	if json.Unmarshal(o["assignee_ids"], &staff) != nil || len(staff) == 0 {
		return nil, errors.New("assignee_ids must be a list of ids of staff")
	}
	for _, id := range staff {
		if !slices.ContainsFunc(pancakeStaff, func(s struct{ id, fbID, name string }) bool { return s.id == id }) {
			return nil, errors.New("assignee_ids has one who is not of the staff")
		}
	}
	c.apply = func() { ch.assignees = staff }
	f := c.conversation(ch)
	f["success"], f["assignee_ids"], f["assignee_group_id"] = true, staff, "2"
	return f, nil
}

// mark is P6 and P7.
func (c *pancakeCall) mark(read bool) (any, error) {
	ch, err := c.chat()
	if err != nil {
		return nil, err
	}
	if len(c.request.body) > 0 {
		return nil, errors.New("there is no body")
	}
	c.apply = func() { ch.read = read }
	return fields{"success": true}, nil
}
