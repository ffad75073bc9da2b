package pancake

import (
	"bytes"
	"net/http"
	"strings"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// Judge follows providers.md §3e, Pancake. Most failures come with HTTP 200,
// so what the body says counts before the status.
func (provider) Judge(a *channels.Account, r *events.Request, s channels.Step, ans *channels.Answer) channels.Verdict {
	t, err := newTask(a, r, s)
	if err != nil {
		return channels.Verdict{Class: channels.Permanent, Reason: string(channels.FailCall), Detail: err.Error()}
	}
	if v, decided := channels.JudgeTransport(!t.once, ans); decided {
		return v
	}
	b := readBody(ans.Body)
	v := t.judge(b, ans)
	if v.Next != "" { // the same call in its other edition
		return v
	}
	if v.Class == channels.OK {
		v.Next = t.nextPart()
		if t.next != nil {
			var warning string
			if v.Next, warning = t.next(t, b); warning != "" {
				v.Warnings = append(v.Warnings, warning)
			}
		}
		return v
	}
	v.ProviderCode, v.ProviderText = text(b.fields["error_code"]), text(b.fields["message"])
	if v.ProviderCode == "" {
		v.ProviderCode = text(b.fields["message_code"])
	}
	return v
}

// transient is what Pancake says when the same call works a moment later.
const transient = "an error occurred. please try again later"

// judge finds the throttle signs, then what the body says, then the status,
// then the shape.
func (t *task) judge(b *body, ans *channels.Answer) channels.Verdict {
	code, message := text(b.fields["error_code"]), strings.ToLower(text(b.fields["message"]))
	good := ans.Status >= 200 && ans.Status <= 299
	success := text(b.fields["success"])
	refused := success == "false" || success == "0" || code != "" && code != "0"
	switch {
	case ans.Status == http.StatusTooManyRequests || code == "429":
		wait, _ := channels.RetryAfter(ans)
		return channels.Verdict{Class: channels.Throttled, Reason: channels.ReasonRateLimited,
			Detail: "the page was called too often: 5 calls a second are allowed", Cooldown: wait}
	case code == "102" || code == "103" || code == "105":
		return t.unauthorized()
	case strings.Contains(message, transient):
		return t.unsure(channels.ReasonTransient, "Pancake says that an error occurred and that it may work later")
	case noCall(b, ans):
		return t.noPath(ans)
	case !good:
		return channels.JudgeStatus(!t.once, ans)
	case t.what() == Pages && b.fields != nil && !hasPages(b): // how P1 says no (§2.4)
		return t.unauthorized()
	case refused:
		return channels.Verdict{Class: channels.Permanent, Reason: channels.ReasonProviderRefused,
			Detail: "Pancake answered success: false"}
	}
	h, err := t.harvest(b, ans)
	if err != nil {
		return t.unexpected(err.Error())
	}
	return channels.Verdict{Class: channels.OK, Warnings: h.warnings}
}

func (t *task) unauthorized() channels.Verdict {
	v := channels.Verdict{Class: channels.Auth, Reason: channels.ReasonUnauthorized,
		Detail: "the page's token was refused: take the present one from the page's settings, under tools; the relay makes no new one by itself, which would break whoever else uses it"}
	if t.user {
		v.Detail = "the user's token was refused: take a new one from the Pancake account, under advanced; it lasts at most 90 days"
	}
	return v
}

// unsure judges a call of which nobody knows whether it was carried out.
func (t *task) unsure(reason, detail string) channels.Verdict {
	v := channels.Verdict{Class: channels.Retry, Reason: reason, Detail: detail, ProviderFault: true}
	if t.once {
		v.Class = channels.Ambiguous
		v.Detail += "; see by the fingerprints of " + Pages + " whether the token has changed before anything else"
	}
	return v
}

// unexpected judges a 2xx of another shape. It says nothing against the
// provider's health.
func (t *task) unexpected(detail string) channels.Verdict {
	v := t.unsure(channels.ReasonUnexpectedAnswer, detail)
	v.ProviderFault = false
	return v
}

func isHTML(raw []byte) bool { return bytes.HasPrefix(bytes.TrimSpace(raw), []byte("<")) }
