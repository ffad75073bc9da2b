package main

import (
	"context"
	"time"
)

// halfOpen lets nothing through on the connections of one process, which do not
// break: neither side is told. Others have taken over when they heal.
func (r *crashRun) halfOpen(ctx context.Context) error {
	return r.onWires(ctx, func(w *wire) error {
		if err := w.swallow(); err != nil {
			return err
		}
		err := pause(ctx, outlast)
		return joinFirst(err, w.heal(ctx))
	})
}

// cutConnections breaks the connections of one process.
func (r *crashRun) cutConnections(ctx context.Context) error {
	return r.onWires(ctx, func(w *wire) error { return w.cut(ctx, time.Duration(r.random.IntN(2000))*time.Millisecond) })
}

// slowConnections delays what goes either way on the connections of one process.
func (r *crashRun) slowConnections(ctx context.Context) error {
	return r.onWires(ctx, func(w *wire) error {
		if err := w.delay(time.Duration(r.random.IntN(1000)) * time.Millisecond); err != nil {
			return err
		}
		err := pause(ctx, outlast)
		return joinFirst(err, w.heal(ctx))
	})
}

// onWires gives each process a wire of its own to the broker, and hurts one
// after the other.
func (r *crashRun) onWires(ctx context.Context, hurt func(*wire) error) error {
	var wires []*wire
	defer func() {
		for _, w := range wires {
			w.Stop()
		}
	}()
	var failed error
	err := r.cast(func(string) []string {
		w, err := newWire(r.address)
		if err != nil {
			failed = err
			return nil
		}
		wires = append(wires, w)
		return []string{"NATS_URL=nats://" + w.Listen}
	})
	if err = joinFirst(err, failed); err != nil {
		return err
	}
	for range r.plan.Faults {
		if err := r.awaitCalls(ctx, 50); err != nil {
			return err
		}
		if err := hurt(wires[r.random.IntN(len(wires))]); err != nil {
			return err
		}
		r.times++
	}
	if err := r.awaitCalls(ctx, 50); err != nil {
		return err
	}
	return r.crew.calm() // the wires go
}
