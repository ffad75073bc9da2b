package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// shop is a provider with one setting that it needs and one that it takes.
type shop struct {
	channels.Provider
	traits channels.Traits
}

func (shop) Name() string              { return "shop" }
func (s shop) Traits() channels.Traits { return s.traits }

func (shop) Contract(a *channels.Account) (events.Contract, error) {
	if a.Setting("page_id", "") == "" {
		return events.Contract{}, errors.New("page_id must be given")
	}
	return events.Contract{Provider: "shop", Account: a.Name, TextLimit: 7, Zone: a.Setting("zone", "")}, nil
}

var shops = []channels.Provider{shop{traits: channels.Traits{
	BaseURL:  "https://shop.example/api/",
	Settings: []string{"page_id", "zone"},
	Secrets:  []string{"token"},
	Limits:   channels.Limits{PerSecond: 15, PerHour: 54_000},
}}}

const canary = "s3cr3t-canary"

var env = []string{"TRAM_SECRET_SHOP_MAIN_TOKEN=" + canary}

const minimal = `
accounts:
  - provider: shop
    name: main
    settings: {page_id: 0123}
`

func parse(t *testing.T, file string, environ ...string) (*Config, error) {
	t.Helper()
	return Parse("tram.yaml", []byte(file), environ, shops)
}

// faultsOf returns the faults that file must have.
func faultsOf(t *testing.T, file string, environ ...string) []string {
	t.Helper()
	_, err := parse(t, file, environ...)
	e, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatalf("got error %v, want an *Error", err)
	}
	if strings.Contains(err.Error(), canary) {
		t.Errorf("the error shows a secret: %v", err)
	}
	var texts []string
	for _, f := range e.Faults {
		texts = append(texts, f.String())
	}
	return texts
}

func TestParse_defaults(t *testing.T) {
	c, err := parse(t, minimal, env...)
	if err != nil {
		t.Fatal(err)
	}
	for s := range settings(c) {
		optional := slices.Contains([]string{
			"nats.creds", "nats.nkey", "nats.user", "nats.ca", "nats.cert", "nats.key", "http.proxy", "http.allow_private", "ops.listen", "log.level", "telemetry.traces.endpoint",
			"streams.requests.max_bytes", "streams.ledger.max_bytes", "streams.events.max_bytes", "streams.dead.max_bytes",
		}, s.key)
		if s.value.IsZero() != optional {
			t.Errorf("%s: got %v; a setting has a default or is listed here", s.key, s.value)
		}
	}
	if got, want := c.Dispatcher.Lease, 3*time.Second; got != want {
		t.Errorf("lease: got %v, want %v", got, want)
	}
	got := c.Accounts[0]
	want := Account{
		Provider: "shop", Name: "main", BaseURL: "https://shop.example/api",
		Settings:    map[string]string{"page_id": "0123"},
		Limits:      Limits{PerSecond: 15, PerHour: 54_000, Concurrency: 16},
		Breaker:     Breaker{MinCalls: 10, Ratio: 0.5, Window: 10 * time.Second, Open: 15 * time.Second},
		OnAmbiguous: events.Hold,
		Secrets:     map[string]channels.Secret{"token": canary},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("account:\n got %#v\nwant %#v", got, want)
	}
	if ch := got.Channel(); ch.Secrets["token"].Reveal() != canary || ch.BaseURL != got.BaseURL || ch.Name != "main" {
		t.Errorf("channel account: got %+v", ch)
	}
}

