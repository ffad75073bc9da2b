package events

// A Contract says what one account can be asked for, as data: which sends,
// reports and commands exist there and what they need. Provider packages
// declare it, the relay publishes it in the directory (no secret in it), and
// both [Publisher] and the dispatcher check requests against it, so that a
// request is refused with the same words wherever it is caught.
type Contract struct {
	Provider string        `msgpack:"provider" json:"provider"`
	Account  string        `msgpack:"account" json:"account"`
	Sends    []SendForm    `msgpack:"sends,omitempty" json:"sends,omitempty"`
	Reports  []ReportForm  `msgpack:"reports,omitempty" json:"reports,omitempty"`
	Commands []CommandForm `msgpack:"commands,omitempty" json:"commands,omitempty"`

	// Zone is the IANA time zone of the account, in which the dates of a range
	// are that names no zone. "" if the account has none.
	Zone string `msgpack:"zone,omitempty" json:"zone,omitempty"`

	// Scheduling says that the relay keeps requests with not_before_ms until
	// they are due. It is the relay's to say, not the provider package's.
	Scheduling bool `msgpack:"scheduling,omitempty" json:"scheduling"`

	// Rules for all sends of the account.
	Sender             Need     `msgpack:"sender,omitempty" json:"sender,omitempty"`                           // sender.id; Required where the account has no default
	TextLimit          int      `msgpack:"text_limit,omitempty" json:"text_limit,omitempty"`                   // code points of content.text; 0 is no limit
	NumericTemplate    bool     `msgpack:"numeric_template,omitempty" json:"numeric_template"`                 // content.template_ref must be digits
	Attributes         bool     `msgpack:"attributes,omitempty" json:"attributes"`                             // takes attributes
	ReservedAttributes []string `msgpack:"reserved_attributes,omitempty" json:"reserved_attributes,omitempty"` // lower case, compared without case; a trailing * matches any rest
	MessageTag         bool     `msgpack:"message_tag,omitempty" json:"message_tag"`
	Prechecks          []string `msgpack:"prechecks,omitempty" json:"prechecks,omitempty"`
	ExpectKinds        []string `msgpack:"expect_kinds,omitempty" json:"expect_kinds,omitempty"`
}

// Need says whether a field is refused, taken or required.
type Need string

const (
	Refused  Need = ""
	Optional Need = "optional"
	Required Need = "required"
)

// SendForm is one combination of recipient and content that exists.
type SendForm struct {
	Recipient RecipientKind `msgpack:"recipient" json:"recipient"`
	Content   ContentKind   `msgpack:"content" json:"content"`
}

// ReportForm is one report. Fields are named by their dotted path in [Report]:
// "range.preset", "filters.condition_id", "metrics". The name of a whole
// stands for its parts: "page" for page.size and page.max_pages, "recipient"
// for its kind and value, "filters" for all filters, "range" for both ends of
// a range, in instants or dates, with the zone, but not for range.preset.
type ReportForm struct {
	Name   string              `msgpack:"name" json:"name"`
	Needs  []string            `msgpack:"needs,omitempty" json:"needs,omitempty"`   // must be given
	Takes  []string            `msgpack:"takes,omitempty" json:"takes,omitempty"`   // may be given beside those; any other field is refused
	Values map[string][]string `msgpack:"values,omitempty" json:"values,omitempty"` // allowed values of a field
}

// CommandForm is one command, its fields named as in [Command].
type CommandForm struct {
	Name  string   `msgpack:"name" json:"name"`
	Needs []string `msgpack:"needs,omitempty" json:"needs,omitempty"` // must be given
	Takes []string `msgpack:"takes,omitempty" json:"takes,omitempty"` // may be given beside those; any other field is refused
}
