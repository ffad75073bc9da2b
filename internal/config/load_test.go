package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Who reads stored answers has the accounts' settings and none of their secrets.
func TestLoadAccounts(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tram.yaml")
	if err := os.WriteFile(file, []byte(minimal), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(file, nil, shops); err == nil || !strings.Contains(err.Error(), "needs its token") {
		t.Errorf("load without secrets: %v", err)
	}
	for _, environ := range [][]string{nil, env} {
		c, err := LoadAccounts(file, environ, shops)
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Accounts) != 1 || c.Accounts[0].Settings["page_id"] != "0123" || c.Accounts[0].Secrets != nil {
			t.Errorf("got %+v", c.Accounts)
		}
	}
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(minimal, "page_id", "page")), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadAccounts(file, nil, shops); err == nil || !strings.Contains(err.Error(), "is not a setting of shop") {
		t.Errorf("with a misspelt setting: %v", err)
	}
}
