//go:build failpoints && unix

package failpoint

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http/httptrace"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A trap is what happens at a point.
type trap struct {
	freeze time.Duration // 0 kills
	at     int           // the hit at which it does, or
	chance float64       // of each hit
}

var (
	mu     sync.Mutex
	traps  map[Point]trap
	hits   = map[Point]int{}
	random *rand.Rand
)

func init() {
	seed, err := strconv.ParseUint(cmp.Or(os.Getenv(SeedVariable), "0"), 10, 64)
	if err == nil {
		traps, err = parse(os.Getenv(Variable))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "failpoints:", err)
		os.Exit(2)
	}
	random = rand.New(rand.NewPCG(seed, 0))
}

// Hit says that the process is at p.
func Hit(p Point) {
	t, armed := traps[p]
	if !armed {
		return
	}
	mu.Lock() // for good when it kills: nobody else passes a point
	hits[p]++
	if hits[p] != t.at && random.Float64() >= t.chance {
		mu.Unlock()
		return
	}
	fmt.Fprintf(os.Stderr, "failpoint=%s hit=%d freeze=%s\n", p, hits[p], t.freeze)
	if t.freeze == 0 {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
	freeze(t.freeze)
	mu.Unlock()
}

// freeze stops the whole process, as a hypervisor would. Who is stopped cannot
// go on by himself: a shell sees to that.
func freeze(d time.Duration) {
	wake := exec.Command("sh", "-c", fmt.Sprintf("sleep %f; kill -CONT %d", d.Seconds(), os.Getpid()))
	if err := wake.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "failpoints:", err)
		os.Exit(2)
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	_ = wake.Wait()
}

// OnWrite returns ctx for a call that passes [MidCall].
func OnWrite(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteRequest: func(httptrace.WroteRequestInfo) { Hit(MidCall) },
	})
}

func parse(text string) (map[Point]trap, error) {
	found := map[Point]trap{}
	if text == "" {
		return found, nil
	}
	for item := range strings.SplitSeq(text, ",") {
		name, what, _ := strings.Cut(item, "=")
		action, when, _ := strings.Cut(what, "@")
		p := Point(name)
		if !slices.Contains(Dispatcher, p) && !slices.Contains(Collector, p) {
			return nil, fmt.Errorf("%s: there is no point %q", item, name)
		}
		var t trap
		if d, freezes := strings.CutPrefix(action, "freeze:"); freezes {
			var err error
			if t.freeze, err = time.ParseDuration(d); err != nil || t.freeze <= 0 {
				return nil, fmt.Errorf("%s: freeze for how long, as in freeze:3s", item)
			}
		} else if action != "kill" {
			return nil, fmt.Errorf("%s: the action is kill or freeze:<time>", item)
		}
		if share, chance := strings.CutSuffix(when, "%"); chance {
			n, err := strconv.ParseFloat(share, 64)
			if err != nil || n <= 0 || n > 100 {
				return nil, fmt.Errorf("%s: want a share of the hits, as in @5%%", item)
			}
			t.chance = n / 100
		} else {
			n, err := strconv.Atoi(when)
			if err != nil || n < 1 {
				return nil, fmt.Errorf("%s: at which hit, as in @3", item)
			}
			t.at = n
		}
		found[p] = t
	}
	return found, nil
}
