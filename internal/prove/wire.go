package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// A wire is what a process is connected to the broker by, and what can be hurt.
type wire struct{ *toxiproxy.Proxy }

func newWire(upstream string) (*wire, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	nobody := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	w := &wire{toxiproxy.NewProxy(nobody, address, address, upstream)}
	return w, w.Start()
}

// cut closes every connection, and takes none for a while.
func (w *wire) cut(ctx context.Context, lasts time.Duration) error {
	w.Stop()
	return errors.Join(pause(ctx, lasts), w.Start())
}

// swallow lets nothing through, in either direction, and closes nothing.
func (w *wire) swallow() error {
	return w.add(`{"name": %[1]q, "type": "timeout", "stream": %[1]q, "attributes": {"timeout": 0}}`)
}

// delay holds everything back for a while, in either direction.
func (w *wire) delay(d time.Duration) error {
	return w.add(`{"name": %[1]q, "type": "latency", "stream": %[1]q, "attributes": {"latency": ` + fmt.Sprint(d.Milliseconds()) + `}}`)
}

func (w *wire) add(toxic string) error {
	for _, way := range []string{"upstream", "downstream"} {
		if _, err := w.Toxics.AddToxicJson(strings.NewReader(fmt.Sprintf(toxic, way))); err != nil {
			return err
		}
	}
	return nil
}

// heal ends what swallow and delay began. What was swallowed is gone.
func (w *wire) heal(ctx context.Context) error {
	return errors.Join(w.Toxics.RemoveToxic(ctx, "upstream"), w.Toxics.RemoveToxic(ctx, "downstream"))
}
