package perm

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/tramhq/tram/internal/broker/brokertest"
)

var update = flag.Bool("update", false, "write deployments/nats/tram-users.conf and the tables of docs/security.md")

func TestMain(m *testing.M) { brokertest.VerifyTestMain(m) }

// TestWritten holds what is written for people and servers against the roles.
func TestWritten(t *testing.T) {
	var config, tables bytes.Buffer
	if err := errors.Join(WriteConfig(&config, Roles()), WriteTables(&tables, Roles())); err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- written by go test ./internal/perm -update -->\n", "<!-- end -->\n"
	compare(t, "../../deployments/nats/tram-users.conf", config.String(), func(string) (string, string) { return "", "" })
	compare(t, "../../docs/security.md", tables.String(), func(text string) (string, string) {
		before, rest, _ := strings.Cut(text, begin)
		_, after, ok := strings.Cut(rest, end)
		if !ok {
			t.Fatal("docs/security.md has no place for the tables")
		}
		return before + begin, "\n" + end + after
	})
}

func compare(t *testing.T, file, want string, around func(string) (before, after string)) {
	t.Helper()
	have, err := os.ReadFile(file)
	if err != nil && !*update {
		t.Fatal(err)
	}
	before, after := around(string(have))
	want = before + want + after
	switch {
	case want == string(have):
	case *update:
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s is not what the roles say: go test ./internal/perm -update", file)
	}
}

func TestCovers(t *testing.T) {
	tests := []struct {
		a, b             string
		covers, overlaps bool
	}{
		{"a.b", "a.b", true, true},
		{"a.b", "a.c", false, false},
		{"a.*", "a.b", true, true},
		{"a.b", "a.*", false, true},
		{"a.*", "a.>", false, true},
		{"a.>", "a.*", true, true},
		{"a.>", "a", false, false},
		{">", "a.b.c", true, true},
		{"a.>", "a.b.>", true, true},
		{"a.b.>", "a.>", false, true},
		{"*.b", "a.*", false, true},
		{"a.b", "a.b.c", false, false},
		{"a.b.c", "a.b", false, false},
		{"$JS.API.CONSUMER.CREATE.S.*.req.>", "$JS.API.CONSUMER.CREATE.S.feed.req.5.>", true, true},
	}
	for _, test := range tests {
		if got := covers(test.a, test.b); got != test.covers {
			t.Errorf("%s covers %s: got %v", test.a, test.b, got)
		}
		if got := overlaps(test.a, test.b); got != test.overlaps {
			t.Errorf("%s overlaps %s: got %v", test.a, test.b, got)
		}
	}
}

func TestMissing(t *testing.T) {
	r := Role{
		Name: "worker", Publish: []Grant{{Subject: "work.*"}}, Subscribe: []Grant{{Subject: "ask"}},
		Deny: []Grant{{Subject: "work.secret"}}, Answers: true,
	}
	allow := func(subjects ...string) *List { return &List{Allow: subjects} }
	tests := []struct {
		name string
		p    *Permissions
		want string
	}{
		{"no permissions", nil, ""},
		{"no lists", &Permissions{}, ""},
		{"just enough", &Permissions{allow("work.*"), allow("ask", "_INBOX_worker.>"), new(struct{}{})}, ""},
		{"more", &Permissions{allow(">"), allow(">"), new(struct{}{})}, ""},
		{"denied what it need not", &Permissions{&List{Deny: []string{"work.secret"}}, nil, nil}, ""},
		{"denied what it needs", &Permissions{&List{Deny: []string{"work.b"}}, nil, nil}, "publish to work.*"},
		{"denied all", &Permissions{&List{Deny: []string{">"}}, nil, nil}, "publish to work.*"},
		{"too little", &Permissions{allow("work.a"), allow("ask"), new(struct{}{})}, "publish to work.*, subscribe to _INBOX_worker.>"},
		{"no answers", &Permissions{allow("work.*"), nil, nil}, "publish to the inboxes of others: set allow_responses"},
	}
	for _, test := range tests {
		if got := strings.Join(r.missing(test.p, "_INBOX_worker.>"), ", "); got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
}
