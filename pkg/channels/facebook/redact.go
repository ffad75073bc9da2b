package facebook

import (
	"bytes"
	"regexp"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// Graph puts a token into paging links: the caller's, but nothing promises
// that it is spelt as the caller did, or that it is no other.
var (
	// A parameter's value ends at & or what cannot be in a URL. Either of
	// them, and =, may be escaped for a URL or for JSON.
	tokenInLink = regexp.MustCompile(`((?:access_token|appsecret_proof)(?:=|%(?:25)?3[dD]|\\u003[dD]))` +
		`(?:[^&"'\\\s<>%#]|%(?:[013-9a-fA-F][0-9a-fA-F]|2[0-57-9a-fA-F])|\\/|\\u00(?:[013-7][0-9a-fA-F]|2[0-57-9a-fA-F]))+`)
	// A member's value ends at its quote, be it in JSON within JSON.
	tokenInMember = regexp.MustCompile(`(\\*"(?:access_token|appsecret_proof)\\*"\s*:\s*\\*")(?:[^"\\]|\\[^"])+`)
)

// Redact implements [channels.Redactor].
func (provider) Redact(_ *events.Request, _ channels.Step, body []byte) []byte {
	if !bytes.Contains(body, []byte("access_token")) && !bytes.Contains(body, []byte("appsecret_proof")) {
		return body
	}
	body = tokenInLink.ReplaceAll(body, []byte("${1}[REDACTED]"))
	return tokenInMember.ReplaceAll(body, []byte("${1}[REDACTED]"))
}
