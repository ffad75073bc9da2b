package events

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Check says what is wrong with r when it is for this account: all that
// [Request.Validate] finds, and what the contract does not allow. The error is
// an [*InvalidError] with every fault.
func (c Contract) Check(r *Request) error {
	var f faults
	r.checkAddress(&f)
	r.checkBody(&f)
	if r.Provider != c.Provider || r.Account != c.Account {
		f.add("account", "is not the one the contract is of (%s.%s)", c.Provider, c.Account)
	}
	if r.Timing().NotBeforeMS != 0 && !c.Scheduling {
		f.add("not_before_ms", "this relay keeps no schedules: publish the request when it is due")
	}
	if _, body := r.body(); body != nil {
		switch r.Kind {
		case KindSend:
			c.checkSend(r.Send, &f)
		case KindReport:
			c.checkReport(r.Report, &f)
		case KindCommand:
			c.checkCommand(r.Command, &f)
		}
	}
	if f != nil {
		return &InvalidError{r.Kind, f}
	}
	return nil
}

func (c Contract) checkSend(s *Send, f *faults) {
	if len(c.Sends) == 0 {
		f.add("kind", "%s account %s takes no sends%s", c.Provider, c.Account, c.instead())
		return
	}
	if form := (SendForm{s.Recipient.Kind, s.Content.Kind}); form.known() && !slices.Contains(c.Sends, form) {
		f.add("content.kind", "%s does not send %s to %s: it sends %s", c.Provider, form.Content, form.Recipient, c.sends())
	}
	switch {
	case c.Sender == Required && s.Sender.ID == "":
		f.add("sender.id", "account %s has no default; give the Zalo OA id", c.Account)
	case c.Sender == Refused && s.Sender.ID != "":
		f.add("sender.id", "%s takes no sender", c.Provider)
	}
	if n := utf8.RuneCountInString(s.Content.Text); c.TextLimit > 0 && n > c.TextLimit {
		f.add("content.text", "has %d characters, at most %d are allowed by %s", n, c.TextLimit, c.Provider)
	}
	if ref := s.Content.TemplateRef; c.NumericTemplate && ref != "" && strings.Trim(ref, "0123456789") != "" {
		f.add("content.template_ref", "must be digits only for %s", c.Provider)
	}
	c.checkAttributes(s.Attributes, f)
	if s.Policy.MessageTag != "" && !c.MessageTag {
		f.add("policy.message_tag", "%s takes no message tag", c.Provider)
	}
	c.checkPolicy("policy.expect_kind", s.Policy.ExpectKind, c.ExpectKinds, f)
	if s.Policy.Precheck != "none" {
		c.checkPolicy("policy.precheck", s.Policy.Precheck, c.Prechecks, f)
	}
}

func (c Contract) checkAttributes(attrs []Attribute, f *faults) {
	if len(attrs) > 0 && !c.Attributes {
		f.add("attributes", "%s takes no attributes", c.Provider)
		return
	}
	for i, a := range attrs {
		name := strings.ToLower(a.Name)
		for _, reserved := range c.ReservedAttributes {
			stem, open := strings.CutSuffix(reserved, "*")
			if name == reserved || open && strings.HasPrefix(name, stem) {
				f.add("attributes["+strconv.Itoa(i)+"].name", "is reserved by %s (%s)", c.Provider, reserved)
				break
			}
		}
	}
}

func (c Contract) checkPolicy(field, v string, allowed []string, f *faults) {
	switch {
	case v == "":
	case len(allowed) == 0:
		f.add(field, "%s account %s takes none", c.Provider, c.Account)
	default:
		f.oneOf(field, v, allowed...)
	}
}

func (c Contract) checkReport(r *Report, f *faults) {
	i := slices.IndexFunc(c.Reports, func(form ReportForm) bool { return form.Name == r.Report })
	if i < 0 {
		f.unknown("report", r.Report, c, reportNames(c.Reports))
		return
	}
	form := c.Reports[i]
	given := r.given()
	f.needs(form.Name, given, form.Needs)
	f.takes(form.Name, given, form.Needs, form.Takes)
	for _, field := range slices.Sorted(maps.Keys(form.Values)) {
		for _, v := range given[field] {
			f.oneOf(field, v, form.Values[field]...)
		}
	}
}

func (c Contract) checkCommand(r *Command, f *faults) {
	i := slices.IndexFunc(c.Commands, func(form CommandForm) bool { return form.Name == r.Command })
	if i < 0 {
		f.unknown("command", r.Command, c, commandNames(c.Commands))
		return
	}
	form := c.Commands[i]
	given := r.given()
	f.needs(form.Name, given, form.Needs)
	f.takes(form.Name, given, form.Needs, form.Takes)
}

