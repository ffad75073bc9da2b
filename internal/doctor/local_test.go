package doctor

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tramhq/tram/internal/broker/brokertest"
	"github.com/tramhq/tram/internal/config"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/events"
)

func TestMain(m *testing.M) { brokertest.VerifyTestMain(m) }

// check makes sure that there is one finding, of that grade, with those words and,
// unless it is ok, with something to do.
func check(t *testing.T, all []Finding, grade Grade, says string) {
	t.Helper()
	if len(all) != 1 || all[0].Grade != grade || !strings.Contains(all[0].About+": "+all[0].Text, says) {
		t.Errorf("got %+v, want %s that says %q", all, grade, says)
	}
	for _, f := range all {
		if f.Check == "" || (f.Do == "") != (f.Grade == OK) || strings.Contains(f.Text, "\n") {
			t.Errorf("got %+v", f)
		}
	}
}

func TestConfig(t *testing.T) {
	c := &config.Config{Accounts: make([]config.Account, 2)}
	check(t, Config("tram.yaml", c, nil), OK, "tram.yaml is valid: 2 accounts")
	check(t, Config("", c, nil), Warn, "which names no accounts")
	check(t, Config("tram.yaml", nil, &config.Error{Faults: []config.Fault{{Line: 3, Setting: "nats.urll", Text: "is not a setting"}}}), Fail, "line 3: nats.urll is not a setting")
	check(t, Config("tram.yaml", nil, errors.New("no such file")), Fail, "no such file")
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(path, []byte(text), mode), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := file("good", "SU…", 0o600)
	check(t, Files(&config.Config{NATS: config.NATS{NKey: good}}, []string{"TRAM_SECRET_MOMO_SHOP_TOKEN_FILE=" + good, "HOME=/"}), OK, "2 files can be read")
	check(t, Files(&config.Config{NATS: config.NATS{NKey: filepath.Join(dir, "gone")}}, nil), Fail, "gone: there is no file of nats.nkey")
	check(t, Files(&config.Config{NATS: config.NATS{Creds: dir}}, nil), Fail, "nats.creds cannot be read: is a directory")
	check(t, Files(&config.Config{}, []string{"NATS_TOKEN_FILE=" + file("empty", "\n", 0o600)}), Fail, "empty: the file of NATS_TOKEN_FILE is empty")
	check(t, Files(&config.Config{NATS: config.NATS{Key: file("open", "key", 0o644)}}, nil), Warn, "open: everybody on this machine can read the file of nats.key")
	check(t, Files(&config.Config{NATS: config.NATS{CA: file("ca", "certificate", 0o644)}}, nil), OK, "1 file can be read")
}

func TestOwners(t *testing.T) {
	one := []ledger.Status{{ID: "d1"}}
	check(t, Owners(one, nil, 0), OK, "1 dispatcher, and every partition has one")
	check(t, Owners(nil, nil, 64), Fail, "no dispatcher runs")
	check(t, Owners(one, nil, 3), Fail, "3 partitions have no dispatcher")
	check(t, Owners(one, []string{"m2"}, 0), Fail, "m2: this dispatcher does not answer")
}

func TestVersions(t *testing.T) {
	check(t, Versions([]ledger.Status{{Version: "v1.0.0"}, {Version: "v1.0.0"}}), OK, "v1.0.0")
	check(t, Versions([]ledger.Status{{Version: "v1.1.0"}, {}, {Version: "v1.1.0"}}), Warn, "1 of an older one, 2 of v1.1.0")
	check(t, Versions(nil), OK, "no dispatcher runs")
}

func TestLanes(t *testing.T) {
	lane := func(s events.LaneState) []ledger.Lane {
		return []ledger.Lane{{Provider: "momo", Account: "shop", State: s, By: "ann", Why: "a test"}}
	}
	check(t, Lanes(lane(events.LaneSilenced)), OK, "no account is held back")
	check(t, Lanes(lane(events.LanePaused)), Warn, "momo/shop: it is paused by ann: a test")
	check(t, Lanes(lane(events.LaneBreakerOpen)), Warn, "its breaker is open: a test")
	check(t, Lanes(lane(events.LaneBreakerProbing)), Warn, "its breaker is open")
	check(t, Lanes(lane(events.LaneCredentialRefused)), Fail, "refuses its credential")
}

func TestDead(t *testing.T) {
	check(t, Dead(nil), OK, "no letter")
	check(t, Dead(map[string]int{"unknown": 1, "refused": 2}), Warn, "2 refused, 1 unknown")
}

func TestClock(t *testing.T) {
	for ahead, want := range map[time.Duration]Grade{0: OK, time.Second: OK, -5 * time.Second: Warn, 2 * time.Second: Warn, time.Minute: Fail, -time.Hour: Fail} {
		f := findings{check: CheckClocks}
		f.clock("dispatcher d1", ahead)
		if all := f.done("fine"); all[0].Grade != want || want != OK && strings.Contains(all[0].Text, "ahead") != (ahead < 0) {
			t.Errorf("%v: got %+v, want %s", ahead, all, want)
		}
	}
}
