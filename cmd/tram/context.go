package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tramhq/tram/pkg/channels"
)

// A natsContext is what `nats context save` has written: where a broker is and
// how to log in.
type natsContext struct {
	URL         string          `json:"url"`
	Creds       string          `json:"creds"`
	NKey        string          `json:"nkey"`
	User        string          `json:"user"`
	Password    channels.Secret `json:"password"`
	Token       channels.Secret `json:"token"`
	CA          string          `json:"ca"`
	Cert        string          `json:"cert"`
	Key         string          `json:"key"`
	InboxPrefix string          `json:"inbox_prefix"`

	// What tram cannot do, and would go elsewhere without.
	NSC         string `json:"nsc"`
	SocksProxy  string `json:"socks_proxy"`
	UserJWT     string `json:"user_jwt"`
	Domain      string `json:"jetstream_domain"`
	APIPrefix   string `json:"jetstream_api_prefix"`
	TLSFirst    bool   `json:"tls_first"`
	WindowsCert string `json:"windows_cert_store"`
}

// natsEnviron returns environ with the settings of a context of the nats command
// laid under it, as that does: what the environment says holds. The context is the
// named one, or that of NATS_CONTEXT, or unless named ones only are meant the one
// that is selected; with none of these environ is returned as it is.
func natsEnviron(environ []string, name string, namedOnly bool) ([]string, error) {
	env := environment(environ)
	if name == "" {
		name = env["NATS_CONTEXT"]
	}
	if name == "" && !namedOnly {
		name = selectedContext(env)
	}
	if name == "" {
		return environ, nil
	}
	c, err := readContext(env, name)
	if err != nil {
		return nil, err
	}
	return append(c.variables(env), environ...), nil // the last one of a name holds
}

// environment returns the variables that are set and not empty, by name.
func environment(environ []string) map[string]string {
	env := map[string]string{}
	for _, entry := range environ {
		if key, value, _ := strings.Cut(entry, "="); value != "" {
			env[key] = value
		}
	}
	return env
}

// contextDir is where the nats command keeps its contexts.
func contextDir(env map[string]string) string {
	home := cmp.Or(env["HOME"], "/") // never where the command happens to run
	return filepath.Join(cmp.Or(env["XDG_CONFIG_HOME"], filepath.Join(home, ".config")), "nats")
}

// selectedContext returns the name that `nats context select` has noted, or "".
func selectedContext(env map[string]string) string {
	name, err := os.ReadFile(filepath.Join(contextDir(env), "context.txt"))
	if err != nil {
		return "" // most people have none
	}
	return strings.TrimSpace(string(name))
}

// contextNames lists all contexts.
func contextNames(env map[string]string) (names []string) {
	files, _ := filepath.Glob(filepath.Join(contextDir(env), "context", "*.json"))
	for _, f := range files {
		names = append(names, strings.TrimSuffix(filepath.Base(f), ".json"))
	}
	return names
}

func readContext(env map[string]string, name string) (*natsContext, error) {
	if strings.ContainsAny(name, `/\`) || strings.HasPrefix(name, ".") {
		return nil, usage("the context %q must be a name, such as `nats context ls` shows", name)
	}
	data, err := os.ReadFile(filepath.Join(contextDir(env), "context", name+".json"))
	if errors.Is(err, fs.ErrNotExist) {
		known := strings.Join(contextNames(env), ", ")
		if known == "" {
			known = "there is none; `nats context save` makes one"
		}
		return nil, usage("there is no NATS context %q: %s", name, known)
	}
	if err != nil {
		return nil, fmt.Errorf("read NATS context %s: %w", name, err)
	}
	c := new(natsContext)
	if err := json.Unmarshal(data, c); err != nil {
		return nil, fmt.Errorf("read NATS context %s: %w", name, err)
	}
	for setting, used := range map[string]bool{
		"nsc": c.NSC != "", "socks_proxy": c.SocksProxy != "", "user_jwt": c.UserJWT != "", "jetstream_domain": c.Domain != "",
		"jetstream_api_prefix": c.APIPrefix != "", "tls_first": c.TLSFirst, "windows_cert_store": c.WindowsCert != "",
	} {
		if used {
			return nil, usage("the NATS context %s has %s, which tram cannot do: give --server and NATS_* variables", name, setting)
		}
	}
	for _, file := range []*string{&c.Creds, &c.NKey, &c.CA, &c.Cert, &c.Key} {
		if rest, home := strings.CutPrefix(*file, "~/"); home {
			*file = filepath.Join(env["HOME"], rest)
		}
		*file = os.Expand(*file, func(name string) string { return env[name] })
	}
	return c, nil
}

// logins are the variables that say who somebody is. One of them in the
// environment stands for all that a context says about that.
var logins = []string{"NATS_CREDS", "NATS_NKEY", "NATS_USER", "NATS_PASSWORD", "NATS_PASSWORD_FILE", "NATS_TOKEN", "NATS_TOKEN_FILE"}

// variables returns c as variables of the environment.
func (c *natsContext) variables(env map[string]string) []string {
	all := []string{
		"NATS_URL=" + c.URL, "NATS_CA=" + c.CA, "NATS_CERT=" + c.Cert, "NATS_KEY=" + c.Key, "NATS_INBOX_PREFIX=" + c.InboxPrefix,
	}
	if slices.ContainsFunc(logins, func(name string) bool { return env[name] != "" }) {
		return all
	}
	return append(all, "NATS_CREDS="+c.Creds, "NATS_NKEY="+c.NKey, "NATS_USER="+c.User,
		"NATS_PASSWORD="+c.Password.Reveal(), "NATS_TOKEN="+c.Token.Reveal())
}
