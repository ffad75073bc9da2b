// Package embedded runs a NATS server inside the process. It is a package of its
// own so that workers, which use the broker of others, do not carry one.
package embedded

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Config says how to run a NATS server inside this process.
type Config struct {
	// Dir keeps the streams. It is made with mode 0700 if it does not exist,
	// and can serve one process at a time. Required.
	Dir string

	// Listen is the host and port for other processes; port 0 takes a free one.
	// A host that is not loopback needs a Token. Defaults to 127.0.0.1:4222.
	Listen string

	// Token is what clients must present, this process included.
	// Defaults to none.
	Token string

	// SyncAlways forces each message to disk before it is acknowledged, one by
	// one: a stream then takes as many a second as the disk can be forced. Without
	// it that is done once a second, and a power failure can lose as much; the
	// death of the process loses nothing.
	SyncAlways bool

	// MaxStore bounds the streams on disk, in bytes. Defaults to three quarters
	// of what is free there.
	MaxStore int64

	// Log gets the server's warnings and errors. Defaults to nothing.
	Log *slog.Logger
}

// maxPayload leaves room for a result: an answer and its request.
const maxPayload = 2 << 20

// startTimeout covers the recovery of large streams from disk.
const startTimeout = time.Minute

// A Server is a NATS server inside this process.
type Server struct {
	srv    *server.Server
	unlock func() error
	token  string
}

// Start starts a server and returns when it takes connections.
func Start(c Config) (*Server, error) {
	s, err := start(c)
	if err != nil {
		return nil, fmt.Errorf("start broker: %w", err)
	}
	return s, nil
}

func start(c Config) (*Server, error) {
	opts, err := c.options()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, err
	}
	unlock, err := lockFile(filepath.Join(c.Dir, "lock"))
	if err != nil {
		return nil, fmt.Errorf("directory %s is in use by another process: %w", c.Dir, err)
	}
	srv, err := server.NewServer(opts)
	if err != nil {
		return nil, errors.Join(err, unlock())
	}
	log := &serverLog{log: cmp.Or(c.Log, slog.New(slog.DiscardHandler)), fatal: make(chan error, 1)}
	srv.SetLoggerV2(log, false, false, false)
	s := &Server{srv: srv, unlock: unlock, token: c.Token}
	go srv.Start()
	for deadline := time.Now().Add(startTimeout); ; {
		if srv.ReadyForConnections(10 * time.Millisecond) {
			return s, nil
		}
		select {
		case err = <-log.fatal:
		default:
			if time.Now().Before(deadline) {
				continue
			}
			err = fmt.Errorf("not ready within %s", startTimeout)
		}
		return nil, errors.Join(err, s.Close())
	}
}

func (c Config) options() (*server.Options, error) {
	if c.Dir == "" {
		return nil, errors.New("no directory given")
	}
	o := &server.Options{
		ServerName:            "tram",
		NoSigs:                true,
		JetStream:             true,
		StoreDir:              c.Dir,
		JetStreamMaxStore:     c.MaxStore,
		JetStreamLimits:       server.JSLimitOpts{DefaultMaxConsumers: -1}, // a thousand else
		SyncInterval:          time.Second,
		SyncAlways:            c.SyncAlways,
		MaxPayload:            maxPayload,
		Authorization:         c.Token,
		DisableShortFirstPing: true,
	}
	listen := cmp.Or(c.Listen, "127.0.0.1:4222")
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return nil, fmt.Errorf("listen address %q: want host:port", listen)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("listen address %q: port is not a number up to 65535", listen)
	}
	if c.Token == "" && !loopback(host) {
		return nil, fmt.Errorf("listen address %q: reachable from other hosts, so a token is needed", listen)
	}
	o.Host, o.Port = host, int(n)
	if n == 0 {
		o.Port = server.RANDOM_PORT
	}
	return o, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// InProcessConn connects within the process.
func (s *Server) InProcessConn() (net.Conn, error) { return s.srv.InProcessConn() }

// Token returns what clients must present, "" for nothing.
func (s *Server) Token() string { return s.token }

// URL returns where other processes connect. The token is not in it.
func (s *Server) URL() string { return s.srv.ClientURL() }

// Close stops the server. Clients, and what uses them, should have been closed
// before. It returns when all is on disk.
func (s *Server) Close() error {
	s.srv.Shutdown()
	s.srv.WaitForShutdown()
	return s.unlock()
}

// serverLog passes on what needs attention, and keeps the server from ending
// the process.
type serverLog struct {
	log   *slog.Logger
	fatal chan error
}

func (l *serverLog) Noticef(string, ...any) {}
func (l *serverLog) Debugf(string, ...any)  {}
func (l *serverLog) Tracef(string, ...any)  {}

func (l *serverLog) Warnf(format string, v ...any) {
	l.log.Warn("broker warns", "message", fmt.Sprintf(format, v...))
}

func (l *serverLog) Errorf(format string, v ...any) {
	l.log.Error("broker reports an error", "message", fmt.Sprintf(format, v...))
}

func (l *serverLog) Fatalf(format string, v ...any) {
	select {
	case l.fatal <- fmt.Errorf(format, v...):
	default:
	}
}
