package wiring

import (
	"context"
	"errors"
	"os"
	"reflect"
	"time"

	"github.com/tramhq/tram/internal/config"
)

// A Loader reads the configuration again, from its file and the files of its
// secrets. As long as these are the same it returns the same, see
// [config.Source].
type Loader func() (*config.Config, error)

// reloadEvery is how soon a changed file is noticed. Reading it again is the
// whole check: it sees through the symbolic links that Kubernetes swaps, where
// watching a file would not.
const reloadEvery = 5 * time.Second

// reload calls update whenever accounts or groups of the configuration have changed,
// at the latest reloadEvery after their files have, and at once on hup, until
// ctx is done. A configuration that is not valid changes nothing and is
// told once.
func reload(ctx context.Context, hup <-chan os.Signal, p Process, update func(*config.Config) error) {
	now := *p.Config // of its own: it changes
	tick := time.NewTicker(reloadEvery)
	defer tick.Stop()
	var told string
	for {
		select {
		case <-ctx.Done():
			return
		case <-hup:
			told = ""
		case <-tick.C:
		}
		c, err := p.Load()
		if err == nil && !(reflect.DeepEqual(c.Accounts, now.Accounts) && reflect.DeepEqual(c.Groups, now.Groups)) {
			if err = update(c); err == nil {
				now.Accounts, now.Groups = c.Accounts, c.Groups
				p.Log.Info("accounts reloaded", "accounts", len(c.Accounts), "groups", len(c.Groups))
			}
		}
		if err == nil && !reflect.DeepEqual(c, &now) {
			err = errRestart
		}
		p.Ops.ConfigRefused(err != nil)
		switch {
		case err == nil:
			told = ""
		case err.Error() != told:
			told = err.Error()
			p.Log.Error("configuration not reloaded, the old one stays", "error", err)
		}
	}
}

var errRestart = errors.New("only accounts and groups are changed while running: the other changes need a restart")
