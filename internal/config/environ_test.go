package config

import (
	"slices"
	"testing"
	"time"
)

func TestParse_environment(t *testing.T) {
	c, err := parse(t, "dispatcher: {lease: 2s}\n"+minimal, append(env,
		"TRAM_DISPATCHER_LEASE=4s", "TRAM_STREAMS_REQUESTS_MAX_BYTES=2GiB", "TRAM_BROKER_DURABILITY=always", "TRAM_LOG_LEVEL=",
		"NATS_URL=host:4222", "TRAM_PORT=tcp://10.0.0.1:80", "TRAM_DISPATCHER_SERVICE_HOST=10.0.0.1")...)
	if err != nil {
		t.Fatal(err)
	}
	if c.Dispatcher.Lease != 4*time.Second || c.Streams.Requests.MaxBytes != 2<<30 || c.Broker.Durability != "always" || c.NATS.URL != "host:4222" {
		t.Errorf("got %+v", c)
	}

	got := faultsOf(t, "", "TRAM_DISPATCHER_LEESE=4s", "TRAM_COLLECTOR_WORKERS=few")
	want := []string{
		`TRAM_COLLECTOR_WORKERS must be a whole number, it is "few"`,
		`TRAM_DISPATCHER_LEESE is not a setting: did you mean TRAM_DISPATCHER_LEASE?`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestTraces(t *testing.T) {
	tests := []struct{ name, file, environ, want string }{
		{"none", "", "", ""},
		{"file", "telemetry: {traces: {endpoint: 'http://otel:4318/in'}}", "", "http://otel:4318/in"},
		{"no path", "telemetry: {traces: {endpoint: 'http://otel:4318'}}", "", "http://otel:4318/v1/traces"},
		{"of traces", "telemetry: {traces: {endpoint: 'http://a'}}", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://b/c", "http://b/c"},
		{"of all signals", "", "OTEL_EXPORTER_OTLP_ENDPOINT=https://otel/base/", "https://otel/base/v1/traces"},
		{"of all signals, and a file", "telemetry: {traces: {endpoint: 'http://a/b'}}", "OTEL_EXPORTER_OTLP_ENDPOINT=https://otel", "http://a/b"},
		{"disabled", "telemetry: {traces: {endpoint: 'http://a/b'}}", "OTEL_SDK_DISABLED=true", ""},
		{"no exporter", "telemetry: {traces: {endpoint: 'http://a/b'}}", "OTEL_TRACES_EXPORTER=none", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, err := parse(t, test.file, append(slices.Clone(env), test.environ)...)
			if err != nil {
				t.Fatal(err)
			}
			if got := c.Telemetry.Traces.Endpoint; got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
