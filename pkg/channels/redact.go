package channels

import (
	"regexp"
	"strings"
	"sync"
)

var redactors sync.Map // names, joined → *redactor: as many as provider packages ask for

// A redactor takes out what stands under a name, whatever it is. A [scrubber]
// finds the account's own secrets only, and providers show others as well.
type redactor struct{ inLink, inMember *regexp.Regexp }

// redactorOf returns the one for the given names of parameters and members.
func redactorOf(names []string) *redactor {
	key := strings.Join(names, " ")
	if known, ok := redactors.Load(key); ok {
		return known.(*redactor)
	}
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = regexp.QuoteMeta(name)
	}
	name := "(?:" + strings.Join(quoted, "|") + ")"
	r := &redactor{
		// A parameter's value ends at & or what cannot be in a URL. Either of
		// them, and =, may be escaped for a URL or for JSON.
		inLink: regexp.MustCompile(`(?i)(` + name + `(?:=|%3d|%253d|\\u003d))` +
			`(?:[^&"'\\\s<>%#]|%(?:[013-9a-f][0-9a-f]|2[0-57-9a-f])|\\/|\\u00(?:[013-7][0-9a-f]|2[0-57-9a-f]))+`),
		// A member's value ends at its quote, be it in JSON within JSON.
		inMember: regexp.MustCompile(`(?i)(\\*"` + name + `\\*"\s*:\s*\\*")(?:[^"\\]|\\[^"])+`),
	}
	known, _ := redactors.LoadOrStore(key, r)
	return known.(*redactor)
}

func (r *redactor) bytes(b []byte) []byte {
	b = r.inLink.ReplaceAll(b, []byte("${1}"+redacted))
	return r.inMember.ReplaceAll(b, []byte("${1}"+redacted))
}
