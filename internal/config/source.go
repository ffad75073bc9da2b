package config

import (
	"crypto/sha256"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/tramhq/tram/pkg/channels"
)

// A Source is where a configuration is read from again and again: the file at
// Path, or none where that is "", and Environ over it, as [Load] has them.
type Source struct {
	Path      string
	Environ   []string
	Providers []channels.Provider

	// WithoutSecrets leaves out those of the accounts, as [LoadAccounts] does.
	WithoutSecrets bool

	seen   [sha256.Size]byte
	config *Config
	err    error
}

// Load is [Load] of what stands in the files now. As long as that is the same,
// so is the configuration, and the error: nothing is parsed again, which for
// thousands of accounts takes a thousand times as long as to read them.
func (s *Source) Load() (*Config, error) {
	now := s.digest()
	if now != s.seen {
		load := Load
		if s.WithoutSecrets {
			load = LoadAccounts
		}
		s.config, s.err = load(s.Path, s.Environ, s.Providers)
		s.seen = now // a change meanwhile shows the next time
	}
	return s.config, s.err
}

// digest is of everything that can change while the process runs: the file, and
// those that hold secrets.
func (s *Source) digest() (sum [sha256.Size]byte) {
	files := []string{s.Path}
	for _, entry := range s.Environ {
		if name, file, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "TRAM_") && strings.HasSuffix(name, "_FILE") {
			files = append(files, file)
		}
	}
	h := sha256.New()
	for _, file := range slices.DeleteFunc(files, func(file string) bool { return file == "" }) {
		data, err := os.ReadFile(file)
		fmt.Fprintf(h, "%q %v %d\n", file, err, len(data))
		h.Write(data)
	}
	return [sha256.Size]byte(h.Sum(nil))
}
