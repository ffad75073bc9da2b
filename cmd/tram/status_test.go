package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/events"
)

// An operator pauses an account, sees that it is and what waits, and resumes it.
func TestLane(t *testing.T) {
	up := start(t, t.TempDir())
	const account = "caresoft/hotline"
	lane := func(want string, args ...string) {
		t.Helper()
		code, stdout, stderr := tram(t, "", append([]string{"lane"}, append(args, "-s", up.nats)...)...)
		// A dispatcher that is busy with other tests may confirm it later.
		if code != 0 || !strings.HasPrefix(stdout, strings.TrimSuffix(want, "\n")) {
			t.Errorf("tram lane %s: got %d, %q, %q, want %q", strings.Join(args, " "), code, stdout, stderr, want)
		}
	}
	lane("paused caresoft/hotline\n", "pause", account, "--by", "an", "--reason", "their office moves")

	const waiting = 200 // more than a lane reads before it works
	nc, err := nats.Connect(up.nats)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	for i := range waiting {
		m, err := events.EncodeRequest(&events.Request{
			Meta: events.Meta{ID: fmt.Sprint("w", i), Source: "/test"}, Kind: events.KindSend,
			Provider: "caresoft", Account: "hotline", Class: events.Bulk,
			Send: &events.Send{
				Recipient: events.Recipient{Kind: events.ByPhone, Value: "0900000001"}, Timing: events.Timing{ExpiresAtMS: time.Now().UnixMilli()},
				Content: events.Content{Kind: events.ContentText, Text: "hi"},
			},
		})
		if err == nil {
			_, err = nc.RequestMsg(m, 5*time.Second)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	s := awaitStatus(t, up.nats, func(s *relayStatus) bool {
		return len(s.Lanes) == 1 && s.Lanes[0].Waiting == waiting && len(s.Dispatchers) == 1 && s.Dispatchers[0].Partitions == 64
	})
	l := s.Lanes[0]
	if l.State != events.LanePaused || l.By != "an" || l.Why != "their office moves" || !l.Behind[2] || time.Since(time.UnixMilli(l.SinceMS)) > time.Minute {
		t.Errorf("lane is %+v", l)
	}
	if s.Unowned != 0 || s.Silent != nil || s.Collector == nil {
		t.Errorf("status is %+v", s)
	}
	if lines := tail(t, up.nats, 1); !strings.Contains(lines[0], ` lane     caresoft/hotline paused by an (their office moves) was=working`) {
		t.Errorf("told %q", lines)
	}
	_, table, _ := tram(t, "", "status", "-s", up.nats)
	if row := regexp.MustCompile(`(?m)^caresoft/hotline  paused +\d+s +- +200 +0/\d+ +by an: their office moves$`); !row.MatchString(table) {
		t.Errorf("the table has no such row:\n%s", table)
	}

	lane("paused momo/shop\n", "pause", "--provider", "momo")
	lane("resumed caresoft/hotline\nresumed momo/shop\n", "resume", account, "momo/shop")
	awaitStatus(t, up.nats, func(s *relayStatus) bool { return len(s.Lanes) == 0 && len(s.Dispatchers) == 1 })
}

// awaitStatus asks until the answer is as it should be.
func awaitStatus(t *testing.T, server string, good func(*relayStatus) bool) *relayStatus {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		code, stdout, stderr := tram(t, "", "status", "--json", "-s", server)
		var s relayStatus
		if err := json.Unmarshal([]byte(stdout), &s); code != 0 || err != nil {
			t.Fatalf("got %d, %v, %q, %q", code, err, stdout, stderr)
		}
		if good(&s) {
			return &s
		}
		if time.Now().After(deadline) {
			t.Fatalf("status stays %+v", s)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// TestStatus_watch makes sure that what is watched by a program is JSON lines.
func TestStatus_watch(t *testing.T) {
	up := start(t, t.TempDir())
	watchEvery = 20 * time.Millisecond
	t.Cleanup(func() { watchEvery = 2 * time.Second })
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, w := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"status", "--watch", "--json", "-s", up.nats}, nil, w, t.Output())
		w.Close()
	}()
	lines := bufio.NewScanner(r)
	for range 2 {
		if !lines.Scan() || !json.Valid(lines.Bytes()) {
			t.Fatalf("got %q", lines.Text())
		}
	}
	cancel()
	go io.Copy(io.Discard, r) //nolint:errcheck // ends with the pipe
	if code := <-ended; code != 0 {
		t.Errorf("exits with %d", code)
	}
}

func TestStatus_table(t *testing.T) {
	now := time.Now()
	ms := func(d time.Duration) int64 { return now.Add(d).UnixMilli() }
	full := &relayStatus{
		Dispatchers: []ledger.Status{{ID: "CcQi4z19y96y4CTX2Gf0Vn", StartedMS: ms(-50 * time.Hour), Partitions: 60, LaneCount: 5000, InFlight: 12}},
		Silent:      []string{"7PJLkNIFSZqAzNl6OKVQUx-1"}, Unowned: 4,
		Collector: &collectorLag{Unread: 10, Reading: 2}, Dead: map[string]int{"unknown": 1, "event": 20},
		Lanes: []laneStatus{
			{Waiting: 1_000_000, Lane: ledger.Lane{Provider: "facebook", Account: "page-1", State: events.LaneCredentialRefused, SinceMS: ms(-90 * time.Minute), Concurrency: 16, Why: "unauthorized, HTTP 401, to be tried again with the next call"}},
			{Waiting: 52, Lane: ledger.Lane{Provider: "momo", Account: "shop", State: events.LaneBreakerOpen, SinceMS: ms(-70 * time.Second), UntilMS: ms(7500 * time.Millisecond), InFlight: 1, Concurrency: 16, Why: "9 of 10 calls failed within 10s"}},
			{Waiting: 3, Lane: ledger.Lane{Provider: "momo", Account: "other", State: events.LanePaused, Concurrency: 4, By: "an"}},
		},
	}
	want := `DISPATCHER              UP    PARTITIONS  ACCOUNTS  IN FLIGHT
CcQi4z19y96y4CTX2Gf0Vn  2d2h  60          5000      12
7PJLkNIFSZqAzNl6OKVQUx-1 does not answer
4 partitions have no dispatcher at the moment

ACCOUNT          STATE               FOR    NEXT  WAITING  CALLS  WHY
facebook/page-1  credential_refused  1h30m  -     1000000  0/16   unauthorized, HTTP 401, to be tri…
momo/shop        breaker_open        1m10s  7s    52       1/16   9 of 10 calls failed within 10s
momo/other       paused              -      -     3        0/4    by an

collectors    10 results to read, 2 being read
dead letters  20 event, 1 unknown
`
	var got strings.Builder
	full.table(&got, newPrinter(&got, false), false)
	if got.String() != want {
		t.Errorf("got\n%s\nwant\n%s", got.String(), want)
	}
	for line := range strings.Lines(got.String()) {
		if n := len([]rune(line)); n > 101 {
			t.Errorf("a line has %d columns: %s", n-1, line)
		}
	}
	got.Reset()
	new(relayStatus).table(&got, newPrinter(&got, false), false)
	want = `no dispatcher runs: requests are kept until one does

no account is held back

collectors    none has ever run: results are kept until one does
dead letters  none
`
	if got.String() != want {
		t.Errorf("got\n%s\nwant\n%s", got.String(), want)
	}
	got.Reset()
	end := now.Add(8 * time.Hour)
	quiet := &relayStatus{Lanes: []laneStatus{{Waiting: 70, Lane: ledger.Lane{
		Provider: "momo", Account: "shop", State: events.LaneWorking, Concurrency: 4, Quiet: map[events.Class]int64{events.Bulk: end.UnixMilli()},
	}}}}
	quiet.lanes(&got, newPrinter(&got, false))
	if row := "momo/shop  working  -    -     70       0/4    bulk quiet until " + end.Format("Mon 15:04") + "\n"; !strings.HasSuffix(got.String(), row) {
		t.Errorf("got %q, want %q last", got.String(), row)
	}
	got.Reset()
	full.lanes(&got, &printer{colour: true})
	if !strings.Contains(got.String(), "momo/shop        \x1b[31mbreaker_open\x1b[0m        1m10s") {
		t.Errorf("got %q", got.String())
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 59*time.Second + 999*time.Millisecond: "59s", time.Hour - time.Second: "59m59s",
		23*time.Hour + 59*time.Minute: "23h59m", 75 * time.Hour: "3d3h",
	} {
		if got := span(d); got != want {
			t.Errorf("%s is %s, want %s", d, got, want)
		}
	}
}
