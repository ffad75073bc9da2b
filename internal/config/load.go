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
	data, err := read(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, data, environ, providers)
}

// LoadBroker is Load for who deals with the broker alone: it leaves the
// accounts out, and so needs none of their secrets.
func LoadBroker(path string, environ []string) (*Config, error) {
	data, err := read(path)
	if err != nil {
		return nil, err
	}
	env := newEnvironment(environ)
	c, lines, err := decode(path, data, env)
	if err != nil {
		return nil, err
	}
	c.Accounts, c.Groups = nil, nil
	if err := c.complete(path, lines, env, nil, false); err != nil {
		return nil, err
	}
	return c, nil
}

// LoadAccounts is Load for who reads stored answers and calls nobody: the
// accounts come without their secrets, which need not be there.
func LoadAccounts(path string, environ []string, providers []channels.Provider) (*Config, error) {
	data, err := read(path)
	if err != nil {
		return nil, err
	}
	return load(path, data, environ, providers, false)
}

// Parse is Load for a file that has been read already; name is what its faults
// are told under.
func Parse(name string, data []byte, environ []string, providers []channels.Provider) (*Config, error) {
	return load(name, data, environ, providers, true)
}

func load(name string, data []byte, environ []string, providers []channels.Provider, secrets bool) (*Config, error) {
	env := newEnvironment(environ)
	c, lines, err := decode(name, data, env)
	if err != nil {
		return nil, err
	}
	if err := c.complete(name, lines, env, providers, secrets); err != nil {
		return nil, err
	}
	return c, nil
}

func read(path string) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return data, nil
}

// decode returns what data and env say, and the lines of the settings in data.
// Checking values that could not be read would find ghosts, so nothing is
// checked before this has succeeded.
func decode(name string, data []byte, env environment) (*Config, map[string]int, error) {
	var c Config
	d := decoder{lines: map[string]int{}}
	d.document(bytes.NewReader(data), &c)
	env.overlay(&c, &d.faults)
	return &c, d.lines, d.err(name)
}

// complete fills in defaults and secrets, those of the accounts only if they are
// wanted, and validates the whole.
func (c *Config) complete(name string, lines map[string]int, env environment, providers []channels.Provider, secrets bool) error {
	c.fill()
	env.traces(&c.Telemetry.Traces)
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
	v := validator{lines: lines, private: c.HTTP.AllowPrivate.Prefixes}
	v.brokerSecrets(c, env)
	if secrets {
		v.accountSecrets(c, byName, env)
	}
	v.check(c)
	for i := range c.Accounts {
		v.account(&c.Accounts[i], fmt.Sprintf("accounts[%d]", i), byName)
	}
	v.unique(c.Accounts)
	v.groups(c)
	return v.err(name)
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
