package sandbox

import (
	"net/http"
	"strings"
)

// pancake emulates Pancake (document S3) in two editions: the document's own,
// and what the vendor's present specification and those who measured it say
// (providers.md §2.4). An account's Edition chooses.
//
// From there, too: HTTP 200 for nearly every refusal, error_code 102, 105 and
// 429, the 5 calls a second of each page, the web page where there is no path,
// and pages told with their tokens. Assumed: the texts of other refusals, that
// unknown parameters are refused, pages of 30 conversations in v1 and of 20
// customers unless page_size says otherwise, that staff assigned replace those
// before, and that statistics reach back two years.
func pancake(o Options) *api {
	w := newPancakeWorld(o)
	const page, chat = "public_api/v1/pages/{page}", "public_api/v1/pages/{page}/conversations/{conversation}"
	op := func(name, method, path string, serve func(*pancakeCall) (any, error)) operation {
		return operation{name: "pancake." + name, method: method, path: path, serve: func(r *request) answer { return w.serve(r, serve) }}
	}
	return &api{
		name: "pancake",
		operations: []operation{
			op("pages", "GET", "v1/pages", (*pancakeCall).pages),
			op("page_token.generate", "POST", "v1/pages/{page}/generate_page_access_token", (*pancakeCall).generate),
			op("stats.staff_multi", "GET", "v1/statistics/user", (*pancakeCall).staffMulti),
			op("conversations", "GET", page+"/conversations", (*pancakeCall).conversationsV1),
			op("conversations", "GET", "public_api/v2/pages/{page}/conversations", (*pancakeCall).conversationsV2),
			op("conversation.tag", "POST", chat+"/tags", (*pancakeCall).tag),
			op("conversation.assign", "", chat+"/assign", (*pancakeCall).assign),
			op("conversation.mark_read", "POST", chat+"/read", func(c *pancakeCall) (any, error) { return c.mark(true) }),
			op("conversation.mark_unread", "POST", chat+"/unread", func(c *pancakeCall) (any, error) { return c.mark(false) }),
			op("messages", "GET", chat+"/messages", (*pancakeCall).messages),
			op("page_customers", "GET", page+"/page_customers", (*pancakeCall).customers),
			op("stats.ads_campaigns", "GET", page+"/statistics/pages_campaigns", (*pancakeCall).ads),
			op("stats.engagement", "GET", page+"/statistics/customer_engagements", (*pancakeCall).engagement),
			op("stats.page", "GET", page+"/statistics/pages", (*pancakeCall).pageStats),
			op("stats.tags", "GET", page+"/statistics/tags", (*pancakeCall).tagStats),
			op("stats.staff", "GET", page+"/statistics/users", (*pancakeCall).staff),
			op("stats.new_customers", "GET", page+"/statistics/page_customers", func(c *pancakeCall) (any, error) { return c.newCustomers(false) }),
			op("stats.new_customers", "GET", page+"/statistics/customers", func(c *pancakeCall) (any, error) { return c.newCustomers(true) }),
		},
		accountOf: func(r *request) string {
			if strings.HasPrefix(r.op.path, "v1/") {
				return PancakeUser
			}
			return r.vars["page"]
		},
		noAccount: "Page not found",
		refuse:    pancakeRefuse,
		throttled: func(int) answer { return pancakeError(http.StatusTooManyRequests, 429, "Too many requests") },
		perSecond: 5,
	}
}

// Documented is the edition of S3, as it was when that was written.
const Documented = "documented"

// PancakeUser is the ID of the account that is Pancake's user and not a page:
// its token is for the calls that are about several pages.
const PancakeUser = "user"

func pancakeError(status, code int, text string) answer {
	body := struct {
		Success bool   `json:"success"`
		Message string `json:"message"`
		Code    int    `json:"error_code,omitempty"`
	}{false, text, code}
	a := jsonAnswer(status, body)
	a.reason = text
	return a
}

// pancakeRefuse gives the sandbox's own refusals Pancake's form: the shell of
// its web app where there is no such path.
func pancakeRefuse(status int, text string) answer {
	if status == http.StatusNotFound && text == "Not Found" {
		return answer{
			status: http.StatusOK, reason: text,
			header: map[string]string{"Content-Type": "text/html; charset=utf-8"},
			body:   []byte("<!DOCTYPE html><html><head><title>Pancake</title></head><body><div id=app></div></body></html>"),
		}
	}
	if status == http.StatusNotFound {
		status = http.StatusOK
	}
	return pancakeError(status, 0, text)
}
