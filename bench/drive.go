package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"time"
)

// A rig is what one run plays on: a fresh broker, a fresh provider, and the
// processes of a contender.
type rig struct {
	contender
	scenario
	dir, provider string   // removed with the rig; URL
	nats, stub    *process // the broker and the provider
	workers       []*process
}

func newRig(ctx context.Context, dir string, c contender, s scenario) (_ *rig, err error) {
	r := &rig{contender: c, scenario: s}
	if r.dir, err = os.MkdirTemp(dir, "run-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			r.end()
		}
	}()
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	r.provider = "http://" + address
	r.stub, err = launch(r.dir, "provider", myself("provider", "-listen", address,
		"-n", strconv.Itoa(s.warmUp()+s.n), "-latency", s.latency.String()))
	if err != nil {
		return nil, err
	}
	if err = listening(ctx, address, r.stub); err != nil {
		return nil, err
	}
	r.nats, err = c.serve(ctx, r.dir)
	return r, err
}

// end stops everything.
func (r *rig) end() {
	r.close()
	for _, p := range r.processes() {
		p.stop()
	}
	os.RemoveAll(r.dir)
}

// processes are those that have been started.
func (r *rig) processes() []*process {
	return slices.DeleteFunc(slices.Concat(r.workers, []*process{r.nats, r.stub}), func(p *process) bool { return p == nil })
}

// alive returns an error if one of the processes has ended by itself.
func (r *rig) alive() error {
	for _, p := range r.processes() {
		if err := p.dead(); err != nil {
			return err
		}
	}
	return nil
}

// ask reads what the provider says at path into v.
func (r *rig) ask(path string, v any) error {
	resp, err := http.Get(r.provider + path)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return json.NewDecoder(resp.Body).Decode(v)
}

// begin starts the contender's processes.
func (r *rig) begin(ctx context.Context) (err error) {
	r.workers, err = r.start(ctx, r.dir, r.provider)
	return err
}

// finished returns when the last of n deliveries was stored. It fails when none
// was for a while.
func (r *rig) finished(ctx context.Context, n int) (last time.Time, err error) {
	const patience = 90 * time.Second // the client library asks anew after 30 for what it has lost
	had, since := 0, time.Now()
	err = until(ctx, time.Hour, "the deliveries", func() (bool, error) {
		stored, at, err := r.stored(ctx, n)
		last = at
		switch err = errors.Join(err, r.alive()); {
		case err != nil:
			return false, err
		case stored > n:
			return false, fmt.Errorf("%d deliveries for %d sends", stored, n)
		case stored > had:
			had, since = stored, time.Now()
		case time.Since(since) > patience:
			return false, fmt.Errorf("%d deliveries of %d, and no more for %s", stored, n, patience)
		}
		return stored == n, nil
	})
	return last, err
}

// workOff lets a contender work off a backlog that is there before it starts.
func (b *bench) workOff(ctx context.Context, c contender, s scenario) (*measured, error) {
	r, err := newRig(ctx, b.dir, c, s)
	if err != nil {
		return nil, err
	}
	defer r.end()
	if err := r.publish(ctx, 0, s.n, 0, nil); err != nil {
		return nil, err
	}
	before := r.used()
	if err := r.begin(ctx); err != nil {
		return nil, err
	}
	last, err := r.finished(ctx, s.n)
	if err != nil {
		return nil, err
	}
	return r.measure(before, last)
}
