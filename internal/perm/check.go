package perm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// A Permissions is what a server says that a user may do. A nil list allows
// everything.
type Permissions struct {
	Publish   *List     `json:"publish"`
	Subscribe *List     `json:"subscribe"`
	Responses *struct{} `json:"responses"`
}

// A List is the subjects that are allowed, all if there are none, but for those
// that are denied.
type List struct {
	Allow []string `json:"allow"`
	Deny  []string `json:"deny"`
}

// A MissingError names everything that a role needs and its user may not do.
type MissingError struct {
	Role    string
	Missing []string // "publish to …" or "subscribe to …"
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("the broker does not permit this user what a %s must do (docs/security.md has it all):\n  %s",
		e.Role, strings.Join(e.Missing, "\n  "))
}

// The nearest server answers by itself, so that this is ample. A refusal comes
// apart from the answer, which then never comes.
const (
	askTries   = 8
	askTimeout = 250 * time.Millisecond
)

// Check asks the server what the user of nc may do. The error is a
// [*MissingError] if that is not all that r needs; any other one says that it
// could not be found out.
func Check(ctx context.Context, nc *nats.Conn, r Role) error {
	var m *nats.Msg
	var err error
	for range askTries {
		waiting, cancel := context.WithTimeout(ctx, askTimeout)
		m, err = nc.RequestWithContext(waiting, userInfo, nil)
		cancel()
		if err == nil || ctx.Err() != nil {
			break
		}
		if refused := nc.LastError(); errors.Is(refused, nats.ErrPermissionViolation) {
			return &MissingError{r.Name, []string{refused.Error()}} // not even this, or no answer to anything
		}
	}
	if err != nil {
		return fmt.Errorf("ask the broker for permissions: %w", err)
	}
	var answer struct {
		Data struct {
			Permissions *Permissions `json:"permissions"`
		} `json:"data"`
	}
	if err := json.Unmarshal(m.Data, &answer); err != nil {
		return fmt.Errorf("ask the broker for permissions: %w", err)
	}
	inbox := nc.Opts.InboxPrefix
	if inbox == "" {
		inbox = nats.InboxPrefix
	}
	if missing := r.missing(answer.Data.Permissions, strings.TrimSuffix(inbox, ".")+".>"); len(missing) > 0 {
		return &MissingError{r.Name, missing}
	}
	return nil
}

// missing returns what r needs, receiving at inbox, and p does not permit.
func (r Role) missing(p *Permissions, inbox string) []string {
	if p == nil {
		return nil
	}
	var all []string
	for _, g := range r.Publish {
		if !p.Publish.permits(g.Subject, r.Deny) {
			all = append(all, "publish to "+g.Subject)
		}
	}
	for _, g := range append([]Grant{{Subject: inbox}}, r.Subscribe...) {
		if !p.Subscribe.permits(g.Subject, nil) {
			all = append(all, "subscribe to "+g.Subject)
		}
	}
	if r.Answers && p.Responses == nil && p.Publish.restricts() {
		all = append(all, "publish to the inboxes of others: set allow_responses")
	}
	return all
}

func (l *List) restricts() bool { return l != nil && len(l.Allow) > 0 }

// permits reports whether all of subject is allowed and, except for what is not
// needed, none of it is denied.
func (l *List) permits(subject string, except []Grant) bool {
	if l == nil {
		return true
	}
	for _, d := range l.Deny {
		needed := overlaps(d, subject)
		for _, e := range except {
			needed = needed && !covers(e.Subject, d)
		}
		if needed {
			return false
		}
	}
	for _, a := range l.Allow {
		if covers(a, subject) {
			return true
		}
	}
	return !l.restricts()
}

// covers reports whether every subject that matches b matches a.
func covers(a, b string) bool {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i, token := range as {
		switch {
		case i == len(bs):
			return false
		case token == ">":
			return true
		case bs[i] == ">" || token != "*" && token != bs[i]:
			return false
		}
	}
	return len(as) == len(bs)
}

// overlaps reports whether a subject could match both a and b.
func overlaps(a, b string) bool {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range max(len(as), len(bs)) {
		switch {
		case i == len(as) || i == len(bs):
			return false
		case as[i] == ">" || bs[i] == ">":
			return true
		case as[i] != bs[i] && as[i] != "*" && bs[i] != "*":
			return false
		}
	}
	return true
}
