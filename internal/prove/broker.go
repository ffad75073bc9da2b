package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tramhq/tram/internal/broker/embedded"
)

// serveBroker is the hidden command `prove broker`: the broker as a process of
// its own, so that it can be killed. It ends with its standard input, and so
// with whoever started it.
func serveBroker(args []string) error {
	flags := flag.NewFlagSet("broker", flag.ExitOnError)
	dir := flags.String("dir", "", "for the streams")
	listen := flags.String("listen", "", "host:port")
	maxStore := flags.Int64("max-store", 0, "bytes on disk; 0 is no limit")
	_ = flags.Parse(args) // exits on an error
	b, err := embedded.Start(embedded.Config{
		Dir: *dir, Listen: *listen, MaxStore: *maxStore, Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return errors.Join(err, b.Close())
}

// startBroker starts the stage's broker, anew after it was killed, and returns
// when it takes connections. Its address and its streams stay.
func (s *stage) startBroker(ctx context.Context) error {
	if s.address == "" {
		address, err := freeAddress()
		if err != nil {
			return err
		}
		s.address = address
	}
	cmd := exec.Command(s.self, "broker", "-dir", filepath.Join(s.dir, "broker"), "-listen", s.address,
		"-max-store", strconv.FormatInt(s.maxStore, 10))
	if _, err := cmd.StdinPipe(); err != nil { // closed by Wait
		return err
	}
	cmd.Env = append(slices.Clip(s.env), "GOGC=400", "GOMEMLIMIT=1GiB") // as deployments have it
	var err error
	if s.broker, err = s.launch("broker", cmd); err != nil {
		return err
	}
	return until(ctx, time.Minute, "the broker", func() (bool, error) {
		c, err := net.Dial("tcp", s.address)
		if err == nil {
			c.Close()
		}
		return err == nil, s.broker.dead()
	})
}

// url is where clients find the broker.
func (s *stage) url() string {
	if s.cluster != nil {
		return strings.Join(s.cluster.urls(), ",")
	}
	return "nats://" + s.address
}

// freeAddress returns a local address below those that the system gives to
// clients: nobody takes it while a broker is dead.
func freeAddress() (string, error) {
	for range 100 {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(15_000+rand.N(15_000)))
		if l, err := net.Listen("tcp", address); err == nil {
			return address, l.Close()
		}
	}
	return "", fmt.Errorf("no port is free")
}
