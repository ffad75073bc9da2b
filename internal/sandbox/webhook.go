package sandbox

import "net/http"

// webhook is a receiver such as docs/providers/webhook.md connects: a gateway
// for short messages that takes any JSON object with a recipient in it. It is
// no provider's, so all of it is the sandbox's own.
func webhook() *api {
	return &api{
		name: "webhook",
		operations: []operation{
			{name: "webhook.send", method: http.MethodPost, path: "{account}/messages", send: true, serve: webhookSend},
		},
		accountOf: func(r *request) string { return r.vars["account"] },
		noAccount: "no such account",
		refuse:    webhookError,
		throttled: func(int) answer { return webhookError(http.StatusTooManyRequests, "too many requests") },
	}
}

func webhookError(status int, text string) answer {
	a := jsonAnswer(status, map[string]string{"error": text})
	a.reason = text
	return a
}

// webhookSend takes the secret in either of two headers. Its ids are digests of
// what is sent, so who sends the same thing twice is told the same id twice.
func webhookSend(r *request) answer {
	if !r.bearer() && r.Header.Get("X-Api-Key") != r.state.Token {
		return webhookError(http.StatusUnauthorized, "neither Authorization nor X-Api-Key has the secret")
	}
	if !isJSON(r.Header.Get("Content-Type")) {
		return webhookError(http.StatusUnsupportedMediaType, "Content-Type must be application/json")
	}
	o, err := parseObject(r.body)
	if err != nil {
		return webhookError(http.StatusBadRequest, "body "+err.Error())
	}
	if r.recipient, err = o.text("to"); err != nil || r.recipient == "" {
		return webhookError(http.StatusUnprocessableEntity, "to must be a string that is not empty")
	}
	r.content = string(r.body)
	a := accepted(map[string]string{"id": digest(r.content)})
	a.status = http.StatusAccepted
	return a
}
