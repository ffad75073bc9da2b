package channels

// Reasons of verdicts. docs/reasons.md says what to do about each; a failure
// of transport has the [Failure] itself as its reason.
const (
	ReasonRedirect         = "redirect"          // 3xx: not followed
	ReasonUnauthorized     = "unauthorized"      // the credential was refused
	ReasonForbidden        = "forbidden"         // the credential lacks a permission
	ReasonNotFound         = "not_found"         // no such path, account or object
	ReasonRequestRefused   = "request_refused"   // another 4xx
	ReasonHTTPTimeout      = "http_timeout"      // 408
	ReasonTooEarly         = "too_early"         // 425
	ReasonProxyRefused     = "proxy_refused"     // 407
	ReasonRateLimited      = "rate_limited"      // too many calls
	ReasonLockedOut        = "locked_out"        // so many too many that the account is shut out for minutes
	ReasonServerError      = "server_error"      // 5xx
	ReasonUnavailable      = "unavailable"       // 503
	ReasonUnexpectedStatus = "unexpected_status" // a status that no answer to a call has
	ReasonUnexpectedAnswer = "unexpected_answer" // a 2xx whose body is not what the provider's documents show
	ReasonProviderRefused  = "provider_refused"  // the body says no, in words that have no code of their own
	ReasonTransient        = "transient"         // the body says that it may work later
	ReasonWindow           = "window"            // outside the time or kind of message that the recipient may be sent
	ReasonUnreachable      = "unreachable"       // the recipient cannot be reached
	ReasonQuota            = "quota"             // the account's allowance of messages is used up
	ReasonPrecheckRefused  = "precheck_refused"  // the check before the send said that it would be refused
)
