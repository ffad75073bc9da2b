package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tramhq/tram/pkg/events"
)

// A usageError says that flags or arguments make no sense together.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func usage(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// requestFlags are those that all requests have.
type requestFlags struct {
	broker brokerFlag

	class, id, source     string
	notBefore, expiresAt  instant
	tenant, correlationID string
	metadata              map[string]string

	body      string
	wait      bool
	waitFor   time.Duration
	printJSON bool
}

func (f *requestFlags) register(cmd *cobra.Command) {
	f.broker.register(cmd)
	fs := cmd.Flags()
	fs.StringVar(&f.class, "class", string(events.Normal), "urgent, normal or bulk")
	fs.StringVar(&f.id, "id", "", "id of the request; publishing the same id again does nothing (default a new one)")
	fs.StringVar(&f.source, "source", cliSource, "who asks")
	fs.Var(&f.notBefore, "not-before", "do nothing earlier: a time such as 2026-11-21T08:00:00+07:00, or from now such as 10m")
	fs.Var(&f.expiresAt, "expires-at", "do nothing later: a time or a duration from now")
	fs.StringVar(&f.tenant, "tenant", "", "comes back in every event")
	fs.StringVar(&f.correlationID, "correlation-id", "", "comes back in every event")
	fs.StringToStringVar(&f.metadata, "metadata", nil, "name=value, comes back in every event")
	fs.StringVar(&f.body, "body", "", "read the whole request as JSON from a file, - for standard input; other flags of the body are not allowed then")
	f.registerWait(cmd)
}

// registerWait adds the flags that say what to do once it is published.
func (f *requestFlags) registerWait(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.BoolVar(&f.wait, "wait", false, "wait for the end and print every event about the request")
	fs.DurationVar(&f.waitFor, "timeout", time.Minute, "how long to wait")
	fs.BoolVar(&f.printJSON, "json", false, "print JSON, one line each")
}

func (f *requestFlags) timing() events.Timing {
	return events.Timing{NotBeforeMS: f.notBefore.ms(), ExpiresAtMS: f.expiresAt.ms()}
}

func (f *requestFlags) context() events.Context {
	return events.Context{Tenant: f.tenant, CorrelationID: f.correlationID, Metadata: f.metadata}
}

// request returns the envelope for the account that address names.
func (f *requestFlags) request(kind events.Kind, address string) (*events.Request, error) {
	provider, account, ok := strings.Cut(address, "/")
	if !ok {
		return nil, usage("the account %q must be provider/account, such as caresoft/hotline", address)
	}
	return &events.Request{
		Meta: events.Meta{ID: f.id, Source: f.source}, Kind: kind,
		Provider: provider, Account: account, Class: events.Class(f.class),
	}, nil
}

// besideBody are the flags that say nothing about the body of a request.
var besideBody = []string{"server", "context", "connect-timeout", "class", "id", "source", "body", "wait", "timeout", "json"}

// readBody decodes the JSON that --body names into v, unless it was not given.
func (f *requestFlags) readBody(cmd *cobra.Command, v any) (given bool, err error) {
	if f.body == "" {
		return false, nil
	}
	var others []string
	cmd.Flags().Visit(func(given *pflag.Flag) {
		if !slices.Contains(besideBody, given.Name) {
			others = append(others, "--"+given.Name)
		}
	})
	if others != nil {
		return true, usage("--body is the whole request: put what %s says into it", strings.Join(others, ", "))
	}
	in := cmd.InOrStdin()
	if f.body != "-" {
		file, err := os.Open(f.body)
		if err != nil {
			return true, fmt.Errorf("read request: %w", err)
		}
		defer file.Close()
		in = file
	}
	d := json.NewDecoder(in)
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return true, usage("the request is not JSON of the right form: %v", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return true, usage("the request must be one JSON object")
	}
	return true, nil
}

// An instant is a flag: a time, or a duration from now.
type instant struct{ time.Time }

func (i *instant) Set(text string) error {
	if d, err := time.ParseDuration(text); err == nil {
		i.Time = time.Now().Add(d)
		return nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return errors.New("must be a time such as 2026-11-21T08:00:00+07:00, or a duration such as 10m")
	}
	i.Time = t
	return nil
}

func (i *instant) Type() string { return "time" }

func (i *instant) String() string {
	if i.IsZero() {
		return ""
	}
	return i.Format(time.RFC3339)
}

func (i *instant) ms() int64 {
	if i.IsZero() {
		return 0
	}
	return i.UnixMilli()
}

// past reads a flag that is a time, or a duration before now. An empty one is no
// time.
func past(flag, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return time.Now().Add(-d), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, usage("--%s must be a time such as 2026-11-21T08:00:00+07:00, or a duration such as 24h", flag)
	}
	return at, nil
}

// providerOrAccount reads a flag that is a provider, or provider/account. An empty
// one is all of them.
func providerOrAccount(text string) (provider, account string, err error) {
	provider, account, _ = strings.Cut(text, "/")
	for _, name := range []string{provider, account} {
		if name != "" && !events.ValidName(name) {
			return "", "", usage("the account %q must be provider or provider/account", text)
		}
	}
	return provider, account, nil
}

// providerAndAccount reads the flags --provider and --account, of which the latter
// may be provider/account. An empty one is all of them.
func providerAndAccount(provider, account string) (string, string, error) {
	if p, a, both := strings.Cut(account, "/"); both {
		if provider != "" && provider != p {
			return "", "", usage("--provider %s and --account %s contradict each other", provider, account)
		}
		provider, account = p, a
	}
	for _, name := range []string{provider, account} {
		if name != "" && !events.ValidName(name) {
			return "", "", usage("%q is not the name of a provider or an account", name)
		}
	}
	return provider, account, nil
}
