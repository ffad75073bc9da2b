package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
)

// tram is the real programs with everything on: intents, limits, breakers,
// redaction, metrics that are served. Its limits are as high as the
// configuration takes them, so that they are looked at and do not bind.
type tram struct {
	scenario
	programs string // the directory they are in
	profile  string // the directory for profiles, "" for none
	onJetStream
}

func newTram(s scenario, programs, profile string) contender {
	return &tram{s, programs, profile, onJetStream{
		stream: broker.Events, filter: "tram.delivery.*.*.accepted",
		setUp: func(ctx context.Context, js jetstream.JetStream) error {
			setup := exec.CommandContext(ctx, filepath.Join(programs, "tram"), "setup", "--server", js.Conn().ConnectedUrl())
			if out, err := setup.CombinedOutput(); err != nil {
				return fmt.Errorf("tram setup: %w\n%s", err, out)
			}
			return nil
		},
		send: func(i int) (*nats.Msg, error) { return sendOf(i, s.accounts) },
	}}
}

func (t *tram) start(_ context.Context, dir, url string) ([]*process, error) {
	config := filepath.Join(dir, "tram.yaml")
	var b strings.Builder
	fmt.Fprintf(&b, "nats: {url: %q}\ndispatcher: {max_in_flight: %d}\nops: {listen: \"127.0.0.1:0\"}\naccounts:\n", t.url, t.inflight)
	env := os.Environ()
	for i := range t.accounts {
		fmt.Fprintf(&b, "  - provider: %s\n    name: %s\n    base_url: %q\n    settings: {domain: %[2]s, oa_id: %[4]q}\n"+
			"    limits: {per_second: 100000, burst: 1000, concurrency: %[5]d}\n", provider, account(i), url, oa, t.inflight)
		env = append(env, strings.ToUpper("TRAM_SECRET_"+provider+"_"+account(i)+"_TOKEN=")+token)
	}
	if err := os.WriteFile(config, []byte(b.String()), 0o600); err != nil {
		return nil, err
	}
	return t.crew(dir, func(role string, i int) *exec.Cmd {
		cmd := exec.Command(filepath.Join(t.programs, role), "--config", config)
		cmd.Env = env
		if t.profile != "" {
			cmd.Env = append(env[:len(env):len(env)], "TRAM_CPUPROFILE="+filepath.Join(t.profile, fmt.Sprintf("%s-%d.cpu.prof", role, i)))
		}
		return cmd
	})
}
