package channels

import "log/slog"

// An Account is the smallest thing at a provider that has its own credential
// and its own rate limit.
type Account struct {
	Provider string
	Name     string
	BaseURL  string            // without a trailing slash
	Settings map[string]string // not secret: ids, domains, zones
	Secrets  map[string]Secret // by the names that the provider package declares
}

// Setting returns the named setting, or def where it is empty.
func (a *Account) Setting(name, def string) string {
	if v := a.Settings[name]; v != "" {
		return v
	}
	return def
}

// A Secret prints as [REDACTED] whatever prints it.
type Secret string

const redacted = "[REDACTED]"

func (Secret) String() string               { return redacted }
func (Secret) GoString() string             { return redacted }
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
func (Secret) LogValue() slog.Value         { return slog.StringValue(redacted) }

// Reveal returns the secret itself. Only the [Client] and fingerprints call it.
func (s Secret) Reveal() string { return string(s) }
