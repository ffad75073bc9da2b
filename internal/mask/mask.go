// Package mask makes personal data in the relay's records unreadable: who a
// message goes to, what it says, what a provider tells about people.
//
// A [Masker] is for programs: a record keeps its form and a text its shape, so
// that what reads the one can read the other. [Request] and [Words] are for
// people, who are to see what a request is and not whom it is about.
//
// Whatever is not known to be harmless is masked: a field that is added one day
// is hidden until somebody has thought about it.
package mask

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"unicode"
)

// A Masker masks by a key: the same text gets the same mask, so that masked rows
// can be joined, and without the key nobody can try out which text it was.
type Masker struct{ key []byte }

// New returns a masker by a key, or by a random one if it is empty.
func New(key []byte) *Masker {
	if len(key) == 0 {
		key = make([]byte, 32)
		rand.Read(key) //nolint:errcheck // it never fails
	}
	return &Masker{key: key}
}

// Text returns another text of the same shape: digits stand for digits, letters
// for letters, and everything else stays.
func (m *Masker) Text(s string) string {
	h := hmac.New(sha256.New, m.key)
	h.Write([]byte(s))
	random := mathrand.New(mathrand.NewChaCha8([32]byte(h.Sum(nil))))
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsDigit(r):
			return '0' + random.Int32N(10)
		case unicode.IsUpper(r):
			return 'A' + random.Int32N(26)
		case unicode.IsLetter(r):
			return 'a' + random.Int32N(26)
		}
		return r
	}, s)
}

// harmless are the fields of the relay's records that are nobody's personal
// data: what was asked for and how, what came of it, and what stands in
// subjects, headers and logs anyway. A path names the field and those above it.
var harmless = set(`
	provider account tenant correlation_id request_id request_source ancestor_id
	kind name command report pages page_id tag_id group_by metrics order_by granularity
	recipient.kind content.kind content.block_name content.template_ref sender.id attributes.name
	policy.message_tag policy.expect_kind policy.precheck on_ambiguous
	range.from_date range.to_date range.zone range.preset
	state evidence provider_message_id warnings class reason provider_code was
	key metric alias value raw unit currency unit_source agg flags path
	bucket.granularity bucket.zone bucket.zone_source bucket.label
	dead group stack request.subject message_id o
	why.class why.reason why.provider_code
	attempts.state attempts.why.class attempts.why.reason attempts.why.provider_code`)

func set(words string) map[string]bool {
	all := map[string]bool{}
	for word := range strings.FieldsSeq(words) {
		all[word] = true
	}
	return all
}

// plainHeader says which headers may be read: the envelope carries no personal
// data, by contract.
func plainHeader(name string) bool {
	lower := strings.ToLower(name)
	return strings.HasPrefix(lower, "ce-") || strings.HasPrefix(lower, "nats-") || lower == "traceparent"
}

// Headers returns h with the values masked of headers that are not of the
// envelope.
func (m *Masker) Headers(h map[string][]string) map[string][]string {
	masked := make(map[string][]string, len(h))
	for name, values := range h {
		values = slices.Clone(values)
		for i := range values {
			if !plainHeader(name) {
				values[i] = m.Text(values[i])
			}
		}
		masked[name] = values
	}
	return masked
}