func TestParse_everything(t *testing.T) {
	c, err := parse(t, `
nats: {url: "tls://a:4222,tls://b:4222", user: tram, ca: ca.pem, cert: c.pem, key: k.pem}
broker: {dir: state, listen: "127.0.0.1:0", durability: always}
streams:
  partitions: 8
  replicas: 3
  duplicates: 2m
  requests: {max_age: 24h, max_bytes: 64MiB}
dispatcher: {lease: 2s, call_timeout: 4s, grace: 5s, max_in_flight: 10, retry: {max_attempts: 3, base: 10ms, max: 1s}}
collector: {workers: 2}
http: {proxy: "http://proxy:3128", max_body: 64KiB, dial_timeout: 1s, allow_private: "10.1.2.0/16, 192.168.7.1"}
log: {level: debug, format: json}
accounts:
  - provider: shop
    name: main
    base_url: http://127.0.0.1:8080/shop/
    settings: {page_id: "1", zone: Asia/Ho_Chi_Minh}
    limits: {per_minute: 60, burst: 5, concurrency: 2}
    breaker: {min_calls: 4, ratio: 0.25, window: 1m, open: 1s}
    on_ambiguous: resend
    quiet:
      - {from: 21:00, to: "7:30"}
      - {from: 12:00, to: 12:00, zone: UTC, days: [sun, mon], classes: [normal, bulk], promotions: send}
groups:
  - name: app
    accounts: [shop/*]
    limits: {per_hour: 100}
`, append(env, "NATS_PASSWORD="+canary)...)
	if err != nil {
		t.Fatal(err)
	}
	if c.Streams.Requests != (Retention{24 * time.Hour, 64 << 20}) || c.Streams.Ledger.MaxAge != 30*time.Hour {
		t.Errorf("streams: got %+v", c.Streams)
	}
	a := c.Accounts[0]
	if a.Limits != (Limits{PerMinute: 60, Burst: 5, Concurrency: 2}) || a.OnAmbiguous != events.Resend || a.BaseURL != "http://127.0.0.1:8080/shop" {
		t.Errorf("account: got %+v", a)
	}
	quiet := []Quiet{
		{From: "21:00", To: "07:30", Zone: "Asia/Ho_Chi_Minh", Classes: []events.Class{events.Bulk}, Promotions: HoldPromotions},
		{From: "12:00", To: "12:00", Zone: "UTC", Days: []Day{"sun", "mon"}, Classes: []events.Class{events.Normal, events.Bulk}, Promotions: SendPromotions},
	}
	if !reflect.DeepEqual(a.Quiet, quiet) || quiet[0].To.Since() != 7*time.Hour+30*time.Minute || quiet[1].Days[1].Weekday() != time.Monday {
		t.Errorf("quiet hours: got %+v", a.Quiet)
	}
	if a.Group != "app" || len(c.Groups) != 1 || c.Groups[0].Limits != (Windows{PerHour: 100}) {
		t.Errorf("groups: got %+v, and the account in %q", c.Groups, a.Group)
	}
	if c.NATS.Password.Reveal() != canary {
		t.Error("the broker's password was not read")
	}
}

