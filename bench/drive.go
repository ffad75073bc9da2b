package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A bench runs contenders.
type bench struct {
	dir      string // removed at the end
	programs string // tram's
	profile  string
}

// newBench builds tram's programs from this tree.
func newBench(ctx context.Context, profile string) (*bench, error) {
	dir, err := os.MkdirTemp("", "tram-bench-")
	if err != nil {
		return nil, err
	}
	b := &bench{dir: dir, programs: filepath.Join(dir, "bin"), profile: profile}
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/tramhq/tram").Output()
	if err != nil {
		return nil, fmt.Errorf("find tram: run this in bench: %w", err)
	}
	args := []string{"build", "-C", strings.TrimSpace(string(root)), "-o", b.programs + string(filepath.Separator)}
	if profile != "" {
		args = append(args, "-tags", "profile")
		err = os.MkdirAll(profile, 0o700)
	}
	args = append(args, "./cmd/tram", "./cmd/dispatcher", "./cmd/collector")
	if err == nil {
		var out []byte
		if out, err = exec.CommandContext(ctx, "go", args...).CombinedOutput(); err != nil {
			err = fmt.Errorf("build tram: %w\n%s", err, out)
		}
	}
	if err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

func (b *bench) close() { os.RemoveAll(b.dir) }

// A rig is what one run of a contender plays on: a fresh broker and a fresh
// provider, each a process of its own.
type rig struct {
	dir              string // removed with the rig
	broker, provider string // URLs
	nats, stub       *process
	nc               *nats.Conn
	js               jetstream.JetStream
}

func newRig(ctx context.Context, dir string, s scenario) (_ *rig, err error) {
	r := &rig{}
	if r.dir, err = os.MkdirTemp(dir, "run-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	r.broker = "nats://" + address
	if r.nats, err = myself(r.dir, "broker", "broker", "-dir", filepath.Join(r.dir, "broker"), "-listen", address); err != nil {
		return nil, err
	}
	if err = listening(ctx, address, r.nats); err != nil {
		return nil, err
	}
	if address, err = freeAddress(); err != nil {
		return nil, err
	}
	r.provider = "http://" + address
	if r.stub, err = myself(r.dir, "provider", "provider", "-listen", address, "-n", strconv.Itoa(s.n), "-latency", s.latency.String()); err != nil {
		return nil, err
	}
	if err = listening(ctx, address, r.stub); err != nil {
		return nil, err
	}
	if r.nc, err = nats.Connect(r.broker); err != nil {
		return nil, err
	}
	r.js, err = jetstream.New(r.nc)
	return r, err
}

func (r *rig) close() {
	if r.nc != nil {
		r.nc.Close()
	}
	for _, p := range []*process{r.nats, r.stub} {
		if p != nil {
			p.stop()
		}
	}
	os.RemoveAll(r.dir)
}

// ask reads what the stub says at path into v.
func (r *rig) ask(path string, v any) error {
	resp, err := http.Get(r.provider + path)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return json.NewDecoder(resp.Body).Decode(v)
}

// run lets a contender work off a backlog that is there before it starts.
func (b *bench) run(ctx context.Context, name string, s scenario) (*measured, error) {
	c, err := b.contenderOf(name, s)
	if err != nil {
		return nil, err
	}
	r, err := newRig(ctx, b.dir, s)
	if err != nil {
		return nil, err
	}
	defer r.close()
	if err := c.setUp(ctx, r); err != nil {
		return nil, err
	}
	pub, err := newPublisher(r.nc, window)
	if err != nil {
		return nil, err
	}
	if err := pub.all(s.n, c.send); err != nil {
		return nil, err
	}
	before := r.used(nil)
	began := time.Now()
	workers, err := c.start(ctx, r)
	defer func() {
		for _, p := range workers {
			p.stop()
		}
	}()
	if err != nil {
		return nil, err
	}
	last, err := r.finished(ctx, c, s.n, workers)
	if err != nil {
		return nil, err
	}
	return r.measure(s, began, last, before, workers)
}

// finished returns when the last of n deliveries was stored.
func (r *rig) finished(ctx context.Context, c contender, n int, workers []*process) (last time.Time, err error) {
	const patience = 10 * time.Minute
	stream, filter := c.notices()
	st, err := r.js.Stream(ctx, stream)
	if err != nil {
		return last, err
	}
	stored := uint64(0)
	err = until(ctx, patience, fmt.Sprintf("%d deliveries", n), func() (bool, error) {
		info, err := st.Info(ctx)
		if err != nil || info.State.Msgs < uint64(n) {
			return false, errors.Join(err, alive(append(workers, r.nats, r.stub)))
		}
		// Other events may be among them.
		if info, err = st.Info(ctx, jetstream.WithSubjectFilter(filter)); err != nil {
			return false, err
		}
		stored = 0
		for _, n := range info.State.Subjects {
			stored += n
		}
		last = info.State.LastTime
		return stored >= uint64(n), nil
	})
	if err == nil && stored > uint64(n) {
		err = fmt.Errorf("%d deliveries for %d sends", stored, n)
	}
	return last, err
}

// alive returns an error if one of the processes has ended by itself.
func alive(all []*process) error {
	for _, p := range all {
		if err := p.dead(); err != nil {
			return err
		}
	}
	return nil
}
