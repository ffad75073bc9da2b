// Package channelstest is the suite that every provider must pass.
//
// A provider's test is one call of [Run] with its cases as data: a request,
// the HTTP requests that must reach the provider, what it answers, and the
// verdict and harvest that must come of it. From these cases the suite makes
// the rest by itself: every failure of transport, every HTTP status, hostile
// answers and hostile requests, a search for leaked secrets in all that comes
// out, and the proof that no number of an answer is lost.
package channelstest

import (
	"flag"
	"net/http"
	"testing"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

var update = flag.Bool("update", false, "write the golden files of the channelstest suite")

// NowMS is Answer.StartedMS of every call in the suite, 2026-11-21T00:00:00Z.
// A request that gives no Meta.Time has this one.
const NowMS int64 = 1_795_219_200_000

// A Suite is what Run needs to know of a provider.
type Suite struct {
	// Account is what the cases are for. Of its BaseURL only the path counts;
	// without one it is that of the provider's traits. Its secrets get values
	// of the suite's own: those of the traits, and those whose keys it has.
	Account channels.Account

	Cases []Case

	// Envelope lists leaves of good answers that need no event of their own:
	// those about the answer itself, and names, labels and times that stand in
	// a stat's metric, dims or bucket. JSON pointers in which * is any one
	// part: "/success", "/data/*/name".
	Envelope []string

	// Instead says, by operation, which class stands in for Permanent where
	// the provider's rules take every failure of the operation as that.
	Instead map[string]channels.Class
}

// A Case is one request from its first call to its last.
type Case struct {
	Name string

	// Request has one of Send, Report and Command. Whatever else is empty in
	// it is filled in.
	Request events.Request

	// Account is used in place of the suite's where it is not nil.
	Account *channels.Account

	// Refused is the field for which the contract or Prepare must refuse the
	// request. There are no exchanges then.
	Refused string

	// Exchanges are the calls in order. All of them must take place, each with
	// the cursor of the verdict before it.
	Exchanges []Exchange
}

// An Exchange is one call: what must be sent, what comes back, and what that
// must be taken for.
type Exchange struct {
	Want    Wire
	Reply   Reply
	Verdict channels.Verdict // Detail is not compared, but all except OK must have one
	Harvest Harvest          // of an OK verdict
}

// Wire is an HTTP request as it must reach the provider. The suite checks by
// itself that the secret is where Call.Auth puts it and nowhere else.
type Wire struct {
	Method   string // defaults to POST
	Path     string // escaped, from the root of the host
	Query    string // raw and in order, without the secret
	Header   map[string]string
	Body     string // JSON is compared without its white space
	Warnings []string
}

// Reply is the provider's scripted answer.
type Reply struct {
	Status int // defaults to 200
	Header map[string]string
	Body   string
}

// Harvest says what Parse must find.
type Harvest struct {
	Stats, Records int

	// Golden is a file with the whole harvest in the form of [Describe]. It is
	// required where there are stats or records; go test -update writes it.
	Golden string

	// Left lists JSON pointers to what is not published on purpose, such as
	// rows outside the range that was asked for.
	Left []string
}

// Run puts the provider through the suite.
func Run(t *testing.T, p channels.Provider, s Suite) {
	t.Helper()
	b := newBench(p, s)
	for _, c := range s.Cases {
		t.Run("case/"+c.Name, func(t *testing.T) { b.run(t, func(b *bench) { b.checkCase(c) }) })
	}
	for _, a := range areas {
		t.Run(a.name, func(t *testing.T) { b.run(t, a.check) })
	}
}

// areas are what is checked besides the cases.
var areas = []struct {
	name  string
	check func(*bench)
}{
	{"contract", (*bench).checkContract},
	{"coverage", (*bench).checkCoverage},
	{"transport", (*bench).checkTransport},
	{"status", (*bench).checkStatus},
	{"hostile answers", (*bench).checkHostileAnswers},
	{"hostile requests", (*bench).checkHostileRequests},
	{"secrets", (*bench).checkSecrets},
	{"context", (*bench).checkContext},
}

// request returns the case's request with everything filled in.
func (b *bench) request(c Case) *events.Request {
	r := c.Request
	r.Provider, r.Account = b.p.Name(), b.account(c).Name
	switch {
	case r.Send != nil:
		r.Kind = events.KindSend
	case r.Report != nil:
		r.Kind = events.KindReport
	case r.Command != nil:
		r.Kind = events.KindCommand
	}
	if r.Class == "" {
		r.Class = events.Normal
	}
	if r.ID == "" {
		r.ID, r.Source = "case", "/channelstest"
	}
	if r.Time.IsZero() {
		r.Time = now
	}
	return &r
}

// answer is what Client.Do makes of a reply, at the suite's time.
func (r Reply) answer() *channels.Answer {
	ans := &channels.Answer{Status: r.Status, Header: map[string]string{}, Body: []byte(r.Body), Written: true, StartedMS: NowMS, TookUS: 1000}
	if ans.Status == 0 {
		ans.Status = http.StatusOK
	}
	for name, value := range r.Header {
		ans.Header[lower(name)] = value
	}
	return ans
}
