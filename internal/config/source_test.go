package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestSource_ParsesOnlyWhatHasChanged(t *testing.T) {
	dir := t.TempDir()
	file, secret := filepath.Join(dir, "tram.yaml"), filepath.Join(dir, "token")
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(file, minimal)
	write(secret, canary)
	s := Source{Path: file, Environ: []string{"TRAM_SECRET_SHOP_MAIN_TOKEN_FILE=" + secret}, Providers: shops}
	first, err := s.Load()
	if err != nil {
		t.Fatal(err)
	}
	if again, err := s.Load(); again != first || err != nil {
		t.Errorf("got %p and %v, want what was loaded before, %p", again, err, first)
	}
	write(secret, "another-token")
	changed, err := s.Load()
	if err != nil || changed == first || changed.Accounts[0].Secrets["token"].Reveal() != "another-token" {
		t.Errorf("a changed secret was not loaded: %v", err)
	}
	write(file, minimal+"    limits: {per_second: -1}\n")
	_, broken := s.Load()
	if _, err := s.Load(); broken == nil || err != broken {
		t.Errorf("got %v and then %v, want one error twice", broken, err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want that the file is gone", err)
	}
	write(file, minimal)
	if c, err := s.Load(); err != nil || len(c.Accounts) != 1 {
		t.Errorf("got %v after the file was mended", err)
	}
}
