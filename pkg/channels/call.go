package channels

import "time"

// A Call is one HTTP request as a provider package wants it, without its
// secret: Auth says where the [Client] puts that.
type Call struct {
	Operation string // e.g. caresoft.send_message: for logs and metrics
	Method    string
	URL       string            // complete but for the secret
	Header    map[string]string // calls may share one: it is not to be changed
	Body      []byte
	Auth      Credential

	// Repeatable says that doing it twice is doing it once: reads, and commands
	// that set what is already set.
	Repeatable bool

	Warnings []string // about the request, told in its final event
}

// A Credential says which secret of the account goes where.
type Credential struct {
	In     AuthPlace
	Name   string // header or query parameter; for Bearer unused
	Secret string // key of Account.Secrets
}

// AuthPlace is where a secret travels.
type AuthPlace string

const (
	NoAuth   AuthPlace = ""
	InBearer AuthPlace = "bearer" // Authorization: Bearer <secret>
	InHeader AuthPlace = "header"
	InQuery  AuthPlace = "query"
)

// An Answer is what became of a call, as stored in the RESULTS stream: either
// an HTTP answer or a Failure. Secrets have been removed from all of it.
type Answer struct {
	Status int               `msgpack:"status,omitempty" json:"status,omitempty"`
	Header map[string]string `msgpack:"header,omitempty" json:"header,omitempty"` // lower-case names, the chosen few
	Body   []byte            `msgpack:"body,omitempty" json:"body,omitempty"`

	Failure Failure `msgpack:"failure,omitempty" json:"failure,omitempty"`
	Detail  string  `msgpack:"detail,omitempty" json:"detail,omitempty"` // the failure in words

	// Written says that bytes of the request may have reached the provider.
	Written bool `msgpack:"written,omitempty" json:"written,omitempty"`

	StartedMS int64 `msgpack:"started_ms" json:"started_ms"` // unix milliseconds
	TookUS    int64 `msgpack:"took_us" json:"took_us"`       // microseconds
}

// Started returns when the call began.
func (a *Answer) Started() time.Time { return time.UnixMilli(a.StartedMS) }

// Failure names how a call ended without a usable HTTP answer.
type Failure string

const (
	FailDNS         Failure = "dns"         // the name did not resolve
	FailConnect     Failure = "connect"     // refused or unreachable: nothing was sent
	FailTLS         Failure = "tls"         // handshake failed: nothing was sent
	FailCertificate Failure = "certificate" // the certificate is not valid for the host
	FailTimeout     Failure = "timeout"     // the call's time ran out; Written says when
	FailReset       Failure = "reset"       // the connection broke; Written says when
	FailCutOff      Failure = "cut_off"     // the answer began and did not end; Status is set
	FailTooLarge    Failure = "too_large"   // the answer was over the body limit; Body has its head
	FailMalformed   Failure = "malformed"   // the answer was not HTTP, or not decodable as its encoding says
	FailCancelled   Failure = "cancelled"   // the relay gave the call up; Written says when
	FailCall        Failure = "bad_call"    // no call could be made of it, or the account lacks its secret: nothing was sent
)
