package channels

// Traits says what an account of a provider is configured with, so that one
// check serves all providers and a misspelt setting is found at the start.
type Traits struct {
	BaseURL  string   // where accounts are unless they say otherwise; "" where each must say
	Settings []string // keys that Account.Settings may have
	Secrets  []string // keys that Account.Secrets must have
	Limits   Limits   // of an account that gives none
}

// Limits bounds the calls of one account. All windows hold at once; zero means
// that there is no such window.
type Limits struct {
	PerSecond, PerMinute, PerHour, PerDay int
}
