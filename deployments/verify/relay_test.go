package verify

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
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
