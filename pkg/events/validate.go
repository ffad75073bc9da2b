package events

import (
	"fmt"
	"slices"
	"time"
	_ "time/tzdata" // a zone must be valid in every container, not only where the system has the database
)

// Validate says what is wrong with r whatever account it is for. The error is
// an [*InvalidError] with every fault.
func (r *Request) Validate() error {
	var f faults
	r.checkAddress(&f)
	r.checkBody(&f)
	if f != nil {
		return &InvalidError{r.Kind, f}
	}
	return nil
}

// checkAddress says what is wrong with the parts of the subject.
func (r *Request) checkAddress(f *faults) {
	if !slices.Contains(RequestKinds, r.Kind) {
		f.oneOf("kind", string(r.Kind), kindNames(RequestKinds)...)
	}
	for _, n := range [...]struct{ field, name string }{{"provider", r.Provider}, {"account", r.Account}} {
		if !ValidName(n.name) {
			f.add(n.field, "must be 1 to %d of a-z, A-Z, 0-9, - and _", maxNameLen)
		}
	}
	if !r.Class.Valid() {
		f.oneOf("class", string(r.Class), string(Urgent), string(Normal), string(Bulk))
	}
}

func (r *Request) checkBody(f *faults) {
	if _, body := r.body(); body == nil {
		f.add("body", "must be that of the kind and no other")
		return
	}
	switch r.Kind {
	case KindSend:
		r.Send.check(f)
	case KindReport:
		r.Report.check(f)
	case KindCommand:
		r.Command.check(f)
	case KindCancel:
		r.Cancel.check(f)
		if source, id := r.Target(); source == r.Source && id == r.ID {
			f.add("id", "is the cancel's own: give the ce-id of the request to be cancelled")
		}
	}
	r.Timing().check(f)
	r.Context().check(f)
}

func (s *Send) check(f *faults) {
	s.Recipient.check(f)
	s.Content.check(f)
	f.optionalID("sender.id", s.Sender.ID)
	f.items("attributes", len(s.Attributes))
	for i, a := range s.Attributes {
		name := fmt.Sprintf("attributes[%d].name", i)
		f.id(name, a.Name)
		f.text(fmt.Sprintf("attributes[%d].value", i), a.Value)
		if slices.ContainsFunc(s.Attributes[:i], func(b Attribute) bool { return b.Name == a.Name }) {
			f.add(name, "is given twice")
		}
	}
	f.optionalID("policy.message_tag", s.Policy.MessageTag)
	f.optionalID("policy.expect_kind", s.Policy.ExpectKind)
	f.optionalID("policy.precheck", s.Policy.Precheck)
	if s.OnAmbiguous != "" {
		f.oneOf("on_ambiguous", string(s.OnAmbiguous), string(Hold), string(Resend), string(AssumeSent))
	}
	f.optionalID("order_key", s.OrderKey)
}

func (r Recipient) check(f *faults) {
	f.oneOf("recipient.kind", string(r.Kind), string(ByMessengerUserID), string(ByPhone), string(ByContactID))
	f.id("recipient.value", r.Value)
}

// check makes sure that the field of the kind is given and no other one is.
func (c Content) check(f *faults) {
	f.oneOf("content.kind", string(c.Kind), string(ContentBlock), string(ContentTemplate), string(ContentText))
	only := func(field string, given bool, kind ContentKind) bool {
		if given && c.Kind != kind {
			f.add(field, "goes only with content.kind %s", kind)
		}
		return c.Kind == kind
	}
	if only("content.block_name", c.BlockName != "", ContentBlock) {
		f.id("content.block_name", c.BlockName)
	}
	if only("content.template_ref", c.TemplateRef != "", ContentTemplate) {
		f.id("content.template_ref", c.TemplateRef)
	}
	if only("content.params", len(c.Params) > 0, ContentTemplate) {
		f.dict("content.params", c.Params)
	}
	if only("content.text", c.Text != "", ContentText) {
		if c.Text == "" {
			f.add("content.text", "is missing")
		}
		f.text("content.text", c.Text)
	}
}

func (r *Report) check(f *faults) {
	f.name("report", r.Report)
	f.list("pages", r.Pages)
	r.Range.check(f)
	if r.Granularity != "" {
		f.oneOf("granularity", r.Granularity, "hour", "day", "week", "month", "days_28", "range")
	}
	f.list("group_by", r.GroupBy)
	f.list("metrics", r.Metrics)
	f.dict("filters", r.Filters)
	if r.Recipient != (Recipient{}) {
		r.Recipient.check(f)
	}
	f.optionalID("sender.id", r.Sender.ID)
	f.optionalID("order_by", r.OrderBy)
	f.within("page.size", r.Page.Size, maxPageSize)
	f.within("page.max_pages", r.Page.MaxPages, maxPages)
}

func (r Range) check(f *faults) {
	instants := r.FromMS != 0 || r.ToMS != 0
	dates := r.FromDate != "" || r.ToDate != ""
	if instants && dates || r.Preset != "" && (instants || dates) {
		f.add("range", "must be given in one form: from_ms and to_ms, from_date and to_date, or preset")
	}
	f.optionalID("range.preset", r.Preset)
	if instants {
		if f.instant("range.from_ms", r.FromMS, true) && f.instant("range.to_ms", r.ToMS, true) && r.FromMS >= r.ToMS {
			f.add("range.to_ms", "must be later than range.from_ms")
		}
	}
	if dates {
		from, ok1 := f.date("range.from_date", r.FromDate)
		to, ok2 := f.date("range.to_date", r.ToDate)
		if ok1 && ok2 && !from.Before(to) {
			f.add("range.to_date", "must be later than range.from_date: it is the first day that is left out")
		}
	}
	if r.Zone != "" && f.id("range.zone", r.Zone) {
		if _, err := time.LoadLocation(r.Zone); err != nil || r.Zone == "Local" {
			f.add("range.zone", "must be an IANA zone such as Asia/Ho_Chi_Minh")
		}
	}
}

func (c *Command) check(f *faults) {
	f.name("command", c.Command)
	f.optionalID("page_id", c.PageID)
	f.optionalID("conversation_id", c.ConversationID)
	f.optionalID("tag_id", c.TagID)
	f.list("assignee_ids", c.AssigneeIDs)
}

func (c *Cancel) check(f *faults) {
	if c.ID == "" {
		f.add("id", "is missing: give the ce-id of the request to be cancelled")
	} else {
		checkAttribute("id", c.ID, f)
	}
	if c.Source != "" {
		checkAttribute("source", c.Source, f)
	}
}

func (t Timing) check(f *faults) {
	ok1 := f.instant("not_before_ms", t.NotBeforeMS, false)
	ok2 := f.instant("expires_at_ms", t.ExpiresAtMS, false)
	if ok1 && ok2 && t.NotBeforeMS != 0 && t.ExpiresAtMS != 0 && t.NotBeforeMS >= t.ExpiresAtMS {
		f.add("expires_at_ms", "must be later than not_before_ms")
	}
}

func (c Context) check(f *faults) {
	f.optionalID("tenant", c.Tenant)
	f.optionalID("correlation_id", c.CorrelationID)
	f.dict("metadata", c.Metadata)
	size := 0
	for k, v := range c.Metadata {
		size += len(k) + len(v)
	}
	if size > maxMetadata {
		f.add("metadata", "has %d bytes, at most %d are allowed: it comes back in every event", size, maxMetadata)
	}
}
