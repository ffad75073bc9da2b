package channels

import "github.com/tramhq/tram/pkg/events"

// Refuse returns the error with which Prepare refuses a request: one fault,
// that of the field at its dotted path. Problem must not quote what may be
// personal.
func Refuse(r *events.Request, field, problem string) error {
	return &events.InvalidError{Kind: r.Kind, Faults: []events.Fault{{Field: field, Problem: problem}}}
}
