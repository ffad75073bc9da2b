package sandbox

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// An api is one provider. To add one, write a file with a function that returns
// it and name that in [New].
type api struct {
	name       string // first segment of its paths
	operations []operation

	accountOf func(*request) string // the id of the account that is called
	noAccount string                // the refusal of an unknown one

	refuse    func(status int, text string) answer // its form of an error
	throttled func(streak int) answer              // the streak-th refusal in a row

	// Documented limits, 0 for none; an account may have its own.
	perSecond, perHour int
	// After more than lockAfter refusals in a row all calls are refused for lockFor.
	lockAfter int
	lockFor   time.Duration
}

// An operation is one call of the document.
type operation struct {
	name   string // provider.operation, as in the journal
	method string // "" is any
	path   string // below the provider's name: "{domain}/api/v1/zalo/send-message"
	send   bool   // somebody gets something: must happen once

	// serve checks the request against the document and answers. It fills in
	// the request's recipient and content, and must not change anything else:
	// a fault may decide that the call was not carried out.
	serve func(*request) answer
}

// nowhere answers what no provider answers.
var nowhere = &api{refuse: func(status int, text string) answer {
	return jsonAnswer(status, map[string]string{"error": text})
}}

// A request is one call on its way through the sandbox.
type request struct {
	*http.Request
	at       time.Time
	api      *api
	op       *operation
	vars     map[string]string // of the operation's path
	query    url.Values
	queryErr error
	state    *state // of the account; nil if unknown
	body     []byte

	recipient string // who gets it
	content   string // what they get
}

// bearer says whether the request carries the account's token.
func (r *request) bearer() bool {
	return r.Header.Get("Authorization") == "Bearer "+r.state.Token
}

// An answer is what a provider would say.
type answer struct {
	status   int
	header   map[string]string
	body     []byte
	accepted bool   // carried out
	apply    func() // what it changes, called if it is carried out; nil is nothing
	reason   string // of a refusal, for the journal
}

func jsonAnswer(status int, v any) answer {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // only the sandbox's own types come here
	}
	return answer{
		status: status,
		header: map[string]string{"Content-Type": "application/json; charset=utf-8"},
		body:   bytes.TrimSpace(b.Bytes()),
	}
}

func accepted(v any) answer {
	a := jsonAnswer(http.StatusOK, v)
	a.accepted = true
	return a
}

// match compares the escaped segments of a path with a pattern such as
// "bots/{bot}/send" and returns the unescaped values of its names. An empty
// segment matches no name.
func match(pattern string, segments []string) (map[string]string, bool) {
	parts := strings.Split(pattern, "/")
	if len(parts) != len(segments) {
		return nil, false
	}
	vars := map[string]string{}
	for i, p := range parts {
		v, err := url.PathUnescape(segments[i])
		if err != nil {
			return nil, false
		}
		name, isVar := strings.CutPrefix(p, "{")
		switch {
		case isVar && v != "":
			vars[strings.TrimSuffix(name, "}")] = v
		case v != p:
			return nil, false
		}
	}
	return vars, true
}
