package pancake

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// fingerprintPrefix marks what stands in a token's place: the first twelve
// hexadecimal digits of its SHA-256, by which two can be told apart.
const fingerprintPrefix = "sha256:"

func fingerprint(token string) string {
	if redacted.MatchString(token) {
		return token
	}
	sum := sha256.Sum256([]byte(token))
	return fingerprintPrefix + hex.EncodeToString(sum[:])[:12]
}

var (
	redacted = regexp.MustCompile(`^` + fingerprintPrefix + `[0-9a-f]{12}$`)
	blotted  = regexp.MustCompile(`^(<!--|\() ?\d+ bytes.*, redacted ?(-->|\))$`)
	// jwt is what Pancake's tokens look like, wherever one may stand.
	jwt = regexp.MustCompile(`eyJ[\w-]+(\.[\w-]*)+`)
	// secretive are names of fields that hold a secret.
	secretive = regexp.MustCompile(`(?i)token|secret|passw|cookie|session|authorization|api_?key`)
)

// Redact implements [channels.Redactor]: P1 answers with the token of every
// page in its settings, P2 with a new one.
func (provider) Redact(r *events.Request, _ channels.Step, raw []byte) []byte {
	op := operationOf(r)
	if op == nil || !op.tokens || len(raw) == 0 {
		return raw
	}
	var v any
	if err := channels.DecodeJSON(raw, &v); err != nil {
		return blot(raw)
	}
	return []byte(encode(redact(v, "", op.once)))
}

// blot is put in place of a body that is not JSON, in which nothing can be
// found. Whether it was a web page still matters.
func blot(raw []byte) []byte {
	switch {
	case blotted.Match(raw):
		return raw
	case isHTML(raw):
		return fmt.Appendf(nil, "<!-- %d bytes, redacted -->", len(raw))
	}
	return fmt.Appendf(nil, "(%d bytes that are no JSON, redacted)", len(raw))
}

// plainFields are those of P2's answer that may be told.
var plainFields = []string{"success", "message", "message_code", "error_code", "code", "error", "status", "id", "page_id", "name"}

// redact returns v without its tokens. Under strict every text is taken for
// one, except where a field says that it is something else: under which name
// P2 answers is no more than what clients have seen.
func redact(v any, field string, strict bool) any {
	switch v := v.(type) {
	case map[string]any:
		for k, inner := range v {
			if settings, ok := inner.(map[string]any); ok && k == "settings" {
				inner = onlyTokens(settings)
			}
			v[k] = redact(inner, k, strict)
		}
		return v
	case []any:
		for i := range v {
			v[i] = redact(v[i], field, strict)
		}
		return v
	case string:
		if v != "" && (secretive.MatchString(field) || strict && !slices.Contains(plainFields, field)) {
			return fingerprint(v)
		}
		return jwt.ReplaceAllStringFunc(v, fingerprint)
	}
	return v
}

// onlyTokens drops the rest of a page's settings: nobody knows what of them is
// secret.
func onlyTokens(settings map[string]any) map[string]any {
	kept := map[string]any{}
	if token, ok := settings["page_access_token"]; ok {
		kept["page_access_token"] = token
	}
	return kept
}

// told returns the fingerprint that stands in a token's place, "" if there is
// none: a token itself is never told.
func told(raw json.RawMessage) string {
	if t := text(raw); redacted.MatchString(t) {
		return strings.TrimPrefix(t, fingerprintPrefix)
	}
	return ""
}
