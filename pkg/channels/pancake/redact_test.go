package pancake_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/channels/pancake"
)

const canary = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpZCI6IjEyMyJ9.cnry7f3aQ9zK2m"

func TestRedact(t *testing.T) {
	t.Parallel()
	sum := sha256.Sum256([]byte(canary))
	mark := "sha256:" + hex.EncodeToString(sum[:])[:12]
	for name, tt := range map[string]struct{ kind, body, want string }{
		"P2":                    {"token", `{"success":true,"page_access_token":"` + canary + `"}`, `{"page_access_token":"` + mark + `","success":true}`},
		"P2 under another name": {"token", `{"data":{"x":["` + canary + `"]},"message":"done","n":12345678901234567890}`, `{"data":{"x":["` + mark + `"]},"message":"done","n":12345678901234567890}`},
		"P2 in its message":     {"token", `{"success":false,"message":"old token ` + canary + ` is gone"}`, `{"message":"old token ` + mark + ` is gone","success":false}`},
		"P1":                    {"pages", `{"categorized":{"activated":[{"id":"1","name":"A & B","settings":{"page_access_token":"` + canary + `","x":1},"access_token":"` + canary + `"}]}}`, `{"categorized":{"activated":[{"access_token":"` + mark + `","id":"1","name":"A & B","settings":{"page_access_token":"` + mark + `"}}]}}`},
		"P1 in a text":          {"pages", `{"pages":[{"id":"1","note":"see ` + canary + `"}]}`, `{"pages":[{"id":"1","note":"see ` + mark + `"}]}`},
		"cut off":               {"token", `{"success":true,"page_access_token":"` + canary, ""},
		"a web page":            {"pages", `<html>` + canary + `</html>`, ""},
		"plain":                 {"token", canary, ""},
		"as a string":           {"token", `"` + canary + `"`, `"` + mark + `"`},
		"nested too deep":       {"pages", strings.Repeat("[", 100) + `"` + canary + `"` + strings.Repeat("]", 100), ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := pancake.New().(channels.Redactor)
			r := requests()[tt.kind]
			got := string(p.Redact(&r, channels.Step{Number: 1}, []byte(tt.body)))
			if strings.Contains(got, "cnry") || strings.Contains(got, "eyJ") {
				t.Fatalf("the token is still there: %s", got)
			}
			if tt.want != "" && got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if again := string(p.Redact(&r, channels.Step{Number: 1}, []byte(got))); again != got {
				t.Errorf("redacted again it is %s, was %s", again, got)
			}
			if html := strings.HasPrefix(tt.body, "<"); html != strings.HasPrefix(got, "<") {
				t.Errorf("what was a web page must still be told from what was none: %s", got)
			}
		})
	}
}

// TestRedact_others leaves all other answers as they are.
func TestRedact_others(t *testing.T) {
	t.Parallel()
	r := requests()["list"]
	body := `{"conversations": [{"token": "x"}]}`
	if got := pancake.New().(channels.Redactor).Redact(&r, channels.Step{Number: 1}, []byte(body)); string(got) != body {
		t.Errorf("got %s", got)
	}
}

// TestParse_unredacted tells no token even if nobody took it out.
func TestParse_unredacted(t *testing.T) {
	t.Parallel()
	for kind, body := range map[string]string{
		"token": `{"success":true,"page_access_token":"` + canary + `"}`,
		"pages": `{"pages":[{"id":"1","settings":{"page_access_token":"` + canary + `"}}]}`,
	} {
		r := requests()[kind]
		ans := &channels.Answer{Status: 200, Body: []byte(body)}
		h, err := pancake.New().Parse(&channels.Account{}, &r, channels.Step{Number: 1}, ans)
		v := pancake.New().Judge(&channels.Account{}, &r, channels.Step{Number: 1}, ans)
		text, _ := json.Marshal([]any{h, v})
		if strings.Contains(string(text), "cnry") || err != nil && strings.Contains(err.Error(), "cnry") {
			t.Errorf("%s: told the token: %s %v", kind, text, err)
		}
	}
}
