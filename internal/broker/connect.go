package broker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Embedded is a server in this process, such as that of package embedded.
type Embedded interface {
	nats.InProcessConnProvider
	Token() string // that clients must present, "" for none
}

// Config says how to connect to a NATS server or cluster. Secrets come from
// files, or in the fields for secrets; none is ever part of an error or a log.
type Config struct {
	// URLs of the servers: nats://host:port, tls://… or wss://….
	// Defaults to nats://127.0.0.1:4222.
	URLs []string

	// Embedded connects to a server in this process instead of URLs.
	Embedded Embedded

	// Name tells the connection apart in the server's monitoring.
	// Defaults to tram.
	Name string

	// One way to authenticate at most. Files are read again at each connect, so
	// a rotated secret needs no restart.
	CredsFile    string // JWT and seed
	NKeyFile     string // seed
	User         string // with Password or PasswordFile
	Password     string
	PasswordFile string
	Token        string
	TokenFile    string

	CAFile   string // roots to trust instead of the system's
	CertFile string // client certificate, with KeyFile
	KeyFile  string

	// InboxPrefix replaces _INBOX, where permissions want one for each client.
	InboxPrefix string

	// OnError is told of what no call returns: refused permissions, slow
	// consumers. Defaults to nothing; all of it is logged anyway.
	OnError func(error)

	// Log gets disconnects, reconnects and errors. Defaults to nothing.
	Log *slog.Logger
}

// Connect returns once connected. Servers that are away are tried until ctx is
// done; a server that refuses the client is an error at once. After that the
// connection restores itself for ever.
func Connect(ctx context.Context, c Config) (*nats.Conn, error) {
	opts := nats.GetDefaultOptions()
	opts.Servers = c.servers()
	all, err := c.options()
	for _, o := range all {
		if err == nil {
			err = o(&opts)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("connect to broker: %w", err)
	}
	for {
		nc, err := opts.Connect()
		if err == nil {
			return nc, nil
		}
		if refused(err) {
			return nil, fmt.Errorf("connect to broker: %w", err)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("connect to broker: %w: %w", context.Cause(ctx), err)
		case <-time.After(opts.ReconnectWait):
		}
	}
}

// refused reports whether err is the server's word about the client, which
// another try would not change.
func refused(err error) bool {
	for _, e := range []error{nats.ErrAuthorization, nats.ErrAuthExpired, nats.ErrAuthRevoked, nats.ErrAccountAuthExpired} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// JetStream returns the JetStream of nc with a limit on how long an
// asynchronous publish waits: without one, it waits for ever when a stream
// loses its leader.
func JetStream(nc *nats.Conn) (jetstream.JetStream, error) {
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncTimeout(readTimeout))
	if err != nil {
		return nil, fmt.Errorf("open jetstream: %w", err)
	}
	return js, nil
}

func (c Config) servers() []string {
	if len(c.URLs) == 0 {
		return []string{nats.DefaultURL}
	}
	return c.URLs
}

func (c Config) options() ([]nats.Option, error) {
	for i, u := range c.servers() {
		// The client's own error would quote the URL, and what it has before the @.
		if !strings.Contains(u, "://") {
			u = "nats://" + u // as the client does
		}
		if p, err := url.Parse(u); err != nil || p.Host == "" || strings.Contains(u, ",") {
			return nil, fmt.Errorf("url %d is not of the form nats://host:port", i+1)
		}
	}
	log := cmp.Or(c.Log, slog.New(slog.DiscardHandler))
	tell := func(err error) {
		if c.OnError != nil {
			c.OnError(err)
		}
	}
	opts := []nats.Option{
		nats.Name(cmp.Or(c.Name, "tram")),
		nats.MaxReconnects(-1),
		nats.IgnoreAuthErrorAbort(), // credentials are rotated while servers restart
		nats.ReconnectWait(250 * time.Millisecond),
		nats.ReconnectJitter(250*time.Millisecond, time.Second),
		nats.PingInterval(5 * time.Second), // a cut cable is noticed within 15 s, not 6 minutes
		nats.DrainTimeout(5 * time.Second),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				log.Warn("broker disconnected", "error", err)
			}
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			log.Info("broker connected", "server", nc.ConnectedServerName())
		}),
		nats.ErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) {
			if errors.Is(err, nats.ErrBadHeaderMsg) {
				return // of a stored message; whoever reads it deals with it
			}
			log.Error("broker refuses or drops", "error", err)
			tell(err)
		}),
	}
	if c.InboxPrefix != "" {
		opts = append(opts, nats.CustomInboxPrefix(c.InboxPrefix))
	}
	if c.Embedded != nil {
		opts = append(opts, nats.InProcessServer(c.Embedded))
		c.Token = cmp.Or(c.Token, c.Embedded.Token())
	}
	auth, err := c.auth()
	return slices.Concat(opts, auth, c.tls()), err
}

func (c Config) auth() ([]nats.Option, error) {
	var ways []nats.Option
	add := func(given bool, option func() (nats.Option, error)) error {
		if !given {
			return nil
		}
		o, err := option()
		ways = append(ways, o)
		return err
	}
	err := errors.Join(
		add(c.CredsFile != "", func() (nats.Option, error) { return nats.UserCredentials(c.CredsFile), readable(c.CredsFile) }),
		add(c.NKeyFile != "", func() (nats.Option, error) { return nats.NkeyOptionFromSeed(c.NKeyFile) }),
		add(c.User != "", func() (nats.Option, error) {
			return nats.UserInfoHandler(func() (string, string) { return c.User, secret(c.Password, c.PasswordFile) }), readable(c.PasswordFile)
		}),
		add(c.Token != "" || c.TokenFile != "", func() (nats.Option, error) {
			return nats.TokenHandler(func() string { return secret(c.Token, c.TokenFile) }), readable(c.TokenFile)
		}),
	)
	if err == nil && len(ways) > 1 {
		err = errors.New("more than one of credentials, nkey, user and token given")
	}
	if err == nil && c.User == "" && c.Password+c.PasswordFile != "" {
		err = errors.New("a password is given but no user")
	}
	return ways, err
}

func (c Config) tls() []nats.Option {
	var opts []nats.Option
	if c.CAFile != "" {
		opts = append(opts, nats.RootCAs(c.CAFile))
	}
	if c.CertFile != "" || c.KeyFile != "" {
		opts = append(opts, nats.ClientCert(c.CertFile, c.KeyFile))
	}
	return opts
}

// secret returns value, or what the file holds now without the line's end. A
// file that cannot be read gives "", which the server refuses.
func secret(value, file string) string {
	if value != "" || file == "" {
		return value
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	return strings.TrimRight(string(b), "\r\n")
}

func readable(file string) error {
	if file == "" {
		return nil
	}
	_, err := os.ReadFile(file)
	return err
}
