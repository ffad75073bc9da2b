package config

import (
	"bytes"
	"fmt"
	"io"
	"os"

	"go.yaml.in/yaml/v3"

	"github.com/tramhq/tram/pkg/channels"
)

// Load reads the file at path, or none where path is "", and lays environ over
// it, which has the form of [os.Environ]. What is wrong with the configuration
// is an [*Error].
func Load(path string, environ []string, providers []channels.Provider) (*Config, error) {
	if path == "" {
		return Parse("", nil, environ, providers)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return Parse(path, data, environ, providers)
}

// Parse is Load for a file that has been read already; name is what its faults
// are told under.
func Parse(name string, data []byte, environ []string, providers []channels.Provider) (*Config, error) {
	var c Config
	d := decoder{lines: map[string]int{}}
	d.document(bytes.NewReader(data), &c)
	env := newEnvironment(environ)
	env.overlay(&c, &d.faults)
	if err := d.err(name); err != nil {
		return nil, err // checking values that were not read would find ghosts
	}

	c.fill()
	byName := map[string]channels.Provider{}
	for _, p := range providers {
		byName[p.Name()] = p
	}
	for i := range c.Accounts {
		var traits channels.Traits
		if p := byName[c.Accounts[i].Provider]; p != nil {
			traits = p.Traits()
		}
		c.Accounts[i].fill(traits)
	}
	v := validator{lines: d.lines}
	v.readSecrets(&c, byName, env)
	v.check(&c)
	for i := range c.Accounts {
		v.account(&c.Accounts[i], fmt.Sprintf("accounts[%d]", i), byName)
	}
	v.unique(c.Accounts)
	if err := v.err(name); err != nil {
		return nil, err
	}
	return &c, nil
}

// Dump writes c as YAML, complete with its defaults; secrets print as
// [REDACTED].
func (c *Config) Dump(w io.Writer) error {
	enc := yaml.NewEncoder(w)
	enc.SetIndent(2)
	if err := enc.Encode(c); err != nil {
		return fmt.Errorf("dump configuration: %w", err)
	}
	return enc.Close()
}