func TestParse_unknownKeys(t *testing.T) {
	got := faultsOf(t, `dispatcher:
  leese: 3s
  retry: {max_atempts: 3}
colector: {}
http: {max_body: much, proxy: }
http: {}
streams: {partitions: many, requests: 3}
accounts:
  - provider: shop
    token: abc
    limits: {per_second: 0, burst: -1}
  - just text
log: {level: loud}
`)
	want := []string{
		`line 2: dispatcher.leese is not a setting: did you mean lease?`,
		`line 3: dispatcher.retry.max_atempts is not a setting: did you mean max_attempts?`,
		`line 4: colector is not a setting: did you mean collector?`,
		`line 5: http.max_body must be a number of bytes such as 1048576, 64KiB, 8MiB or 2GiB, it is "much"`,
		`line 6: http is given twice`,
		`line 7: streams.partitions must be a whole number, it is "many"`,
		`line 7: streams.requests must be a section with keys of its own`,
		`line 10: accounts[0].token is not a setting`,
		`line 11: accounts[0].limits.per_second must not be 0: leave it out for no such limit, and take the account out to stop it`,
		`line 11: accounts[0].limits.burst must be above 0, it is -1`,
		`line 12: accounts[1] must be a section with keys of its own`,
		`line 13: log.level slog: level string "loud": unknown name`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestParse_faults(t *testing.T) {
	account := func(lines string) string {
		return "accounts:\n  - provider: shop\n    name: main\n    settings: {page_id: 1}\n" + lines
	}
	tests := []struct{ name, file, want string }{
		{"not YAML", "a: [", "did not find expected node content"},
		{"two documents", "log: {}\n---\nlog: {}\n", "line 2: the file must hold one YAML document"},
		{"a list", "- a\n", "line 1: must be a section with keys of its own"},
		{"time without unit", "dispatcher: {lease: 3}", `dispatcher.lease must be a time such as 500ms, 3s or 10m, it is "3"`},
		{"long lease", "dispatcher: {lease: 100s}", "line 1: dispatcher.lease must be from 1s to 1m0s, it is 1m40s"},
		{"half a second", "dispatcher: {lease: 1500ms}", "line 1: dispatcher.lease must be whole seconds, as the broker counts, it is 1.5s"},
		{"grace", "dispatcher:\n  grace: 9s", "line 2: dispatcher.grace (9s) must be above dispatcher.call_timeout (10s)"},
		{"duplicates", "streams: {duplicates: 30s}\ndispatcher: {grace: 20s}", "line 1: streams.duplicates (30s) must be above dispatcher.call_timeout + lease + grace (33s)"},
		{"ledger too short", "streams: {ledger: {max_age: 1h}}", "streams.ledger.max_age (1h0m0s) must not be below streams.requests.max_age (72h0m0s)"},
		{"age below duplicates", "streams: {dead: {max_age: 5m}}", "streams.dead.max_age (5m0s) must not be below streams.duplicates (10m0s)"},
		{"negative size", "streams: {dead: {max_bytes: -1}}", "streams.dead.max_bytes must be at least 1MiB, it is -1"},
		{"replicas", "streams: {replicas: 2}", "streams.replicas must be 1, 3 or 5, it is 2"},
		{"retry", "dispatcher: {retry: {base: 10m}}", "dispatcher.retry.base (10m0s) must not be above dispatcher.retry.max (5m0s)"},
		{"dial", "http: {dial_timeout: 20s}", "http.dial_timeout (20s) must not be above dispatcher.call_timeout (10s)"},
		{"format", "log: {format: xml}", `log.format must be text or json, it is "xml"`},
		{"listen", "broker: {listen: 4222}", `broker.listen must be host:port, it is "4222"`},
		{"durability", "broker: {durability: perhaps}", `line 1: broker.durability must be interval or always, it is "perhaps"`},
		{"calls", "log: {calls: some}", `log.calls must be all, failed or none, it is "some"`},
		{"traces", "telemetry: {traces: {endpoint: otel:4318}}", "telemetry.traces.endpoint must be a URL that begins with https:// or http://"},
		{"ops", "ops: {listen: 9464}", `line 1: ops.listen must be host:port, such as 127.0.0.1:9464, it is "9464"`},
		{"open broker", "broker: {listen: '0.0.0.0:4222'}", "broker.listen can be reached from other hosts, so TRAM_BROKER_TOKEN must be set"},
		{"proxy password", "http: {proxy: 'http://u:" + canary + "@p'}", "http.proxy must not hold a user or password"},
		{"nats password", "nats: {url: 'nats://u:" + canary + "@h'}", "nats.url must not hold a user or password"},
		{"nats scheme", "nats: {url: 'http://h'}", "nats.url must be URLs such as nats://host:4222"},
		{"nats cert", "nats: {cert: a}", "nats.cert and nats.key are of no use without each other"},
		{"nats inbox", "nats: {inbox_prefix: 'a.>'}", "nats.inbox_prefix must be a subject without wildcards such as _INBOX_dispatcher, it is \"a.>\""},
		{"nats twice", "nats: {creds: a, user: b}", "nats can log in one way only, and nats.creds, nats.user are set"},

		{"provider", "accounts: [{provider: shpo, name: a}]", `accounts[0].provider must be one of shop, it is "shpo": did you mean shop?`},
		{"name", "accounts: [{provider: shop, name: a.b, settings: {page_id: 1}}]", `accounts[0].name must be 1 to 64 of the characters`},
		{"twice", minimal + "  - provider: shop\n    name: main\n    settings: {page_id: 2}\n", "line 6: accounts[1] is shop/main, and so is accounts[0]"},
		{"one variable", minimal + "  - provider: shop\n    name: MAIN\n    settings: {page_id: 2}\n", "line 6: accounts[1] reads its token from TRAM_SECRET_SHOP_MAIN_TOKEN, and so does shop/main: rename one of them"},
		{"missing secret", "accounts: [{provider: shop, name: my-page, settings: {page_id: 1}}]", "accounts[0] needs its token: set TRAM_SECRET_SHOP_MY_PAGE_TOKEN, or TRAM_SECRET_SHOP_MY_PAGE_TOKEN_FILE"},
		{"setting", "accounts: [{provider: shop, name: main, settings: {pageid: 1}}]", "accounts[0].settings.pageid is not a setting of shop, which has page_id, zone: did you mean page_id?"},
		{"contract", "accounts: [{provider: shop, name: main}]", "accounts[0].settings are refused by shop: page_id must be given"},
		{"plain http", account("    base_url: http://shop.example"), "line 5: accounts[0].base_url must begin with https://"},
		{"user in URL", account("    base_url: https://u:" + canary + "@shop.example"), "accounts[0].base_url must not hold a user or password"},
		{"private URL", account("    base_url: https://10.2.0.1"), "accounts[0].base_url is not a public address: if it is meant, add 10.2.0.1 to http.allow_private"},
		{"no network", "http: {allow_private: '10.1.0.0/16, here'}", "http.allow_private must be networks such as 10.1.0.0/16, 192.168.7.1, one of them is \"here\""},
		{"query in URL", account("    base_url: https://shop.example?a=b"), "accounts[0].base_url must end with its path"},
		{"no URL", account("    base_url: shop"), "accounts[0].base_url must be a URL"},
		{"longer window", account("    limits: {per_second: 10, per_minute: 5}"), "accounts[0].limits cannot hold: 10 per second and 5 per minute contradict each other"},
		{"absurd", account("    limits: {per_second: 1000000}"), "accounts[0].limits cannot hold: 1000000 per second: more than 100000 per second is surely a mistake"},
		{"burst", account("    limits: {per_hour: 10, burst: 6}"), "accounts[0].limits cannot hold: 10 per hour: burst 6 leaves only 5"},
		{"breaker", account("    breaker: {ratio: 2}"), "accounts[0].breaker.ratio must be above 0 and not above 1, it is 2"},
		{"group name", minimal + "groups: [{name: a.b, accounts: [shop/main], limits: {per_second: 5}}]", `groups[0].name must be 1 to 64 of the characters`},
		{"group twice", minimal + "groups:\n  - {name: a, accounts: [shop/main], limits: {per_second: 5}}\n  - {name: a, accounts: [shop/main], limits: {per_second: 5}}", "groups[1].name is a, and so is that of groups[0]"},
		{"group without limit", minimal + "groups:\n  - {name: a, accounts: [shop/main]}", "groups[0].limits must have one of per_second, per_minute, per_hour and per_day"},
		{"group without accounts", minimal + "groups:\n  - {name: a, limits: {per_second: 5}}", "groups[0].accounts must name the accounts that share the limit"},
		{"group of an unknown account", minimal + "groups:\n  - name: a\n    accounts:\n      - shop/mian\n    limits: {per_second: 5}", `line 9: groups[0].accounts[0] must be an account of this file, as provider/name, it is "shop/mian": did you mean shop/main?`},
		{"group of nobody", minimal + "groups:\n  - {name: a, accounts: [facebook/*], limits: {per_second: 5}}", `groups[0].accounts[0] is "facebook/*", and there is no account at that provider`},
		{"two groups", minimal + "groups:\n  - {name: a, accounts: [shop/main], limits: {per_second: 5}}\n  - {name: b, accounts: [shop/*], limits: {per_second: 5}}", "groups[1].accounts[0] names shop/main, which is in the group a already"},
		{"group limits", minimal + "groups:\n  - {name: a, accounts: [shop/main], limits: {per_second: 10, per_minute: 5}}", "groups[0].limits cannot hold: 10 per second and 5 per minute contradict each other"},
		{"group concurrency", minimal + "groups:\n  - {name: a, accounts: [shop/main], limits: {per_second: 10, concurrency: 5}}", "groups[0].limits.concurrency is not a setting"},
		{"quiet without a begin", account("    quiet: [{to: 07:30, zone: UTC}]"), "line 5: accounts[0].quiet[0].from must be given, such as 21:00"},
		{"quiet without an end", account("    quiet:\n      - from: 07:30\n        zone: UTC"), "line 6: accounts[0].quiet[0].to must be given, such as 07:30"},
		{"quiet at no time", account("    quiet: [{from: 24:00, to: 07:30, zone: UTC}]"), `accounts[0].quiet[0].from must be a time of the day from 00:00 to 23:59, it is "24:00"`},
		{"quiet nowhere", account("    quiet: [{from: 21:00, to: 07:30}]"), "accounts[0].quiet[0].zone must be given, such as Asia/Ho_Chi_Minh: the account has none of its own"},
		{"quiet zone", account("    quiet:\n      - from: 21:00\n        to: 07:30\n        zone: Saigon"), `line 8: accounts[0].quiet[0].zone must be an IANA time zone such as Asia/Ho_Chi_Minh, it is "Saigon"`},
		{"quiet day", account("    quiet: [{from: 21:00, to: 07:30, zone: UTC, days: [mon, Tuesday]}]"), `accounts[0].quiet[0].days[1] must be one of mon, tue, wed, thu, fri, sat and sun, it is "Tuesday"`},
		{"quiet class", account("    quiet: [{from: 21:00, to: 07:30, zone: UTC, classes: [slow]}]"), `accounts[0].quiet[0].classes[0] must be urgent, normal or bulk, it is "slow"`},
		{"quiet promotions", account("    quiet: [{from: 21:00, to: 07:30, zone: UTC, promotions: wait}]"), `accounts[0].quiet[0].promotions must be hold or send, it is "wait"`},
		{"policy", account("    on_ambiguous: retry"), `accounts[0].on_ambiguous must be hold, resend or assume_sent, it is "retry"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := faultsOf(t, test.file, env...)
			if len(got) != 1 || !strings.Contains(got[0], test.want) {
				t.Errorf("got %q, want one fault with %q", got, test.want)
			}
		})
	}
}

func TestParse_noDefaults(t *testing.T) {
	_, err := Parse("", []byte(minimal), nil, []channels.Provider{shop{}})
	for _, want := range []string{
		"accounts[0].base_url must be given: shop has none that is the same for all accounts",
		"accounts[0].limits must have one of per_second, per_minute, per_hour and per_day, since shop has no default",
		"accounts[0].settings.page_id is not a setting of shop",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
}

func TestLoad(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tram.yaml")
	if _, err := Load(file, nil, shops); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: got %v, want it to wrap os.ErrNotExist", err)
	}
	if err := os.WriteFile(file, []byte("lgo: {}"), 0o600); err != nil {
		t.Fatal(err)
	}
	want := "configuration " + file + " is not usable:\n  line 1: lgo is not a setting: did you mean log?"
	if _, err := Load(file, nil, shops); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if _, err := LoadBroker(file, nil); err == nil || err.Error() != want {
		t.Errorf("for the broker: got %v, want %s", err, want)
	}
	if err := os.WriteFile(file, []byte("streams: {replicas: 3}\n"+minimal), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := LoadBroker(file, nil); err != nil || c.Streams.Replicas != 3 || len(c.Accounts) != 0 {
		t.Errorf("for the broker: got %+v, %v", c, err)
	}
	if c, err := Load("", nil, shops); err != nil || c.Collector.Workers != 4 {
		t.Errorf("without a file: got %v, %v", c, err)
	}
}

func TestConfig_Dump(t *testing.T) {
	c, err := parse(t, minimal, append(env, "NATS_TOKEN="+canary)...)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := c.Dump(&b); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), canary) || !strings.Contains(b.String(), "lease: 3s") {
		t.Errorf("got\n%s", b.String())
	}
	again, err := parse(t, b.String(), append(env, "NATS_TOKEN="+canary)...)
	if err != nil || !reflect.DeepEqual(again, c) {
		t.Errorf("read again: got %+v, %v", again, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(minimal))
	f.Add([]byte("a: &a [*a]\nb: *a\n"))
	f.Add([]byte("accounts: &a\n  - *a\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if c, err := Parse("", data, env, shops); (c == nil) == (err == nil) {
			t.Errorf("got %v and %v", c, err)
		}
	})
}
