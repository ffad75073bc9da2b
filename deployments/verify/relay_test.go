package verify

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// relayConfig is a relay whose accounts fare in different ways, and whose stream
// of requests is soon full.
const relayConfig = `
broker: {listen: 127.0.0.1:0, dir: %[1]s/data}
ops: {listen: 127.0.0.1:0}
log: {calls: none}
streams:
  requests: {max_bytes: 1MiB}
dispatcher:
  retry: {base: 50ms, max: 50ms, max_attempts: 8}
accounts:
`

const accountConfig = `
- provider: webhook
  name: %[1]s
  base_url: %[2]s/%[1]s
  settings: {accepts: "phone:text", body: '{"to": "{{recipient.value}}", "text": "{{content.text}}"}', answer: any}
  breaker: {min_calls: 3}
  limits: %[3]s
`

var accounts = map[string]string{"good": "{}", "failing": "{}", "refused": "{}", "throttled": "{}", "cut": "{}", "paused": "{}", "limited": "{per_hour: 1}"}

// provider answers as the account is called. It also is where spans go, in vain.
func provider(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	switch strings.Trim(r.URL.Path, "/") {
	case "v1/traces":
		w.WriteHeader(http.StatusForbidden)
	case "failing":
		w.WriteHeader(http.StatusServiceUnavailable)
	case "refused":
		w.WriteHeader(http.StatusUnauthorized)
	case "throttled":
		w.Header().Set("Retry-After", "120")
		w.WriteHeader(http.StatusTooManyRequests)
	case "cut":
		panic(http.ErrAbortHandler) // the connection ends without an answer
	}
}

// TestAlerts_relay causes what alerts are about in processes that run, and has
// the alerts judge what these export: none fires while nothing is wrong, and each
// does once it is. Only time is made up: what was scraped goes on like that.
func TestAlerts_relay(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(provider))
	defer srv.Close()
	dir := t.TempDir()
	file := filepath.Join(dir, "tram.yaml")
	var text strings.Builder
	fmt.Fprintf(&text, relayConfig, dir)
	for _, name := range slices.Sorted(maps.Keys(accounts)) {
		fmt.Fprintf(&text, accountConfig, name, srv.URL, accounts[name])
	}
	write(t, file, text.String())
	url, ops := up(t, file, "OTEL_EXPORTER_OTLP_ENDPOINT="+srv.URL)
	send := func(account string, args ...string) {
		t.Helper()
		tram(t, url, append([]string{"send", "webhook/" + account, "--phone", "0900000001", "--text", "Hello"}, args...)...) // of two texts the last holds
	}
	send("good", "--wait")
	before := until(t, ops, map[string]string{"ready": `tram_ready == 1`, "storing": `tram_stream_messages{stream="TRAM_EVENTS"} > 0`})

	tram(t, url, "lane", "pause", "webhook/paused", "--reason", "a test")
	for _, account := range []string{"failing", "failing", "failing", "refused", "throttled", "cut", "limited"} {
		send(account, "--class", "urgent")
	}
	write(t, file, text.String()+"no_such_setting: 1\n")
	trouble := until(t, ops, map[string]string{
		"breaker":    `tram_lane_state{account="failing", state=~"breaker_open|breaker_probing"} == 1`,
		"credential": `tram_lane_state{account="refused", state="credential_refused"} == 1`,
		"pause":      `tram_lane_state{account="paused", state="paused"} == 1`,
		"throttle":   `tram_dispatcher_calls_total{account="throttled", class="throttled"} > 0`,
		"unknown":    `tram_dispatcher_results_total{account="cut", state="unknown"} > 0`,
		"letter":     `tram_collector_dead_letters_total{group="unknown"} > 0 and on () tram_stream_messages{stream="TRAM_DEAD"} > 0`,
		"age":        `tram_lane_oldest_request_seconds{account="limited", class="urgent"} >= 0`,
		"reload":     `tram_config_refused == 1`,
		"spans":      `tram_telemetry_spans_total{end="failed"} > 0`,
	})
	long := strings.Repeat("\U0001F4E8", 10_000) // four bytes each, and as many as there may be
	for range 24 {
		send("paused", "--class", "bulk", "--text", long)
	}
	full := until(t, ops, map[string]string{
		"full": `tram_stream_bytes{stream="TRAM_REQUESTS"} / on (stream) tram_stream_limit_bytes > 0.8`,
	})
	expect(t, []map[string]*dto.MetricFamily{before, trouble, full},
		"TramBreakerOpen", "TramCredentialRefused", "TramLanePausedLong", "TramThrottled", "TramCallsFail", "TramUnknownEnds",
		"TramDeadLettersGrow", "TramDeadLettersWait", "TramUrgentWaits", "TramConfigRefused", "TramStreamNearlyFull", "TramSpansLost")
}

