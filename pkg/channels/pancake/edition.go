package pancake

import (
	"cmp"
	"net/http"
	"slices"

	"github.com/tramhq/tram/pkg/channels"
)

// Three calls have another form in the document than in the vendor's present
// specification. An account may name the one that its Pancake has. For one that
// does not, the first call takes the present form and, where there is no such
// path or method, so that nothing was carried out, the second the document's,
// as whatever comes after it.

// edition is the form that the call of this step takes.
func (t *task) edition() string { return cmp.Or(t.at.Edition, t.editions.of(t.a)) }

// noCall reports whether an answer says that there is no such path or method.
// Pancake may do that with its web page.
func noCall(b *body, ans *channels.Answer) bool {
	switch ans.Status {
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusGone:
		return true
	}
	return ans.Status >= 200 && ans.Status <= 299 && isHTML(b.raw)
}

// noPath judges an answer that [noCall] knows.
func (t *task) noPath(ans *channels.Answer) channels.Verdict {
	if next := t.otherEdition(); next != "" {
		return channels.Verdict{Class: channels.OK, Next: next}
	}
	v := channels.JudgeStatus(!t.once, ans)
	if v.Class == channels.OK {
		v = channels.Verdict{Class: channels.Permanent, Reason: channels.ReasonNotFound,
			Detail: "Pancake has no such path: it answered with its web page"}
	}
	switch {
	case t.editions == nil:
	case t.at.Edition == "":
		v.Detail += "; setting " + t.editions.setting + " may be the wrong one"
	default:
		v.Detail += "; either value of setting " + t.editions.setting + " was tried"
	}
	return v
}

// otherEdition returns the cursor of the same call in the document's form, ""
// where that is not to be asked for: the account has named the other, a page
// has come in it, or the request takes no second call or needs what only the
// present form has.
func (t *task) otherEdition() string {
	if t.editions == nil || t.at != (cursor{}) || t.a.Setting(t.editions.setting, "") != "" {
		return ""
	}
	if r := t.r.Report; r != nil {
		present := slices.ContainsFunc(v2Filters, func(f string) bool { return r.Filters[f] != "" })
		if present || r.Page.MaxPages == 1 {
			return ""
		}
	}
	return cursor{Edition: t.editions.values[1]}.String()
}
