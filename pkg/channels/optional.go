package channels

import "github.com/tramhq/tram/pkg/events"

// A Redactor is a [Provider] some of whose answers are secrets themselves,
// such as a new token, which no account has yet and the [Client] cannot know.
type Redactor interface {
	// Redact returns the body of an answer to step s without what is secret in
	// it. It is called before anything looks at the answer or stores it. The
	// rest of the body must keep its shape, so that Judge and Parse can read
	// it, and redacting twice must be redacting once. A body that cannot be
	// read must not be returned as it is.
	Redact(r *events.Request, s Step, body []byte) []byte
}

// A SecretChooser is a [Provider] whose accounts do not all have the same
// secrets.
type SecretChooser interface {
	// SecretsOf returns which of Traits.Secrets a must have, by its settings.
	SecretsOf(a *Account) []string
}

// SecretsOf returns the keys that the secrets of a must have.
func SecretsOf(p Provider, a *Account) []string {
	if c, ok := p.(SecretChooser); ok {
		return c.SecretsOf(a)
	}
	return p.Traits().Secrets
}