// TestAlerts_alone has a dispatcher without a broker judged, and then none at all.
func TestAlerts_alone(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), bin+"/dispatcher")
	cmd.Env = []string{"NATS_URL=127.0.0.1:1", "TRAM_OPS_LISTEN=127.0.0.1:0"}
	ops := start(t, cmd, `health and metrics are served" url=(\S+)`)[0]
	away := until(t, ops, map[string]string{"broker": `tram_ready_part{part="broker"} == 0`})
	expect(t, []map[string]*dto.MetricFamily{nil, away}, "TramBrokerAway")
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if _, err := get(t, ops); err == nil {
		t.Error("it is scraped although it is dead")
	}
	s := &series{}
	for _, job := range []string{"tram-dispatcher", "tram-collector"} {
		s.add(labels.FromStrings("__name__", "up", "job", job, "instance", "a"), make([]parser.SequenceValue, 20), time.Minute)
	}
	fires(t, s, 19*time.Minute, "TramNoDispatcher", "TramNoCollector", "TramProcessDown")
}

// phase is for how long each of the scraped moments goes on.
const phase = 30 * time.Minute

// expect judges what was scraped one after the other. Of the first nothing may
// fire, of the others together all that are named.
func expect(t *testing.T, scraped []map[string]*dto.MetricFamily, names ...string) {
	t.Helper()
	const long = 9 * time.Hour // the last one
	s := &series{}
	values := map[string][]parser.SequenceValue{}
	of := map[string]labels.Labels{}
	minutes := 0
	for i, families := range scraped {
		last := int(phase.Minutes())
		if i == len(scraped)-1 {
			last = int(long.Minutes())
		}
		for key, sample := range samples(families) {
			of[key] = sample.of
			for len(values[key]) < minutes {
				values[key] = append(values[key], parser.SequenceValue{Omitted: true})
			}
			grows := 0.0
			switch {
			case i == 0:
			case sample.counter: // as much again each minute
				grows = sample.value - valueAt(values[key], minutes-1)
			case strings.HasSuffix(sample.of.Get("__name__"), "_request_seconds"): // it gets older
				grows = 60
			}
			for n := range last {
				values[key] = append(values[key], parser.SequenceValue{Value: sample.value + float64(n)*grows})
			}
		}
		minutes += last
	}
	for key, v := range values {
		s.add(of[key], v, time.Minute)
	}
	for _, job := range []string{"tram-dispatcher", "tram-collector"} {
		s.add(labels.FromStrings("__name__", "up", "job", job, "instance", "a"), slices.Repeat([]parser.SequenceValue{{Value: 1}}, minutes), time.Minute)
	}
	fires(t, s, time.Duration(minutes-1)*time.Minute, names...)
	if early := s.query(t, `count by (alertname) (count_over_time(ALERTS{alertstate="firing"}[30m]))`, phase-time.Minute); len(early) > 0 {
		t.Errorf("while nothing was wrong, these fired: %v", early)
	}
}

func valueAt(values []parser.SequenceValue, i int) float64 {
	if i < 0 || i >= len(values) || values[i].Omitted {
		return 0
	}
	return values[i].Value
}

