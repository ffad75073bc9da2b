package channelstest

import (
	"fmt"

	"github.com/tramhq/tram/pkg/channels"
)

var failures = []channels.Failure{
	channels.FailDNS, channels.FailConnect, channels.FailTLS, channels.FailCertificate, channels.FailTimeout,
	channels.FailReset, channels.FailCutOff, channels.FailTooLarge, channels.FailMalformed, channels.FailCancelled, channels.FailCall,
}

// checkTransport checks that every failure of transport is judged as the
// shared table says, before anything else is looked at.
func (b *bench) checkTransport() {
	for _, s := range b.samples() {
		for _, failure := range failures {
			for _, written := range []bool{false, true} {
				for _, status := range []int{0, 200} {
					ans := &channels.Answer{Failure: failure, Detail: "it failed", Written: written, Status: status, StartedMS: NowMS}
					want, decided := channels.JudgeTransport(s.call.Repeatable, ans)
					if !decided {
						continue
					}
					if status == 200 { // a whole good body must not outweigh that more was to come
						ans.Body = []byte(s.ex.Reply.Body)
					}
					what := fmt.Sprintf("%s: %s, written %t, status %d", s.call.Operation, failure, written, status)
					if failure != channels.FailCall {
						want.Class = b.instead(s, want.Class)
					}
					b.checkClass(what, s, ans, want.Class)
				}
			}
		}
	}
}

// checkStatus checks every HTTP status, without a body and with those that say
// nothing.
func (b *bench) checkStatus() {
	for _, s := range b.samples() {
		for status := 100; status <= 599; status++ {
			what := fmt.Sprintf("%s: status %d", s.call.Operation, status)
			ans := Reply{Status: status}.answer()
			want := channels.JudgeStatus(s.call.Repeatable, ans)
			if want.Class != channels.OK {
				b.checkClass(what, s, ans, b.instead(s, want.Class))
			} else if v := b.judge(s.a, s.r, s.step, ans); v.Class == channels.OK || !s.call.Repeatable && v.Class != channels.Ambiguous {
				b.failf("%s without a body is %s: nothing shows that it was carried out", what, v.Class)
			}
			for _, body := range []string{"{}", "<html><body>Hello</body></html>"} {
				v := b.judge(s.a, s.r, s.step, Reply{Status: status, Body: body}.answer())
				b.sound(what+" with "+body, v)
				if v.Class == channels.OK && want.Class != channels.OK {
					b.failf("%s with %s is OK", what, body)
				}
			}
		}
		b.checkRetryAfter(s)
	}
}

// checkRetryAfter checks that the provider's own word for how long to wait is
// heard.
func (b *bench) checkRetryAfter(s sample) {
	for status, want := range map[int]channels.Class{429: channels.Throttled, 503: channels.Retry} {
		v := b.judge(s.a, s.r, s.step, Reply{Status: status, Header: map[string]string{"retry-after": "7200"}}.answer())
		if v.Class != want || v.Cooldown < 7_200_000 {
			b.failf("%s: %d with Retry-After: 7200 is %s for %d ms", s.call.Operation, status, v.Class, v.Cooldown)
		}
	}
}

func (b *bench) checkClass(what string, s sample, ans *channels.Answer, want channels.Class) {
	v := b.judge(s.a, s.r, s.step, ans)
	b.sound(what, v)
	if v.Class != want {
		b.failf("%s is %s (%s), want %s", what, v.Class, v.Reason, want)
	}
	if fault := v.Class == channels.Throttled || v.Class == channels.Auth; fault && v.ProviderFault {
		b.failf("%s: a refusal is not the provider's fault", what)
	}
}

// instead is the class that the suite declares in place of c.
func (b *bench) instead(s sample, c channels.Class) channels.Class {
	if other, ok := b.s.Instead[s.call.Operation]; ok && c == channels.Permanent {
		return other
	}
	return c
}
