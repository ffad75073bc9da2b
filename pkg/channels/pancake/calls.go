package pancake

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

func (provider) Prepare(a *channels.Account, r *events.Request, s channels.Step) (*channels.Call, error) {
	t, err := newTask(a, r, s)
	if err != nil {
		return nil, err
	}
	return t.call(t)
}

// isSegment reports whether an id can stand in a path. Escaping takes care of
// everything but the two that mean another path.
func isSegment(id string) bool { return id != "" && id != "." && id != ".." }

// get is a call that reads.
func (t *task) get(path string, query url.Values) (*channels.Call, error) {
	return t.make("GET", path, query, nil), nil
}

// make builds the call for a path below the base URL. Ids in it are escaped:
// they hold @ and more (T-40).
func (t *task) make(method, path string, query url.Values, body any) *channels.Call {
	c := &channels.Call{
		Operation:  name + "." + strings.TrimPrefix(t.what(), name+"."),
		Method:     method,
		URL:        t.a.BaseURL + path,
		Header:     map[string]string{"Accept": "application/json"},
		Auth:       channels.Credential{In: channels.InQuery, Name: "page_access_token", Secret: pageToken},
		Repeatable: !t.once,
		Warnings:   t.warnings,
	}
	if t.user {
		c.Auth.Name, c.Auth.Secret = "access_token", userToken
	}
	if len(query) > 0 {
		c.URL += "?" + query.Encode()
	}
	if body != nil {
		c.Header["Content-Type"] = "application/json"
		c.Body = []byte(encode(body))
	}
	return c
}

// what is the name of the report or command.
func (t *task) what() string {
	if t.r.Report != nil {
		return t.r.Report.Report
	}
	return t.r.Command.Command
}

// page is the path of the account's page in a version of the public API.
func (t *task) page(version string) string {
	return "/public_api/" + version + "/pages/" + url.PathEscape(t.a.Setting(settingPage, ""))
}

// conversation is the path of a call about one conversation. field is where
// the request names it.
func (t *task) conversation(field, id, call string) (string, error) {
	if !isSegment(id) {
		return "", channels.Refuse(t.r, field, "is not the id of a conversation")
	}
	return t.page("v1") + "/conversations/" + url.PathEscape(id) + "/" + call, nil
}

// instants are since and until.
func (t *task) instants() url.Values {
	return url.Values{
		"since": {strconv.FormatInt(t.since(), 10)},
		"until": {strconv.FormatInt(t.until(), 10)},
	}
}

// dateRange is date_range, whose end is included: the day or second before to.
func (t *task) dateRange(layout string) url.Values {
	last := t.to.Add(-time.Second)
	return url.Values{"date_range": {t.from.Format(layout) + " - " + last.Format(layout)}}
}

// ids reads a filter that is a comma list, in an order of its own, so that the
// same set is the same set.
func ids(filter string) []string {
	all := strings.Split(filter, ",")
	for i := range all {
		all[i] = strings.TrimSpace(all[i])
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// isTag reports whether id is one of a tag: an integer, perhaps below zero (T-21).
func isTag(id string) bool {
	digits := strings.TrimPrefix(id, "-")
	return digits != "" && len(digits) < 19 && strings.Trim(digits, "0123456789") == ""
}

func pagesCall(t *task) (*channels.Call, error) { return t.get("/v1/pages", nil) }

// v2Filters are those that P3 has in v2 alone.
var v2Filters = []string{"type", "post_ids", "unread_first"}

func conversationsCall(t *task) (*channels.Call, error) {
	q, rep, v := t.instants(), t.r.Report, t.edition()
	q.Set("order_by", "inserted_at") // said, because the versions differ in what they do unasked
	if rep.OrderBy != "" {
		q.Set("order_by", rep.OrderBy)
	}
	if tags := rep.Filters["tags"]; tags != "" {
		all := ids(tags)
		if slices.ContainsFunc(all, func(id string) bool { return !isTag(id) }) {
			return nil, channels.Refuse(t.r, "filters.tags", "must be ids of tags with commas between them, such as 1,2")
		}
		q.Set("tags", strings.Join(all, ","))
	}
	if rep.Filters["post_ids"] != "" && rep.Filters["type"] != "POST" {
		return nil, channels.Refuse(t.r, "filters.post_ids", "goes only with filters.type POST")
	}
	for _, f := range v2Filters {
		if value := rep.Filters[f]; value != "" {
			q.Set(f, value)
		}
	}
	switch {
	case v == "v1":
		q.Set("page_number", strconv.Itoa(max(t.at.Page, 1)))
	case t.at.Last != "":
		q.Set("last_conversation_id", t.at.Last)
	}
	return t.get(t.page(v)+"/conversations", q)
}

func messagesCall(t *task) (*channels.Call, error) {
	f := t.r.Report.Filters
	path, err := t.conversation("filters.conversation_id", f["conversation_id"], "messages")
	if err != nil {
		return nil, err
	}
	q := url.Values{"customer_id": {f["customer_id"]}}
	if t.at.Count > 0 {
		q.Set("current_count", strconv.Itoa(t.at.Count))
	}
	return t.get(path, q)
}

// maxCustomers is P16's largest page_size. How large a page is unasked is not
// documented.
const maxCustomers = 100

func pageCustomersCall(t *task) (*channels.Call, error) {
	q, rep := t.instants(), t.r.Report
	size := rep.Page.Size
	if size > maxCustomers {
		return nil, channels.Refuse(t.r, "page.size", "must be at most 100")
	}
	if size == 0 {
		size = maxCustomers
	}
	q.Set("page_size", strconv.Itoa(size))
	q.Set("page_number", strconv.Itoa(max(t.at.Page, 1)))
	q.Set("order_by", "inserted_at")
	if rep.OrderBy != "" {
		q.Set("order_by", rep.OrderBy)
	}
	return t.get(t.page("v1")+"/page_customers", q)
}