// fires checks that these alerts fire at some moment.
func fires(t *testing.T, s *series, until time.Duration, names ...string) {
	t.Helper()
	s.judge(t, rules(t), until, time.Minute)
	var fired []string
	for _, of := range s.query(t, fmt.Sprintf(`count by (alertname) (count_over_time(ALERTS{alertstate="firing"}[%dm]))`, int(until.Minutes())+1), until) {
		fired = append(fired, of.Metric.Get("alertname"))
	}
	t.Logf("fired: %q", fired)
	for _, name := range names {
		if !slices.Contains(fired, name) {
			t.Errorf("%s does not fire", name)
		}
	}
}

// A scraped is one sample.
type scraped struct {
	of      labels.Labels
	value   float64
	counter bool
}

// samples returns what was scraped as series, by a name of each.
func samples(families map[string]*dto.MetricFamily) map[string]scraped {
	all := map[string]scraped{}
	for name, family := range families {
		for _, m := range family.Metric {
			b := labels.NewScratchBuilder(8)
			b.Add("__name__", name)
			b.Add("job", "tram-dispatcher")
			b.Add("instance", "a")
			for _, l := range m.Label {
				b.Add(l.GetName(), l.GetValue())
			}
			b.Sort()
			one := scraped{of: b.Labels()}
			switch {
			case m.Counter != nil:
				one.value, one.counter = m.Counter.GetValue(), true
			case m.Gauge != nil:
				one.value = m.Gauge.GetValue()
			default:
				continue // histograms have tests of their own
			}
			all[one.of.String()] = one
		}
	}
	return all
}

func get(t *testing.T, ops string) (map[string]*dto.MetricFamily, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, ops+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	p := expfmt.NewTextParser(model.UTF8Validation)
	return p.TextToMetricFamilies(resp.Body)
}

func scrape(t *testing.T, ops string) map[string]*dto.MetricFamily {
	t.Helper()
	families, err := get(t, ops)
	if err != nil {
		t.Fatal(err)
	}
	return families
}

// until scrapes until all of the conditions hold at once.
func until(t *testing.T, ops string, conditions map[string]string) map[string]*dto.MetricFamily {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(200 * time.Millisecond) {
		families := scrape(t, ops)
		s := &series{}
		for _, one := range samples(families) {
			s.add(one.of, []parser.SequenceValue{{Value: one.value}}, time.Minute)
		}
		var missing []string
		for name, condition := range conditions {
			if len(s.query(t, condition, 0)) == 0 {
				missing = append(missing, name)
			}
		}
		if len(missing) == 0 {
			return families
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %q", missing)
		}
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// up runs a relay, and returns where its broker and its metrics are.
func up(t *testing.T, file string, environ ...string) (url, ops string) {
	t.Helper()
	cmd := exec.Command(bin+"/tram", "up", "--config", file)
	cmd.Env = environ
	for name := range accounts {
		cmd.Env = append(cmd.Env, "TRAM_SECRET_WEBHOOK_"+strings.ToUpper(name)+"_TOKEN=not-a-secret")
	}
	found := start(t, cmd, `^ready nats=(\S+) .*ops=(\S+)`)
	return found[0], found[1]
}

// start runs a process until the test ends, and returns what the parentheses of a
// pattern match in the first line, of its log or of what it prints, that it matches.
func start(t *testing.T, cmd *exec.Cmd, pattern string) []string {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = w, w
	err = cmd.Start()
	w.Close() // the process has its own
	if err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 10_000)
	go func() {
		defer close(lines)
		for scanner := bufio.NewScanner(r); scanner.Scan(); {
			lines <- scanner.Text()
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
		for line := range lines {
			if t.Failed() {
				t.Log(line)
			}
		}
		r.Close()
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		select {
		case line, more := <-lines:
			if found := regexp.MustCompile(pattern).FindStringSubmatch(line); found != nil {
				return found[1:]
			}
			if !more {
				t.Fatalf("%s has ended", cmd.Path)
			}
			t.Log(line)
		case <-ctx.Done():
			t.Fatalf("%s does not say %s", cmd.Path, pattern)
		}
	}
}

// tram runs a command against the broker.
func tram(t *testing.T, url string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), bin+"/tram", append(args, "--server", url)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("tram %s %s: %v\n%s", args[0], args[1], err, out)
	}
}
