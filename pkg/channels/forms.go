package channels

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"html"
	"net/url"
	"slices"
	"strings"
)

const (
	// minScrub is the length in bytes below which a secret is not looked for: it
	// would be found in words that have nothing to do with it.
	minScrub = 4
	// minFold is the same for a secret in other letters than its own, capital or
	// small.
	minFold = 8
)

// A form is what a secret looks like in text whose escapes are undone.
type form struct {
	text  string
	bytes []byte // the same
}

// formsOf returns the forms of a secret, and of those of its parts that are secret
// by themselves.
func formsOf(secret string) (forms []form) {
	for _, part := range append(partsOf(secret), secret) {
		if len(part) < minScrub {
			continue
		}
		add := func(text string) { forms = append(forms, form{text, []byte(text)}) }
		add(part)
		addEscaped(part, add)
		if len(part) >= minFold {
			add(strings.ToLower(part))
			add(strings.ToUpper(part))
		}
		inHex := hex.EncodeToString([]byte(part))
		add(inHex)
		add(strings.ToUpper(inHex))
		for shift := range 3 {
			add(base64Core(base64.RawStdEncoding, part, shift))
			add(base64Core(base64.RawURLEncoding, part, shift))
		}
		// What looks like an escape in the secret is undone with the text around it.
		for plain, n := []byte(part), 0; n < layers; n++ {
			if plain, _ = undo(plain, nil); plain == nil {
				break
			}
			if len(plain) >= minScrub {
				add(string(plain))
			}
		}
	}
	return distinct(forms)
}

// addEscaped adds the commonest escaped forms of a secret, which are found without
// undoing anything: what stands before the secret may look like half an escape that
// the secret ends.
func addEscaped(secret string, add func(string)) {
	query, path := url.QueryEscape(secret), url.PathEscape(secret)
	for _, escaped := range []string{query, strings.ReplaceAll(query, "+", "%20"), path} {
		add(escaped)
		add(lowerEscapes(escaped))
	}
	add(strings.ReplaceAll(secret, " ", "+")) // of a query, the rest of it undone
	add(html.EscapeString(secret))
	inJSON, _ := json.Marshal(secret) // a string always can be
	add(string(inJSON[1 : len(inJSON)-1]))
}

// lowerEscapes writes %2F as %2f.
func lowerEscapes(s string) string {
	b := []byte(s)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			copy(b[i+1:i+3], bytes.ToLower(b[i+1:i+3]))
		}
	}
	return string(b)
}

// partsOf returns what is secret by itself in the value of an Authorization header:
// what follows the scheme, its parameters, and the login of Basic.
func partsOf(secret string) []string {
	scheme, rest, ok := strings.Cut(secret, " ")
	if rest = strings.TrimSpace(rest); !ok || !isScheme(scheme) {
		return nil
	}
	parts := []string{rest}
	for param := range strings.SplitSeq(rest, ",") {
		if _, value, ok := strings.Cut(param, "="); ok {
			parts = append(parts, strings.Trim(value, ` "`))
		}
	}
	if !strings.EqualFold(scheme, "basic") {
		return parts
	}
	coded := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(rest, "="))
	login, err := base64.RawStdEncoding.DecodeString(coded)
	if err != nil {
		return parts
	}
	user, password, _ := strings.Cut(string(login), ":")
	if len(password) < minScrub { // a key is the user then
		return append(parts, string(login), user)
	}
	return append(parts, string(login), password)
}

// isScheme reports whether s may be the name of a way to authenticate.
func isScheme(s string) bool {
	return s != "" && strings.Trim(strings.ToLower(s), "abcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}

// base64Core is what secret always looks like in the base64 of a text in which
// it begins at a byte that is shift modulo 3: the characters at its ends mix
// with its neighbours and are left off.
func base64Core(enc *base64.Encoding, secret string, shift int) string {
	coded := enc.EncodeToString(append(make([]byte, shift), secret...))
	from := []int{0, 2, 3}[shift]
	to := (shift + len(secret)) * 8 / 6
	return coded[from:to]
}

// distinct leaves out forms that are there already, as most forms of most secrets
// are.
func distinct(forms []form) []form {
	slices.SortFunc(forms, func(a, b form) int { return cmp.Compare(a.text, b.text) })
	return slices.Clone(slices.CompactFunc(forms, func(a, b form) bool { return a.text == b.text }))
}
