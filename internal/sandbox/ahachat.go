package sandbox

import (
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// ahachat emulates AhaChat's block broadcast (document S1).
//
// The document says nothing of answers. Assumed: the JSON of Chatfuel, whose
// API this one copies name for name, and every status and text of a refusal.
func ahachat() *api {
	return &api{
		name: "ahachat",
		operations: []operation{
			{name: "ahachat.send_to_user", method: "POST", path: "api/bots/{bot}/users/{user}/send", send: true, serve: ahachatSend},
			{name: "ahachat.send_to_phone", method: "POST", path: "api/bots/{bot}/phones/send", send: true, serve: ahachatSend},
		},
		accountOf: func(r *request) string { return r.vars["bot"] },
		noAccount: "Bot not found",
		refuse:    ahachatError,
		throttled: func(int) answer { return ahachatError(http.StatusTooManyRequests, "Too many requests") },
	}
}

type ahachatResult struct {
	Success bool   `json:"success"`
	Result  string `json:"result"`
}

func ahachatError(status int, text string) answer {
	a := jsonAnswer(status, ahachatResult{false, text})
	a.reason = text
	return a
}

var (
	ahachatParameters = []string{"ahachat_token", "ahachat_message_tag", "ahachat_block_name"}
	// The document names four tags and links to a longer list that is lost.
	ahachatTag = regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`)
)

func ahachatSend(r *request) answer {
	user, toUser := r.vars["user"]
	r.recipient = user
	if !toUser {
		r.recipient = r.query.Get("phone")
	}
	names := slices.Sorted(maps.Keys(r.query))
	var content []string
	for _, name := range names {
		if name != "ahachat_token" && name != "phone" {
			content = append(content, name+"="+r.query.Get(name))
		}
	}
	r.content = strings.Join(content, "\x00")

	switch token := r.query.Get("ahachat_token"); {
	case token == "":
		return ahachatError(http.StatusUnauthorized, "Missing token")
	case token != r.state.Token:
		return ahachatError(http.StatusUnauthorized, "Invalid token")
	case len(r.body) != 0:
		return ahachatError(http.StatusBadRequest, "Parameters belong in the query string, the body must be empty")
	case r.query.Get("ahachat_block_name") == "":
		return ahachatError(http.StatusBadRequest, "Missing block name")
	case !toUser && !phone.MatchString(r.recipient):
		return ahachatError(http.StatusBadRequest, "Missing or invalid phone")
	case toUser && r.query.Has("phone"):
		return ahachatError(http.StatusBadRequest, "Both a user and a phone are given")
	}
	for _, name := range names {
		switch value := r.query.Get(name); {
		case len(r.query[name]) > 1:
			return ahachatError(http.StatusBadRequest, "Parameter "+name+" is given twice")
		case name == "":
			return ahachatError(http.StatusBadRequest, "An attribute has no name")
		case name == "ahachat_message_tag" && !ahachatTag.MatchString(value):
			return ahachatError(http.StatusBadRequest, "Invalid message tag")
		case strings.HasPrefix(strings.ToLower(name), "ahachat_") &&
			!slices.Contains(ahachatParameters, name):
			return ahachatError(http.StatusBadRequest, "Unknown parameter "+name)
		}
	}
	return accepted(ahachatResult{true, "ok"})
}
