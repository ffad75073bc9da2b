package channelstest

import (
	"encoding/json"
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

const million = 1_000_000

// junk are answers' bodies that no provider's document shows.
var junk = map[string]string{
	"nothing":           "",
	"blanks":            " \n\t ",
	"a web page":        "<!DOCTYPE html><html><head><meta name=csrf-token></head><body>Please log in</body></html>",
	"half an object":    `{"success": tru`,
	"null":              "null",
	"false":             "false",
	"a number":          "42",
	"a huge number":     "1e999999999",
	"a text":            `"ok"`,
	"an empty list":     "[]",
	"a list of null":    "[null]",
	"binary":            "\x00\x01\xff\xfe\x82\xa3foo",
	"two objects":       `{}{}`,
	"a deep list":       strings.Repeat("[", million),
	"a deep object":     strings.Repeat(`{"data":`, million/8),
	"a deep whole list": strings.Repeat("[", million/2) + strings.Repeat("]", million/2),
	"bad UTF-8":         "{\"success\":\"\xff\"}",
}

// odd are values put in the place of each value of a good answer.
var odd = []string{
	`null`, `"x"`, `""`, `0`, `-1`, `1e999999999`, `123456789012345678901234567890.123`, `true`, `false`, `[]`, `{}`,
	`[null]`, `{"a":null}`, `[[[[1]]]]`, strings.Repeat("[", 11_000) + strings.Repeat("]", 11_000),
}

// maxPlaces bounds how many values of one answer are replaced; of a longer
// answer every second, third and so on is.
const maxPlaces = 40

// checkHostileAnswers puts answers before the provider that are not what they
// should be. Each must get a verdict with a reason, no panic, and none that is
// no answer at all may pass for success.
func (b *bench) checkHostileAnswers() {
	for _, s := range b.samples() {
		for name, body := range junk {
			for _, status := range []int{200, 400, 500} {
				what := fmt.Sprintf("%s: %d with %s", s.call.Operation, status, name)
				v := b.hostile(what, s, status, body)
				if again := b.hostile(what, s, status, body); !reflect.DeepEqual(v, again) {
					b.failf("%s: the verdict is not deterministic", what)
				}
				if v.Class == channels.OK && (status != 200 || !strings.HasPrefix(body, "{") && body != "[]") {
					b.failf("%s: %d with %s passes for success", s.call.Operation, status, name)
				}
			}
		}
		good := []byte(s.ex.Reply.Body)
		for i := range 16 { // cut off within
			cut := good[:len(good)*i/16]
			if v := b.hostile(fmt.Sprintf("%s: cut off after %d bytes", s.call.Operation, len(cut)), s, 200, string(cut)); v.Class == channels.OK {
				b.failf("%s: an answer cut off after %d of %d bytes passes for success", s.call.Operation, len(cut), len(good))
			}
		}
		var places []string
		walk(good, "", func(pointer string, _ json.RawMessage) bool {
			places = append(places, pointer)
			return true
		})
		for i := 0; i < len(places); i += len(places)/maxPlaces + 1 {
			for _, value := range odd {
				b.hostile(fmt.Sprintf("%s: %s is %s", s.call.Operation, places[i], clip(value)), s, 200, replaced(good, places[i], value))
			}
		}
		for _, cursor := range nasty {
			b.judge(s.a, s.r, channels.Step{Number: 2, Cursor: cursor}, s.ex.Reply.answer())
			_, _ = b.parse(s.a, s.r, channels.Step{Number: 2, Cursor: cursor}, s.ex.Reply.answer())
			_, _ = b.prepare(s.a, s.r, channels.Step{Number: 2, Cursor: cursor})
		}
	}
}

func (b *bench) hostile(what string, s sample, status int, body string) channels.Verdict {
	ans := b.redact(s.r, s.step, Reply{Status: status, Body: body}.answer())
	before := len(b.problems)
	v := b.judge(s.a, s.r, s.step, ans)
	b.sound(what, v)
	if v.Class == channels.OK {
		if _, err := b.parse(s.a, s.r, s.step, ans); err != nil {
			b.failf("%s is OK, but cannot be parsed: %v", what, err)
		}
	}
	if len(b.problems) > before {
		b.failf("(with %s)", what)
	}
	return v
}

// nasty are texts that a careless provider package would let out of the place
// they are meant for.
var nasty = []string{
	"../../admin", "..", "a/b", "a?b=c&d=e", "a&b=c", "a#b", "a%2Fb", "a b+c", "a;b", "\r\nX-Evil: 1", "a\x00b",
	`"},"evil":{"a":"`, "{}", "[]", `{"Number":1e99}`, "☃ é", "\xff\xfe", strings.Repeat("x", 5000), " ", "0", "-1", "1e99", "",
}

// checkHostileRequests puts each nasty text into each text of each request.
// Whatever passes the contract must become a call whose URL, header and body
// are built as those of the good request are.
func (b *bench) checkHostileRequests() {
	for _, s := range b.forms() {
		contract, err := b.contract(s.a)
		if err != nil {
			continue
		}
		for i := range texts(s.r) {
			with := func(value string) (call *channels.Call, field string) {
				r := copyRequest(s.r)
				texts(r)[i].set(value)
				call, err := b.prepare(s.a, r, s.step)
				if err != nil || contract.Check(r) != nil {
					return nil, ""
				}
				return call, texts(r)[i].path
			}
			good := s.call // or with a harmless text, which may be the first one in its field
			if call, _ := with("harmless"); call != nil {
				good = call
			}
			for _, value := range nasty {
				if call, field := with(value); call != nil && call.Operation == good.Operation {
					b.checkCall(fmt.Sprintf("%s: %s is %s", s.call.Operation, field, clip(value)), good, call)
				}
			}
		}
	}
}

// checkCall checks that call differs from a good one in nothing but values.
func (b *bench) checkCall(what string, good, call *channels.Call) {
	u, err := url.Parse(call.URL)
	if err != nil {
		b.failf("%s: the call's URL is none", what)
		return
	}
	goodURL, _ := url.Parse(good.URL)
	segments, want := strings.Split(u.EscapedPath(), "/"), strings.Split(goodURL.EscapedPath(), "/")
	query, err := url.ParseQuery(u.RawQuery)
	wantQuery, _ := url.ParseQuery(goodURL.RawQuery)
	switch {
	case u.Scheme != goodURL.Scheme || u.Host != goodURL.Host || u.User != nil || u.Fragment != "":
		b.failf("%s: the call goes elsewhere: %s", what, clip(call.URL))
	case len(segments) != len(want) || slices.Contains(segments, "..") || slices.Contains(segments, "."):
		b.failf("%s: the call's path has other parts: %s", what, clip(u.EscapedPath()))
	case err != nil || len(query) > len(wantQuery):
		b.failf("%s: the call's query has other parts: %s", what, clip(u.RawQuery))
	case call.Repeatable != good.Repeatable || call.Auth != good.Auth || call.Method != good.Method:
		b.failf("%s: the call is of another kind", what)
	case json.Valid(good.Body) && !json.Valid(call.Body):
		b.failf("%s: the call's body is not JSON: %s", what, clip(string(call.Body)))
	}
	for name, value := range call.Header {
		if strings.ContainsAny(name+value, "\r\n\x00") {
			b.failf("%s: header %s has a control character", what, name)
		}
	}
	if at := leaked(fmt.Sprintf("%+v", call)); at != "" {
		b.failf("%s: the call has a secret in it", what)
	}
}

// A textField is one text of a request.
type textField struct {
	path string
	set  func(string)
}

// texts returns every text in the body of r that can be set.
func texts(r *events.Request) (fields []textField) {
	var visit func(path string, v reflect.Value)
	visit = func(path string, v reflect.Value) {
		switch v.Kind() {
		case reflect.Pointer:
			if !v.IsNil() {
				visit(path, v.Elem())
			}
		case reflect.Struct:
			for i := range v.NumField() {
				visit(path+"."+v.Type().Field(i).Name, v.Field(i))
			}
		case reflect.Slice:
			for i := range v.Len() {
				visit(fmt.Sprintf("%s[%d]", path, i), v.Index(i))
			}
		case reflect.Map:
			for _, key := range v.MapKeys() {
				fields = append(fields, textField{path + "." + key.String(), func(s string) { v.SetMapIndex(key, reflect.ValueOf(s)) }})
			}
		case reflect.String:
			fields = append(fields, textField{path, v.SetString})
		}
	}
	visit("send", reflect.ValueOf(r.Send))
	visit("report", reflect.ValueOf(r.Report))
	visit("command", reflect.ValueOf(r.Command))
	slices.SortFunc(fields, func(a, b textField) int { return strings.Compare(a.path, b.path) })
	return fields
}

// copyRequest returns a copy of r whose body shares nothing with r's.
func copyRequest(r *events.Request) *events.Request {
	c := *r
	c.Send, c.Report, c.Command = copyOf(r.Send), copyOf(r.Report), copyOf(r.Command)
	return &c
}

func copyOf[T any](body *T) *T {
	text, _ := json.Marshal(body)
	var c *T
	_ = json.Unmarshal(text, &c)
	return c
}
