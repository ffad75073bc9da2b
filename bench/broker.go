package main

import (
	"flag"
	"io"
	"log/slog"
	"os"

	"github.com/tramhq/tram/internal/broker/embedded"
)

// serveBroker is the hidden command `bench broker`: NATS as `tram up` runs it,
// with the same settings for all contenders. What it acknowledges is written,
// and forced to disk once a second.
func serveBroker(args []string) error {
	flags := flag.NewFlagSet("broker", flag.ExitOnError)
	dir := flags.String("dir", "", "for the streams")
	listen := flags.String("listen", "", "host:port")
	_ = flags.Parse(args) // exits on an error
	b, err := embedded.Start(embedded.Config{Dir: *dir, Listen: *listen, Log: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	if err != nil {
		return err
	}
	untilParentEnds()
	return b.Close()
}

// untilParentEnds returns when standard input ends: with whoever started this
// process, or when that one is done with it.
func untilParentEnds() {
	_, _ = io.Copy(io.Discard, os.Stdin)
}
