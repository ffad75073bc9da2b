package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
)

// serveNode is the hidden command `prove node`: one NATS server of a cluster. It
// ends with its standard input, and in good order at SIGTERM: it hands over what
// it leads and lets its clients go first.
func serveNode(args []string) error {
	flags := flag.NewFlagSet("node", flag.ExitOnError)
	name := flags.String("name", "", "of the server")
	dir := flags.String("dir", "", "for the streams")
	listen := flags.String("listen", "", "host:port for clients")
	meet := flags.String("meet", "", "host:port for the other nodes")
	others := flags.String("others", "", "where this one meets them, separated by commas")
	_ = flags.Parse(args) // exits on an error
	o := &server.Options{
		ServerName: *name, NoSigs: true, Logtime: true, MaxPayload: 2 << 20,
		JetStream: true, StoreDir: *dir, SyncInterval: time.Second,
		// Nodes tell each other of the others. Nobody listens where they tell that
		// one is, so that every connection between two is one that can be hurt.
		Cluster:          server.ClusterOpts{Name: "prove", Advertise: "127.0.0.1:1"},
		Routes:           server.RoutesFromStr(*others),
		LameDuckDuration: 2 * time.Second, LameDuckGracePeriod: 500 * time.Millisecond,
	}
	if err := errors.Join(setAddress(*listen, &o.Host, &o.Port), setAddress(*meet, &o.Cluster.Host, &o.Cluster.Port)); err != nil {
		return err
	}
	srv, err := server.NewServer(o)
	if err != nil {
		return err
	}
	srv.ConfigureLogger() // to standard error
	go srv.Start()
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTERM)
	orphaned := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(orphaned)
	}()
	select {
	case <-told:
		srv.LameDuckShutdown()
	case <-orphaned:
		srv.Shutdown()
	}
	srv.WaitForShutdown()
	return nil
}

func setAddress(address string, host *string, port *int) error {
	h, p, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	*host = h
	*port, err = strconv.Atoi(p)
	return err
}

// A cluster is three NATS servers, each a process, with a wire between each two
// in either direction.
type cluster struct {
	stage   *stage
	nodes   []*node
	streams []string // all that tram has set up
}

// A node is one of the servers.
type node struct {
	*process // may be dead
	name     string
	listen   string  // for clients
	meet     string  // for the other nodes
	out, in  []*wire // to the others, and from them
}

const nodes = 3

// startCluster starts the servers, and returns when they take connections.
func (s *stage) startCluster(ctx context.Context) error {
	c := &cluster{stage: s}
	for i := range nodes {
		listen, err1 := freeAddress()
		meet, err2 := freeAddress()
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		c.nodes = append(c.nodes, &node{name: "node-" + strconv.Itoa(i+1), listen: listen, meet: meet})
	}
	s.cluster = c
	for _, from := range c.nodes {
		for _, to := range c.nodes {
			if from == to {
				continue
			}
			w, err := newWire(to.meet)
			if err != nil {
				return err
			}
			from.out, to.in = append(from.out, w), append(to.in, w)
		}
	}
	for _, n := range c.nodes {
		if err := c.start(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

// tramSetup runs `tram setup`, as soon as the servers have agreed on who leads.
func (s *stage) tramSetup(ctx context.Context) error {
	var refusal error
	err := until(ctx, time.Minute, "the streams", func() (bool, error) {
		refusal = s.setup(ctx)
		return refusal == nil, alive(s.running...)
	})
	if err != nil {
		return errors.Join(err, refusal)
	}
	names := s.js.StreamNames(ctx)
	for name := range names.Name() {
		s.cluster.streams = append(s.cluster.streams, name)
	}
	return names.Err()
}

// start starts a node, anew after it has ended, on what it has stored.
func (c *cluster) start(ctx context.Context, n *node) error {
	var others []string
	for _, w := range n.out {
		others = append(others, "nats://"+w.Listen)
	}
	cmd := exec.Command(c.stage.self, "node", "-name", n.name, "-dir", filepath.Join(c.stage.dir, n.name),
		"-listen", n.listen, "-meet", n.meet, "-others", strings.Join(others, ","))
	if _, err := cmd.StdinPipe(); err != nil { // closed by Wait
		return err
	}
	var err error
	if n.process, err = c.stage.launch(n.name, cmd); err != nil {
		return err
	}
	return until(ctx, time.Minute, n.name, func() (bool, error) {
		conn, err := net.Dial("tcp", n.listen)
		if err == nil {
			conn.Close()
		}
		return err == nil, n.dead()
	})
}

// urls is where clients find the nodes.
func (c *cluster) urls() []string {
	var all []string
	for _, n := range c.nodes {
		all = append(all, "nats://"+n.listen)
	}
	return all
}

func (c *cluster) close() {
	for _, n := range c.nodes {
		for _, w := range n.out {
			w.Stop()
		}
	}
}

// alive returns an error if a node has ended by itself.
func (c *cluster) alive() error {
	for _, n := range c.nodes {
		if err := n.dead(); err != nil {
			return err
		}
	}
	return nil
}

// leader returns the node that leads a stream.
func (c *cluster) leader(ctx context.Context, stream string) (found *node, err error) {
	err = until(ctx, time.Minute, "a leader of "+stream, func() (bool, error) {
		info, err := c.info(ctx, stream)
		if err != nil {
			return false, c.alive()
		}
		for _, n := range c.nodes {
			if n.name == info.Leader {
				found = n
			}
		}
		return found != nil, c.alive()
	})
	return found, err
}

func (c *cluster) info(ctx context.Context, stream string) (*jetstream.ClusterInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	st, err := c.stage.js.Stream(ctx, stream)
	if err != nil {
		return nil, err
	}
	return cmp.Or(st.CachedInfo().Cluster, &jetstream.ClusterInfo{}), nil
}

// settled reports whether each stream has a leader and no replica is behind:
// another node may go then.
func (c *cluster) settled(ctx context.Context) bool {
	for _, stream := range c.streams {
		info, err := c.info(ctx, stream)
		if err != nil || info.Leader == "" || len(info.Replicas) != nodes-1 {
			return false
		}
		for _, r := range info.Replicas {
			if r.Offline || !r.Current {
				return false
			}
		}
	}
	return true
}

// cut closes the wires of a node to the others and takes no connection, or, if
// it is not clean, lets nothing through and closes nothing. The node's clients
// stay connected to it.
func (c *cluster) cut(n *node, clean bool) error {
	for _, w := range slices.Concat(n.in, n.out) {
		if clean {
			w.Stop()
		} else if err := w.swallow(); err != nil {
			return err
		}
	}
	return nil
}

// heal ends what cut began.
func (c *cluster) heal(ctx context.Context, n *node, clean bool) error {
	var all error
	for _, w := range slices.Concat(n.in, n.out) {
		if clean {
			all = errors.Join(all, w.Start())
		} else {
			all = errors.Join(all, w.heal(ctx))
		}
	}
	return all
}
