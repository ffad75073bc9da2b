package config

import (
	"iter"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"
	"unicode"

	"github.com/tramhq/tram/pkg/channels"
)

// A setting is one value of the configuration that can also be given in the
// environment.
type setting struct {
	key      string // dispatcher.lease
	variable string // TRAM_DISPATCHER_LEASE
	value    reflect.Value
}

// settings walks everything but the accounts.
func settings(c *Config) iter.Seq[setting] {
	return func(yield func(setting) bool) { walk(reflect.ValueOf(c).Elem(), "", yield) }
}

func walk(v reflect.Value, section string, yield func(setting) bool) bool {
	for f, value := range v.Fields() {
		tag := f.Tag.Get("yaml")
		key := join(section, tag)
		switch {
		case tag == "-" || value.Kind() == reflect.Slice || value.Kind() == reflect.Map:
		case isLeaf(value):
			if !yield(setting{key: key, variable: variable(key), value: value}) {
				return false
			}
		case !walk(value, key, yield):
			return false
		}
	}
	return true
}

func variable(key string) string {
	name := strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
	switch {
	case strings.HasPrefix(name, "NATS_"):
		return name
	case key == "telemetry.traces.endpoint":
		return "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
	}
	return "TRAM_" + name
}

// traces completes t with the variables that say of all signals together, or of
// all of OpenTelemetry, where or whether they are sent.
func (env environment) traces(t *Traces) {
	if base := env["OTEL_EXPORTER_OTLP_ENDPOINT"]; t.Endpoint == "" && base != "" {
		t.Endpoint = strings.TrimSuffix(base, "/") + tracesPath
	}
	if u, err := url.Parse(t.Endpoint); err == nil && u.Host != "" && strings.Trim(u.Path, "/") == "" {
		u.Path = tracesPath
		t.Endpoint = u.String()
	}
	if strings.EqualFold(env["OTEL_SDK_DISABLED"], "true") || env["OTEL_TRACES_EXPORTER"] == "none" {
		t.Endpoint = ""
	}
}

const tracesPath = "/v1/traces"

// environment is the variables that are set and not empty, by name.
type environment map[string]string

func newEnvironment(environ []string) environment {
	env := environment{}
	for _, entry := range environ {
		if name, value, _ := strings.Cut(entry, "="); value != "" {
			env[name] = value
		}
	}
	return env
}

// overlay sets in c what env holds. A variable that is nearly the name of a
// setting is a fault, but any other unknown one is none of the relay's
// business: Kubernetes sets TRAM_PORT and its like for a service called tram.
func (env environment) overlay(c *Config, fs *faults) {
	var known []string
	for s := range settings(c) {
		known = append(known, s.variable)
		if text, ok := env[s.variable]; ok {
			if err := setText(s.value, text); err != nil {
				fs.add(s.variable, "%w", err)
			}
		}
	}
	for name := range env {
		if strings.HasPrefix(name, "TRAM_") && !slices.Contains(known, name) {
			if meant := Closest(name, known); meant != "" {
				fs.add(name, "is not a setting: did you mean %s?", meant)
			}
		}
	}
}

// secret returns the secret called name: the variable itself, or the content
// of the file that the variable name_FILE names.
func (env environment) secret(name string, fs *faults) (secret channels.Secret, found bool) {
	value, direct := env[name]
	file, byFile := env[name+"_FILE"]
	switch {
	case direct && byFile:
		fs.add(name, "and %s_FILE are both set: keep one", name)
	case byFile:
		data, err := os.ReadFile(file)
		if err != nil {
			fs.add(name+"_FILE", "cannot be used: %w", err)
			return "", true
		}
		value = strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
		if value == "" {
			fs.add(name+"_FILE", "names an empty file: %s", file)
		}
	}
	if strings.ContainsFunc(value, unicode.IsControl) {
		fs.add(name, "holds a line break or another control character")
	}
	return channels.Secret(value), direct || byFile
}

// rotating is secret for one that is read again whenever it is needed: of a
// file it returns the name, after making sure that it can be used.
func (env environment) rotating(name string, fs *faults) (secret channels.Secret, file string) {
	secret, _ = env.secret(name, fs)
	if file = env[name+"_FILE"]; file != "" {
		return "", file
	}
	return secret, ""
}

// secretVariable names the environment variable of one secret of an account.
func secretVariable(provider, account, name string) string {
	return "TRAM_SECRET_" + strings.ReplaceAll(strings.ToUpper(provider+"_"+account+"_"+name), "-", "_")
}
