package wiring

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/tramhq/tram/internal/broker/brokertest"
	"github.com/tramhq/tram/internal/config"
)

func TestStart(t *testing.T) {
	ready := brokertest.Start(t)
	empty := brokertest.StartEmpty(t)
	ran := func(context.Context, Process) error { return nil }
	failed := func(context.Context, Process) error { return errors.New("out of luck") }
	tests := []struct {
		name   string
		args   []string
		server string
		run    Run
		code   int
		says   string
	}{
		{"version", []string{"--version"}, "", nil, ExitOK, "worker "},
		{"help", []string{"--help"}, "", nil, ExitOK, "-config file"},
		{"flag", []string{"--cnfig", "x"}, "", nil, ExitUsage, "cnfig"},
		{"argument", []string{"x"}, "", nil, ExitUsage, "takes no arguments"},
		{"no file", []string{"--config", "nowhere.yaml"}, "", nil, ExitRefused, "read configuration: open nowhere.yaml"},
		{"bad setting", nil, "http://x", nil, ExitRefused, "nats.url must be URLs such as"},
		{"no broker", nil, "127.0.0.1:1", nil, ExitUnreachable, "not started"},
		{"no streams", nil, empty.URL, nil, ExitUnreachable, "tram setup"},
		{"done", nil, ready.URL, ran, ExitOK, "msg=started"},
		{"failed", nil, ready.URL, failed, ExitFailure, "out of luck"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			if test.name == "no broker" { // which is waited for, until told to stop
				ctx, cancel = context.WithTimeout(t.Context(), 100*time.Millisecond)
			}
			defer cancel()
			var out strings.Builder
			code := start(ctx, "worker", test.args, []string{"NATS_URL=" + test.server}, &out, &out, test.run)
			if code != test.code || !strings.Contains(out.String(), test.says) {
				t.Errorf("got %d and %q, want %d and %q", code, out.String(), test.code, test.says)
			}
		})
	}
}

func TestLogger(t *testing.T) {
	var out strings.Builder
	Logger(&out, config.Log{Level: slog.LevelWarn, Format: "json"}).Info("quiet")
	Logger(&out, config.Log{Level: slog.LevelWarn, Format: "json"}).Warn("loud", "token", config.NATS{Token: "canary"}.Token)
	if got := out.String(); !strings.HasPrefix(got, `{"time"`) || strings.Count(got, "\n") != 1 || strings.Contains(got, "canary") {
		t.Errorf("got %q", got)
	}
}
