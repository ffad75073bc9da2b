package main

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tramhq/tram/internal/perm"
)

func TestRun(t *testing.T) {
	dir := t.TempDir()
	if err := run(dir, []string{"broker.test", "10.0.0.1"}); err != nil {
		t.Fatal(err)
	}
	ca, _, err := load(dir, "ca")
	if err != nil {
		t.Fatal(err)
	}
	server, _, err := load(dir, "server")
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	for _, host := range []string{"broker.test", "10.0.0.1"} {
		for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
			if _, err := server.Verify(x509.VerifyOptions{DNSName: host, Roots: roots, KeyUsages: []x509.ExtKeyUsage{usage}}); err != nil {
				t.Errorf("%s, usage %d: %v", host, usage, err)
			}
		}
	}

	// Again it makes only what is gone.
	before := read(t, dir)
	gone := filepath.Join(dir, "users", "operator.nk")
	if err := os.Remove(gone); err != nil {
		t.Fatal(err)
	}
	if err := run(dir, []string{"broker.test"}); err != nil {
		t.Fatal(err)
	}
	after := read(t, dir)
	for file, content := range before {
		changes := file == gone || strings.HasSuffix(file, "tram-nkeys.conf")
		if (after[file] != content) != changes {
			t.Errorf("%s: changed %v, want %v", file, !changes, changes)
		}
	}
	if got := strings.Count(after[filepath.Join(dir, "tram-nkeys.conf")], "_NKEY: U"); got != len(perm.Roles()) || len(after) != 5+got {
		t.Errorf("%d nkeys in %d files", got, len(after))
	}
}

// read returns the content of all files, which nobody else may read.
func read(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if info, err := d.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v", path, info.Mode(), err)
		}
		data, err := os.ReadFile(path)
		files[path] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
