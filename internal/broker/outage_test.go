package broker_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tramhq/tram/internal/broker"
)

// An outage of an hour with a try every second is told sixty times, and its end
// once; one that comes back at once is not told again.
func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		o := broker.NewOutage(slog.New(slog.NewTextHandler(&log, nil)), "it does not work")
		count := func(level string) int { return strings.Count(log.String(), "level="+level) }
		o.Worked()
		for range 3600 {
			o.Failed(errors.New("full"))
			if !o.Lasts() {
				t.Fatal("it does not last")
			}
			time.Sleep(time.Second)
		}
		o.Worked()
		o.Worked()
		if o.Lasts() || count("WARN") != 60 || count("INFO") != 1 || !strings.Contains(log.String(), "after=1h") {
			t.Errorf("got %d warnings and %d infos:\n%s", count("WARN"), count("INFO"), &log)
		}
		log.Reset()
		for range 600 { // flaps for ten minutes
			o.Failed(errors.New("full"))
			time.Sleep(time.Second)
			o.Worked()
		}
		if n := count("WARN"); n > 11 || count("INFO") > n {
			t.Errorf("got %d warnings and %d infos of one that flaps", n, count("INFO"))
		}
	})
}
