package webhook

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// An endpoint is where and how an account is called.
type endpoint struct {
	method, url  string
	auth         channels.Credential
	repeatHeader string
	accepts      []events.SendForm
	body         *template
}

var endpoints channels.Memo[*endpoint]

func readEndpoint(a *channels.Account) (*endpoint, error) {
	e := &endpoint{method: a.Setting(settingMethod, http.MethodPost)}
	if e.method != http.MethodPost && e.method != http.MethodPut {
		return nil, errors.New("setting method must be POST or PUT")
	}
	var err error
	if e.url, err = readURL(a); err != nil {
		return nil, err
	}
	if e.auth, e.repeatHeader, err = readHeaders(a); err != nil {
		return nil, err
	}
	if e.accepts, err = readAccepts(a.Setting(settingAccepts, "")); err != nil {
		return nil, err
	}
	if e.body, err = parseTemplate(a.Setting(settingBody, "")); err != nil {
		return nil, err
	}
	return e, e.complete()
}

// readURL returns the account's URL, which is the same for all messages: a
// text of an event in it would have to be kept from leaving its place.
func readURL(a *channels.Account) (string, error) {
	path := a.Setting(settingPath, "")
	u, err := url.Parse(a.BaseURL + path)
	switch {
	case path != "" && !strings.HasPrefix(path, "/"):
		return "", errors.New("setting path must begin with a slash: it goes behind base_url")
	case strings.Contains(path, "{{"):
		return "", errors.New("setting path has a placeholder: they stand in the body only")
	case err != nil || strings.Contains(path, "#"):
		return "", errors.New("setting path is not the path of a URL, such as /v1/messages")
	}
	return u.String(), nil
}

var headerName = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// taken are headers that have a meaning of their own in every call.
var taken = []string{
	"Accept", "Accept-Encoding", "Connection", "Content-Length", "Content-Type", "Expect", "Host", "Te", "Trailer",
	"Transfer-Encoding", "Upgrade", "User-Agent",
}

// readHeaders returns where the secret goes and the header, if any, by which
// the receiver knows a repetition. The secret cannot stand in Idempotency-Key,
// since net/http repeats by itself what has that header.
func readHeaders(a *channels.Account) (channels.Credential, string, error) {
	auth := channels.Credential{In: channels.InBearer, Secret: secretToken}
	secretIn := "Authorization"
	if h := a.Setting(settingHeader, ""); h != "" {
		secretIn = http.CanonicalHeaderKey(h)
		auth.In, auth.Name = channels.InHeader, secretIn
	}
	repeat := http.CanonicalHeaderKey(a.Setting(settingRepeat, ""))
	switch {
	case !usable(secretIn) || strings.HasSuffix(secretIn, "Idempotency-Key"):
		return auth, "", errors.New("setting header is not the name of a header that can carry a secret, such as X-Api-Key")
	case repeat != "" && (!usable(repeat) || repeat == secretIn):
		return auth, "", errors.New("setting repeat_header is not the name of a header that is free, such as Idempotency-Key")
	}
	return auth, repeat, nil
}

func usable(header string) bool {
	return headerName.MatchString(header) && !slices.Contains(taken, header)
}

var (
	recipients = []string{string(events.ByPhone), string(events.ByContactID), string(events.ByMessengerUserID)}
	contents   = []string{string(events.ContentText), string(events.ContentTemplate), string(events.ContentBlock)}
)

// readAccepts reads what can be sent to whom: "phone:text,phone:template".
func readAccepts(list string) ([]events.SendForm, error) {
	var forms []events.SendForm
	for item := range strings.SplitSeq(list, ",") {
		to, what, _ := strings.Cut(strings.TrimSpace(item), ":")
		if !slices.Contains(recipients, to) || !slices.Contains(contents, what) {
			return nil, fmt.Errorf("setting accepts must list recipient:content, such as phone:text,phone:template; recipients are %s, contents %s",
				strings.Join(recipients, ", "), strings.Join(contents, ", "))
		}
		forms = append(forms, events.SendForm{Recipient: events.RecipientKind(to), Content: events.ContentKind(what)})
	}
	return forms, nil
}

// carries says which placeholder the content of each kind is in.
var carries = map[events.ContentKind]string{
	events.ContentText:     "content.text",
	events.ContentTemplate: "content.template_ref",
	events.ContentBlock:    "content.block_name",
}

// complete makes sure that the body says to whom, and what, in every form that
// is accepted.
func (e *endpoint) complete() error {
	if !e.body.takes("recipient.value") {
		return errors.New("setting body has no {{recipient.value}}: the receiver would not know who is meant")
	}
	for _, form := range e.accepts {
		if needs := carries[form.Content]; !e.body.takes(needs) {
			return fmt.Errorf("setting body has no {{%s}}, but accepts has %s:%s", needs, form.Recipient, form.Content)
		}
	}
	return nil
}
