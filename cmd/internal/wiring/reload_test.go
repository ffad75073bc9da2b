package wiring

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tramhq/tram/internal/config"
	"github.com/tramhq/tram/internal/ops"
)

func TestReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := config.Account{Provider: "caresoft", Name: "one"}
		two := config.Account{Provider: "caresoft", Name: "two"}
		disk, broken := &config.Config{Accounts: []config.Account{one}}, error(nil)
		var mu sync.Mutex
		change := func(c *config.Config, err error) {
			mu.Lock()
			defer mu.Unlock()
			disk, broken = c, err
		}
		load := func() (*config.Config, error) {
			mu.Lock()
			defer mu.Unlock()
			c := *disk
			return &c, broken
		}

		var got [][]config.Account
		var said bytes.Buffer
		ctx, stop := context.WithCancel(t.Context())
		now := *disk
		o, err := ops.Start("", "test", slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		p := Process{Config: &now, Load: load, Log: slog.New(slog.NewTextHandler(&said, nil)), Ops: o}
		done := make(chan struct{})
		go func() {
			defer close(done)
			reload(ctx, nil, p, func(c *config.Config) error {
				got = append(got, c.Accounts)
				return nil
			})
		}()
		pass := func() { // time for several looks at the files
			t.Helper()
			for range 3 {
				<-time.After(reloadEvery)
			}
			synctest.Wait()
		}
		pass()
		if len(got) != 0 {
			t.Errorf("%d updates of what has not changed", len(got))
		}
		both := []config.Account{one, two}
		change(&config.Config{Accounts: both}, nil)
		pass()
		if len(got) != 1 || len(got[0]) != 2 {
			t.Errorf("got updates %v, want one with both accounts", got)
		}
		change(&config.Config{}, errors.New("line 3: limits are wrong"))
		pass()
		change(&config.Config{Accounts: both, Streams: config.Streams{Partitions: 8}}, nil)
		pass()
		stop()
		<-done
		if len(got) != 1 {
			t.Errorf("%d updates, want one", len(got))
		}
		for _, want := range []string{"line 3: limits are wrong", "need a restart"} {
			if n := strings.Count(said.String(), want); n != 1 {
				t.Errorf("said %q %d times, want once:\n%s", want, n, &said)
			}
		}
	})
}
