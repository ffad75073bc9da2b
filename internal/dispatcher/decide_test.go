package dispatcher

import (
	"strings"
	"testing"
	"time"

	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

func TestDecide_LongWords(t *testing.T) {
	for _, class := range []channels.Class{channels.OK, channels.Permanent} {
		v := channels.Verdict{Class: class, ProviderCode: "7", ProviderText: strings.Repeat("ộ", 100_000)}
		why := decide(v, policy{kind: events.KindSend, attempt: 1}).why
		if want := strings.Repeat("ộ", maxWords/3) + "…"; why.ProviderText != want || why.ProviderCode != "7" {
			t.Errorf("%s: got %d bytes of words and code %q, want %d", class, len(why.ProviderText), why.ProviderCode, len(want))
		}
	}
}

func TestDecide(t *testing.T) {
	send := policy{kind: events.KindSend, attempt: 1, throttles: 1, retry: RetryPolicy{}.withDefaults()}
	report := send
	report.kind, report.repeatable = events.KindReport, true
	with := func(p policy, f func(*policy)) policy { f(&p); return p }

	tests := []struct {
		name    string
		verdict channels.Verdict
		policy  policy
		state   events.State
		reason  string
		dead    ledger.DeadGroup
	}{
		{"ok send", channels.Verdict{Class: channels.OK, Evidence: events.Strong}, send, events.StateAccepted, "", ""},
		{"ok report", channels.Verdict{Class: channels.OK}, report, events.StateDone, "", ""},
		{"ok with another step", channels.Verdict{Class: channels.OK, Next: "2"}, report, "", "", ""},
		{"retry", channels.Verdict{Class: channels.Retry, Reason: "connect"}, send, events.StateDeferred, "connect", ""},
		{"last retry", channels.Verdict{Class: channels.Retry, Reason: "connect"},
			with(send, func(p *policy) { p.attempt = 5 }), events.StateFailed, ReasonAttemptsExhausted, ledger.DeadRefused},
		{"throttled, however often", channels.Verdict{Class: channels.Throttled, Reason: "throttled"},
			with(send, func(p *policy) { p.attempt = 99 }), events.StateDeferred, "throttled", ""},
		{"auth, however often", channels.Verdict{Class: channels.Auth, Reason: "credential"},
			with(send, func(p *policy) { p.attempt = 99 }), events.StateDeferred, "credential", ""},
		{"permanent", channels.Verdict{Class: channels.Permanent, Reason: "refused"}, send, events.StateFailed, "refused", ledger.DeadRefused},
		{"pre-check refused", channels.Verdict{Class: channels.Permanent, Reason: channels.ReasonPrecheckRefused},
			send, events.StateRejected, channels.ReasonPrecheckRefused, ledger.DeadRefused},
		{"ambiguous send is held", channels.Verdict{Class: channels.Ambiguous, Reason: "timeout"}, send, events.StateUnknown, "timeout", ledger.DeadUnknown},
		{"no verdict at all", channels.Verdict{}, send, events.StateUnknown, "", ledger.DeadUnknown},
		{"ambiguous send resent", channels.Verdict{Class: channels.Ambiguous, Reason: "timeout"},
			with(send, func(p *policy) { p.onAmbiguous = events.Resend }), events.StateDeferred, "timeout", ""},
		{"ambiguous send assumed sent", channels.Verdict{Class: channels.Ambiguous, Reason: "timeout"},
			with(send, func(p *policy) { p.onAmbiguous = events.AssumeSent }), events.StateAccepted, "timeout", ""},
		{"ambiguous read is repeated", channels.Verdict{Class: channels.Ambiguous, Reason: "timeout"}, report, events.StateDeferred, "timeout", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := decide(tt.verdict, tt.policy)
			if d.state != tt.state || d.why.Reason != tt.reason || d.dead != tt.dead {
				t.Errorf("got state %q reason %q dead %q, want %q %q %q", d.state, d.why.Reason, d.dead, tt.state, tt.reason, tt.dead)
			}
			costs := tt.verdict.Class != channels.Throttled && tt.verdict.Class != channels.Auth
			if d.counts != costs {
				t.Errorf("counts as an attempt: %v, want %v", d.counts, costs)
			}
			if paused := tt.verdict.Class == channels.Auth; d.pauseAuth != paused {
				t.Errorf("pauses the account: %v, want %v", d.pauseAuth, paused)
			}
		})
	}
}

func TestDecideObeysTheToldCooldown(t *testing.T) {
	p := policy{kind: events.KindSend, attempt: 1, throttles: 3, retry: RetryPolicy{}.withDefaults()}
	d := decide(channels.Verdict{Class: channels.Throttled, Cooldown: 900_000}, p)
	if want := 15 * time.Minute; d.cooldown != want || d.retryIn != want {
		t.Errorf("got cooldown %s, retry in %s, want %s", d.cooldown, d.retryIn, want)
	}
}

func TestDecideDoublesACooldownThatNobodyTold(t *testing.T) {
	for _, tt := range []struct {
		rest  int64 // milliseconds
		inRow int
		want  time.Duration
	}{
		{0, 1, time.Second}, {0, 3, 4 * time.Second}, {0, 7, time.Minute}, {0, 1000, time.Minute},
		{60_000, 1, time.Minute}, {60_000, 2, 2 * time.Minute}, {60_000, 7, time.Hour}, {60_000, 1000, time.Hour},
	} {
		p := policy{kind: events.KindSend, attempt: 1, throttles: tt.inRow, retry: RetryPolicy{}.withDefaults()}
		d := decide(channels.Verdict{Class: channels.Throttled, Cooldown: tt.rest, Untold: tt.rest > 0}, p)
		if d.cooldown != tt.want || d.retryIn != tt.want {
			t.Errorf("rest of %d ms, throttle %d in a row: got cooldown %s, retry in %s, want %s", tt.rest, tt.inRow, d.cooldown, d.retryIn, tt.want)
		}
	}
}

func TestDecideHeedsARetryThatTellsItsTime(t *testing.T) {
	p := policy{kind: events.KindSend, attempt: 1, retry: RetryPolicy{}.withDefaults()}
	d := decide(channels.Verdict{Class: channels.Retry, Cooldown: 30_000}, p)
	if want := 30 * time.Second; d.state != events.StateDeferred || d.cooldown != want || d.retryIn != want || !d.counts {
		t.Errorf("got %s, cooldown %s, retry in %s, counts %v", d.state, d.cooldown, d.retryIn, d.counts)
	}
}

func TestBackoffDoublesWithinItsBounds(t *testing.T) {
	p := RetryPolicy{MaxAttempts: 100, Base: time.Second, Max: time.Minute}
	for n, want := range map[int]time.Duration{1: time.Second, 2: 2 * time.Second, 5: 16 * time.Second, 7: time.Minute, 99: time.Minute} {
		for range 100 {
			if d := p.backoff(n); d < want/2 || d > want {
				t.Fatalf("backoff(%d) = %s, want %s to %s", n, d, want/2, want)
			}
		}
	}
}