// given returns the values of the fields of r that are not empty, by dotted
// path. A range in instants or dates is "range" whichever form it has.
func (r *Report) given() map[string][]string {
	g := make(map[string][]string)
	put := func(path string, values ...string) {
		if len(values) > 0 && values[0] != "" {
			g[path] = values
		}
	}
	put("pages", r.Pages...)
	if r.Range.FromMS != 0 || r.Range.FromDate != "" {
		put("range", "given")
	}
	put("range.zone", r.Range.Zone)
	put("range.preset", r.Range.Preset)
	put("granularity", r.Granularity)
	put("group_by", r.GroupBy...)
	put("metrics", r.Metrics...)
	for k, v := range r.Filters {
		put("filters."+k, v)
	}
	put("recipient.kind", string(r.Recipient.Kind))
	put("recipient.value", r.Recipient.Value)
	put("sender.id", r.Sender.ID)
	put("order_by", r.OrderBy)
	if r.Page.Size != 0 {
		put("page.size", strconv.Itoa(r.Page.Size))
	}
	if r.Page.MaxPages != 0 {
		put("page.max_pages", strconv.Itoa(r.Page.MaxPages))
	}
	return g
}

func (c *Command) given() map[string][]string {
	g := make(map[string][]string)
	for path, v := range map[string]string{"page_id": c.PageID, "conversation_id": c.ConversationID, "tag_id": c.TagID} {
		if v != "" {
			g[path] = []string{v}
		}
	}
	if len(c.AssigneeIDs) > 0 {
		g["assignee_ids"] = c.AssigneeIDs
	}
	return g
}

// needs adds a fault for each entry of the form of which nothing is given.
func (f *faults) needs(form string, given map[string][]string, needs []string) {
	for _, need := range needs {
		_, ok := given[need]
		for path := range given {
			ok = ok || covers(need, path) && path != "range.zone"
		}
		if !ok {
			f.add(need, "is missing: %s needs it", form)
		}
	}
}

// takes adds a fault for each path given that no entry of the form covers.
func (f *faults) takes(form string, given map[string][]string, needs, takes []string) {
	all := slices.Concat(needs, takes)
	for _, path := range slices.Sorted(maps.Keys(given)) {
		if slices.ContainsFunc(all, func(entry string) bool { return covers(entry, path) }) {
			continue
		}
		field := path
		if name, ok := strings.CutPrefix(path, "filters."); ok && plain(name) == "" {
			field = "filters.*"
		}
		if len(all) == 0 {
			f.add(field, "%s takes no fields", form)
		} else {
			f.add(field, "%s does not take it: it takes %s", form, enumerate(all))
		}
	}
}

// covers reports whether the entry of a form stands for the field at path: the
// field itself or a part of it. A preset is no part of a range but stands in
// its place.
func covers(entry, path string) bool {
	return entry == path || strings.HasPrefix(path, entry+".") && path != "range.preset"
}

func (f *faults) unknown(field, got string, c Contract, known []string) {
	switch {
	case len(known) == 0:
		f.add("kind", "%s account %s takes no %ss%s", c.Provider, c.Account, field, c.instead())
	case got != "":
		f.oneOf(field, got, known...)
	}
}

// known reports whether both kinds exist, so that only their combination can
// be wrong.
func (s SendForm) known() bool {
	return slices.Contains([]RecipientKind{ByMessengerUserID, ByPhone, ByContactID}, s.Recipient) &&
		slices.Contains([]ContentKind{ContentBlock, ContentTemplate, ContentText}, s.Content)
}

func (c Contract) sends() string {
	var s []string
	for _, form := range c.Sends {
		s = append(s, string(form.Content)+" to "+string(form.Recipient))
	}
	return enumerate(s)
}

// instead says what else the account can be asked for.
func (c Contract) instead() string {
	var s []string
	if len(c.Sends) > 0 {
		s = append(s, "sends")
	}
	if len(c.Reports) > 0 {
		s = append(s, "reports "+enumerate(reportNames(c.Reports)))
	}
	if len(c.Commands) > 0 {
		s = append(s, "commands "+enumerate(commandNames(c.Commands)))
	}
	if s == nil {
		return ""
	}
	return ": it takes " + strings.Join(s, "; ")
}

func reportNames(forms []ReportForm) []string {
	var s []string
	for _, f := range forms {
		s = append(s, f.Name)
	}
	return s
}

func commandNames(forms []CommandForm) []string {
	var s []string
	for _, f := range forms {
		s = append(s, f.Name)
	}
	return s
}
