package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/pkg/events"
)

// tram is the real programs, with everything on. Its limits are as high as the
// configuration takes them, so that they are checked and do not bind.
type tram struct {
	scenario
	programs string // the directory they are in
	profile  string // the directory for CPU profiles, if any
}

// encodeSend makes send number i as a producer does.
func encodeSend(i, accounts int) (*events.Request, *nats.Msg, error) {
	r := sendOf(i, accounts)
	if err := r.Validate(); err != nil {
		return nil, nil, err
	}
	m, err := events.EncodeRequest(r)
	return r, m, err
}

func (t *tram) send(i int) (*nats.Msg, error) {
	_, m, err := encodeSend(i, t.accounts)
	return m, err
}

func (t *tram) setUp(ctx context.Context, r *rig) error {
	var b strings.Builder
	fmt.Fprintf(&b, "nats: {url: %q}\ndispatcher: {max_in_flight: %d}\nops: {listen: \"127.0.0.1:0\"}\naccounts:\n", r.broker, t.inflight)
	for i := range t.accounts {
		fmt.Fprintf(&b, "  - {provider: %[1]s, name: %[2]s, base_url: %[3]q, settings: {domain: %[2]s, oa_id: %[4]q}, limits: {per_second: 100000, burst: 1000, concurrency: %[5]d}}\n",
			provider, account(i), r.provider, oa, t.inflight)
	}
	if err := os.WriteFile(t.config(r), []byte(b.String()), 0o600); err != nil {
		return err
	}
	if out, err := t.command(r, "tram", "setup").CombinedOutput(); err != nil {
		return fmt.Errorf("tram setup: %w\n%s", err, out)
	}
	return nil
}

func (t *tram) config(r *rig) string { return filepath.Join(r.dir, "tram.yaml") }

func (t *tram) command(r *rig, program string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(t.programs, program), append(args, "--config", t.config(r))...)
	cmd.Env = slices.Clip(os.Environ())
	for i := range t.accounts {
		cmd.Env = append(cmd.Env, strings.ToUpper("TRAM_SECRET_"+provider+"_"+account(i)+"_TOKEN=")+token)
	}
	return cmd
}

func (t *tram) start(_ context.Context, r *rig) ([]*process, error) {
	var all []*process
	for _, program := range []string{"collector", "dispatcher"} {
		cmd := t.command(r, program)
		if t.profile != "" {
			cmd.Env = append(cmd.Env, "TRAM_CPUPROFILE="+filepath.Join(t.profile, program+".cpu.prof"))
		}
		p, err := launch(r.dir, program, cmd)
		if err != nil {
			return all, err
		}
		all = append(all, p)
	}
	return all, nil
}

func (t *tram) notices() (stream, filter string) { return broker.Events, "tram.delivery.*.*.accepted" }
