package wiring

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tramhq/tram/internal/config"
)

func TestReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := config.Account{Provider: "caresoft", Name: "one"}
		two := config.Account{Provider: "caresoft", Name: "two"}
		disk, broken := &config.Config{Accounts: []config.Account{one}}, error(nil)
		load := func() (*config.Config, error) { c := *disk; return &c, broken }

		var got [][]config.Account
		var said bytes.Buffer
		ctx, stop := context.WithCancel(t.Context())
		now := *disk
		done := make(chan struct{})
		go func() {
			defer close(done)
			reload(ctx, nil, &now, load, slog.New(slog.NewTextHandler(&said, nil)), func(c *config.Config) error {
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
		disk = &config.Config{Accounts: []config.Account{one, two}}
		pass()
		if len(got) != 1 || len(got[0]) != 2 {
			t.Errorf("got updates %v, want one with both accounts", got)
		}
		broken = errors.New("line 3: limits are wrong")
		pass()
		broken = nil
		disk = &config.Config{Accounts: disk.Accounts, Streams: config.Streams{Partitions: 8}}
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
